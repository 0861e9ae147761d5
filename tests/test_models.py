"""Every model of the zoo takes the feature frame as it is, and gives the same answers for the same seed."""

import numpy as np
import pandas as pd
import pytest

from flightline.errors import TrainingError
from flightline.models import ZOO, Columns, columns_of, model_builder

COLUMNS = Columns(numeric=("delay", "wind"), categorical=("carrier", "dest"))


def make_frame(rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Make features with gaps in every column, and a label that follows delay and carrier."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "delay": random.normal(10, 30, rows),
            "wind": random.uniform(0, 40, rows),
            "carrier": random.choice(["AA", "DL", "UA"], rows).astype(object),
            "dest": random.choice([f"D{i:02}" for i in range(40)], rows).astype(object),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["delay"] - 10) / 20 - (frame["carrier"] == "UA")))
    label = pd.Series((random.random(rows) < chance).astype(int))
    for column in frame:
        frame.loc[random.random(rows) < 0.1, column] = None if frame[column].dtype == object else np.nan
    return frame, label


TRAIN, LABEL = make_frame(2_000)
LATER, _ = make_frame(300, seed=1)
ALL_MISSING = pd.DataFrame({"delay": [np.nan], "wind": [np.nan], "carrier": [None], "dest": [None]}).astype(
    TRAIN.dtypes
)
UNSEEN = pd.DataFrame({"delay": [5.0], "wind": [3.0], "carrier": ["ZZ"], "dest": ["XXX"]}).astype(TRAIN.dtypes)


@pytest.fixture(scope="module", params=list(ZOO))
def fitted(request):
    """Each model of the zoo, by its name, fitted once."""
    return request.param, ZOO[request.param](COLUMNS, 0).fit(TRAIN, LABEL)


@pytest.mark.parametrize(
    "asked", [LATER, ALL_MISSING, UNSEEN], ids=["later rows with gaps", "all missing", "unseen categories"]
)
def test_it_answers_with_probabilities(fitted, asked):
    probabilities = fitted[1].predict_proba(asked)
    assert probabilities.shape == (len(asked), 2)
    assert np.all((probabilities >= 0) & (probabilities <= 1))
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_the_same_seed_gives_the_same_answers(fitted):
    name, pipeline = fitted
    again = ZOO[name](COLUMNS, 0).fit(TRAIN, LABEL)
    assert np.array_equal(again.predict_proba(LATER), pipeline.predict_proba(LATER))


def test_one_row_is_answered_as_among_others(fitted):
    together = fitted[1].predict_proba(LATER)[:5]
    alone = np.vstack([fitted[1].predict_proba(LATER.iloc[[row]]) for row in range(5)])
    assert np.allclose(alone, together, rtol=0, atol=1e-12)


def test_the_frame_is_left_as_it_was(fitted):
    before = LATER.copy()
    fitted[1].predict_proba(LATER)
    pd.testing.assert_frame_equal(LATER, before)


def test_other_columns_of_the_frame_are_not_used(fitted):
    with_label = LATER.assign(late=1.0)
    assert np.array_equal(fitted[1].predict_proba(with_label), fitted[1].predict_proba(LATER))


@pytest.mark.parametrize("name", sorted(set(ZOO) - {"base_rate"}))
def test_it_learns_what_the_label_follows(name):
    pipeline = ZOO[name](COLUMNS, 0).fit(TRAIN, LABEL)
    long, short = (UNSEEN.assign(delay=delay) for delay in (60.0, -20.0))
    assert pipeline.predict_proba(long)[0, 1] > pipeline.predict_proba(short)[0, 1] + 0.1


def test_the_base_rate_is_the_share_of_positives():
    pipeline = ZOO["base_rate"](COLUMNS, 0).fit(TRAIN.head(4), pd.Series([1, 0, 0, 0]))
    assert pipeline.predict_proba(LATER)[:, 1].tolist() == [0.25] * len(LATER)


def test_a_category_beyond_the_trees_limit_is_taken_as_missing():
    many = TRAIN.assign(dest=[f"D{i % 400:03}" for i in range(len(TRAIN))])
    probabilities = ZOO["hist_gradient_boosting"](COLUMNS, 0).fit(many, LABEL).predict_proba(many)
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("name", sorted(ZOO))
def test_a_model_is_found_by_its_name(name):
    assert model_builder(name) is ZOO[name]


def test_an_unknown_name_is_refused_with_those_known():
    with pytest.raises(TrainingError, match=r"no model is named 'forest'; MODEL is one of: .*hist_gradient_boosting"):
        model_builder("forest")


def test_columns_keep_their_order():
    assert columns_of(["b", "a"], ["d", "c"]) == Columns(("b", "a"), ("d", "c"))
