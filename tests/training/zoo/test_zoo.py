"""Every model of the zoo takes the feature frame as it is, and gives the same answers for the same seed."""

import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_regressor
from sklearn.inspection import partial_dependence

from flightline.core.errors import TrainingError
from flightline.inference.predict import predict
from flightline.training.fit import fit_pipeline
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, baseline_of, ensemble, find_model, find_models, keras, lightgbm, scikit_learn

pytestmark = pytest.mark.slow

COLUMNS = Columns(numeric=("units", "seats"), categorical=("shop", "product"))
EVERY_MODEL = [(task, name) for task, models in ZOO.items() for name in models if not models[name].reads_series]
LEARNING = [(task, name) for task, name in EVERY_MODEL if not ZOO[task][name].is_baseline]
STEPS = {"pca_components": 2, "kmeans_segments": 4}


def make_frame(rows: int, seed: int = 0) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Make features with gaps in every column, and labels that follow units and shop."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "units": random.normal(10, 30, rows),
            "seats": random.uniform(0, 40, rows),
            "shop": random.choice(["S01", "S03", "S02"], rows).astype(object),
            "product": random.choice([f"D{i:02}" for i in range(40)], rows).astype(object),
        }
    )
    follows = (frame["units"] - 10) / 20 + (frame["shop"] == "S02")
    sold_out = pd.Series((random.random(rows) < 1 / (1 + np.exp(-follows))).astype(int))
    takings = follows + random.normal(0, 0.5, rows)
    for column in frame:
        frame.loc[random.random(rows) < 0.1, column] = None if frame[column].dtype == object else np.nan
    left_over = pd.Series(np.digitize(takings, [-1, 1]))
    return frame, {"classification": sold_out, "multiclass": left_over, "regression": takings}


TRAIN, LABELS = make_frame(2_000)
LATER, _ = make_frame(300, seed=1)
ALL_MISSING = pd.DataFrame({"units": [np.nan], "seats": [np.nan], "shop": [None], "product": [None]}).astype(
    TRAIN.dtypes
)
UNSEEN = pd.DataFrame({"units": [5.0], "seats": [3.0], "shop": ["ZZ"], "product": ["XXX"]}).astype(TRAIN.dtypes)


def fit_on_all(task, name, seed=0, **settings):
    return fit_pipeline(find_model(task, name), COLUMNS, seed, settings, TRAIN, LABELS[task])


@pytest.fixture(scope="module", params=EVERY_MODEL, ids=" ".join)
def fitted(request):
    """Each model of the zoo, by its task and name, fitted once."""
    return *request.param, fit_on_all(*request.param)


@pytest.mark.parametrize(
    "asked", [LATER, ALL_MISSING, UNSEEN], ids=["later rows with gaps", "all missing", "unseen categories"]
)
def test_it_answers_every_row(fitted, asked):
    task, _, pipeline = fitted
    answers = predict(task, pipeline, asked)
    shape = (len(asked), 3) if task == "multiclass" else (len(asked),)
    assert (answers.shape, answers.dtype) == (shape, np.float64)
    assert np.isfinite(answers).all()
    if task != "regression":
        assert np.all((answers >= 0) & (answers <= 1))
        assert np.allclose(pipeline.predict_proba(asked).sum(axis=1), 1)


def test_scikit_learn_draws_its_partial_dependence(fitted):
    task, _, pipeline = fitted
    assert is_regressor(pipeline) == (task == "regression")
    found = partial_dependence(pipeline, LATER.dropna().head(20), ["units"], grid_resolution=3, kind="average")
    assert np.isfinite(found["average"]).all()


def test_the_same_seed_gives_the_same_answers(fitted):
    task, name, pipeline = fitted
    assert np.array_equal(predict(task, fit_on_all(task, name), LATER), predict(task, pipeline, LATER))


def test_one_row_is_answered_as_among_others(fitted):
    task, _, pipeline = fitted
    alone = np.concatenate([predict(task, pipeline, LATER.iloc[[row]]) for row in range(5)])
    assert np.allclose(alone, predict(task, pipeline, LATER)[:5], rtol=0, atol=1e-9)


def test_the_frame_is_left_as_it_was(fitted):
    before = LATER.copy()
    predict(fitted[0], fitted[2], LATER)
    pd.testing.assert_frame_equal(LATER, before)


def test_other_columns_of_the_frame_are_not_used(fitted):
    task, _, pipeline = fitted
    assert np.array_equal(predict(task, pipeline, LATER.assign(sold_out=1.0)), predict(task, pipeline, LATER))


@pytest.mark.parametrize(("task", "name"), LEARNING)
def test_it_learns_what_the_label_follows(task, name):
    pipeline = fit_on_all(task, name)
    asked = LATER.dropna().head(50)
    answers = (predict(task, pipeline, asked.assign(units=units)) for units in (60.0, -20.0))
    high, low = (answer.reshape(len(asked), -1)[:, -1].mean() for answer in answers)
    assert high > low + 0.1


@pytest.mark.parametrize(
    ("task", "name", "step"), [(t, n, s) for (t, n), s in product(LEARNING, STEPS) if s in ZOO[t][n].steps]
)
def test_a_step_that_is_switched_on_is_taken(task, name, step):
    stepped = fit_on_all(task, name, **{step: STEPS[step]})
    assert np.isfinite(predict(task, stepped, LATER)).all()
    plain = fit_on_all(task, name)
    assert stepped[:-1].transform(LATER).shape != plain[:-1].transform(LATER).shape


def test_principal_components_replace_numbers_and_segments_are_added():
    encoded = fit_on_all("classification", "logistic_regression", **STEPS)[:-1].transform(LATER)
    plain = fit_on_all("classification", "logistic_regression")[:-1].transform(LATER)
    scaled_numbers_and_flags, components, segments = 4, STEPS["pca_components"], STEPS["kmeans_segments"]
    assert encoded.shape[1] - plain.shape[1] == components - scaled_numbers_and_flags + segments


@pytest.mark.parametrize("task", ZOO)
def test_the_baseline_is_the_mean_of_the_labels(task):
    pipeline = baseline_of(task).build(COLUMNS, 0).fit(TRAIN.head(4), pd.Series([1, 0, 0, 0]))
    answers = predict(task, pipeline, LATER)
    assert answers.reshape(len(LATER), -1)[:, -1].tolist() == [0.25] * len(LATER)


def test_only_the_newest_rows_are_learned_from_where_the_zoo_says_so():
    neighbours = find_model("classification", "k_nearest_neighbours")
    assert neighbours.newest_rows is not None
    rows = pd.concat([TRAIN] * 12, ignore_index=True)
    label = pd.Series(np.arange(len(rows)) < len(rows) - neighbours.newest_rows).astype(int)
    label.iloc[-1] = 1  # both classes
    pipeline = fit_pipeline(neighbours, COLUMNS, 0, {"neighbours": 5}, rows, label)
    assert pipeline[-1].n_samples_fit_ == neighbours.newest_rows
    assert predict("classification", pipeline, LATER).max() <= 1 / 5


@pytest.mark.parametrize("name", ["decision_tree", "random_forest", "hist_gradient_boosting", "k_nearest_neighbours"])
def test_a_category_beyond_any_limit_is_taken_as_rare(name):
    many = TRAIN.assign(product=[f"D{i % 400:03}" for i in range(len(TRAIN))])
    pipeline = find_model("classification", name).build(COLUMNS, 0).fit(many, LABELS["classification"])
    assert np.isfinite(predict("classification", pipeline, many)).all()


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_a_model_is_found_by_task_and_name(task, name):
    assert find_model(task, name) is ZOO[task][name]


@pytest.mark.parametrize(
    ("task", "name", "known"),
    [
        ("classification", "forest", "base_rate, logistic_regression, .*hist_gradient_boosting"),
        ("classification", "ridge_regression", "base_rate, logistic_regression, "),
        ("regression", "logistic_regression", "mean, ridge_regression, .*hist_gradient_boosting"),
    ],
)
def test_an_unknown_name_is_refused_with_those_of_the_task(task, name, known):
    with pytest.raises(TrainingError, match=f"no {task} model is named '{name}'; MODEL is one of: {known}"):
        find_model(task, name)


def test_each_task_has_one_baseline_and_as_many_models():
    assert [sum(model.is_baseline for model in models.values()) for models in ZOO.values()] == [1, 1, 1]
    assert len({len(models) for models in ZOO.values()}) == 1


def test_a_name_in_two_files_of_the_zoo_is_refused():
    assert find_models([scikit_learn, ensemble, keras, lightgbm]) == ZOO
    with pytest.raises(TrainingError, match=r"zoo\.lightgbm has lightgbm, which another file of the zoo has too"):
        find_models([lightgbm, scikit_learn, lightgbm])


def test_the_zoo_is_there_without_the_packages_of_its_models():
    code = "import sys; import flightline.training.zoo; print({'jax', 'keras', 'lightgbm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
