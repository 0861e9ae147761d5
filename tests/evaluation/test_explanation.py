"""Importance and dependence of a model that is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from flightline.adapters.plots.evaluation_plots import draw_evaluation
from flightline.adapters.plots.explanation_plots import draw_dependence, draw_importance
from flightline.evaluation.explanation import partial_dependence, permutation_importance
from flightline.evaluation.metrics import evaluate, primary_loss
from flightline.evaluation.sampling import spread_positions

ROWS = 400
LOSS = primary_loss("regression", "rmse")


def make_features() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "unused": random.normal(0, 1, ROWS),
            "weak": random.normal(0, 1, ROWS),
            "strong": random.normal(0, 1, ROWS),
            "side": random.choice(["left", "right"], ROWS).astype(object),
            "empty": np.full(ROWS, np.nan),
        }
    )


def known_model(features: pd.DataFrame) -> np.ndarray:
    side = np.where(features["side"] == "right", 0.5, 0.0)
    return (features["weak"] + 3 * features["strong"]).to_numpy() + side


class KnownRegressor(RegressorMixin, BaseEstimator):
    """Predicts by `known_model`."""

    def fit(self, features: pd.DataFrame, label: np.ndarray) -> "KnownRegressor":
        self.fitted_ = True
        return self

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return known_model(features)


class KnownClassifier(ClassifierMixin, BaseEstimator):
    """Predicts 1 with the logistic function of `known_model`."""

    def fit(self, features: pd.DataFrame, label: np.ndarray) -> "KnownClassifier":
        self.classes_ = np.unique(label)
        return self

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        positive = 1 / (1 + np.exp(-known_model(features)))
        return np.column_stack([1 - positive, positive])


FEATURES = make_features()
LABEL = known_model(FEATURES)
EACH = {name: (name,) for name in FEATURES}
REGRESSOR: Pipeline = make_pipeline(KnownRegressor()).fit(FEATURES, LABEL)
CLASSIFIER: Pipeline = make_pipeline(KnownClassifier()).fit(FEATURES, LABEL > 0)


def probability(features: pd.DataFrame) -> np.ndarray:
    return CLASSIFIER.predict_proba(features)[:, 1]


def test_features_are_ranked_by_what_the_model_makes_of_them():
    table = permutation_importance(REGRESSOR.predict, FEATURES, LABEL, LOSS, EACH)
    assert table["group"].tolist()[:3] == ["strong", "weak", "side"]
    by_name = table.set_index("group")["importance"]
    assert by_name["unused"] == by_name["empty"] == 0
    # Two independent draws of 3 * N(0, 1) differ by 3 * sqrt(2) in root mean square.
    assert by_name["strong"] == pytest.approx(3 * 2**0.5, rel=0.15)


def test_twins_share_their_importance_alone_and_have_it_together():
    twins = FEATURES[["strong"]].assign(twin=FEATURES["strong"])
    groups = {"one": ("strong",), "other": ("twin",), "both": ("strong", "twin")}
    table = permutation_importance(lambda rows: rows.mean(axis=1), twins, twins["twin"].to_numpy(), LOSS, groups)
    by_group = table.set_index("group")
    assert by_group["features"].to_dict() == {"one": 1, "other": 1, "both": 2}
    # Both shuffled by one order move together; by orders of their own they would differ by less.
    assert by_group.loc["both", "importance"] == pytest.approx(2**0.5, rel=0.15)
    assert by_group.loc["one", "importance"] == pytest.approx(2**0.5 / 2, rel=0.15)
    assert (by_group["spread"] > 0).all()


def test_a_classifier_is_judged_by_its_probabilities():
    label, loss = (LABEL > 0).astype(float), primary_loss("classification", "log_loss")
    table = permutation_importance(probability, FEATURES, label, loss, EACH)
    assert table["group"][0] == "strong"
    predicted = probability(FEATURES)
    assert 0 < table["importance"][0] < loss(label, np.random.default_rng(0).permutation(predicted))
    dependence = partial_dependence(CLASSIFIER, FEATURES, ["strong"])["predicted"]
    assert dependence.between(0, 1).all()
    assert dependence.is_monotonic_increasing


def test_the_same_seed_gives_the_same_table():
    first, again, other = (
        permutation_importance(REGRESSOR.predict, FEATURES, LABEL, LOSS, EACH, seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_features_are_left_as_they_were():
    before = FEATURES.copy()
    permutation_importance(REGRESSOR.predict, FEATURES, LABEL, LOSS, EACH)
    partial_dependence(REGRESSOR, FEATURES, list(FEATURES))
    pd.testing.assert_frame_equal(FEATURES, before)


def test_dependence_follows_the_model():
    table = partial_dependence(REGRESSOR, FEATURES, ["strong", "side", "empty"])
    strong = table[table["feature"] == "strong"]
    assert np.allclose(np.diff(strong["predicted"]) / np.diff(strong["value"].astype(float)), 3)
    side = table[table["feature"] == "side"].set_index("value")["predicted"]
    assert side["right"] - side["left"] == pytest.approx(0.5)
    assert "empty" not in set(table["feature"])


@pytest.mark.parametrize(("rows", "most"), [(100_000, 5_000), (100_001, 5_000), (50, 5_000), (1, 1)])
def test_a_sample_is_spread_over_all_rows_and_bounded(rows, most):
    positions = spread_positions(rows, most)
    assert len(set(positions)) == len(positions) == min(rows, most)
    assert positions[0] == 0
    assert positions[-1] < rows
    assert positions[-1] >= rows - rows / len(positions) - 1


def test_pictures_are_drawn(tmp_path):
    importance = permutation_importance(REGRESSOR.predict, FEATURES, LABEL, LOSS, EACH)
    single = importance.rename(columns={"group": "feature"}).drop(columns="features")
    for names in (["strong"], list(FEATURES)[:4]):
        draw_dependence(tmp_path / f"{len(names)}.png", partial_dependence(REGRESSOR, FEATURES, names))
    draw_importance(tmp_path / "importance.png", importance, single, "rmse", ROWS)
    draw_importance(tmp_path / "alone.png", importance.head(0), single, "rmse", ROWS)
    assert {file.name for file in tmp_path.iterdir()} == {"1.png", "4.png", "importance.png", "alone.png"}


@pytest.mark.parametrize(
    ("task", "label", "own"),
    [
        ("classification", (LABEL > 0).astype(float), {"roc.png", "precision_recall.png"}),
        ("multiclass", np.digitize(LABEL, [-1, 1]), {"confusion.png"}),
        ("regression", LABEL, {"residuals.png"}),
    ],
)
def test_an_evaluation_is_drawn_by_its_task(tmp_path, task, label, own):
    predicted = 1 / (1 + np.exp(-LABEL))
    classes = ("fog", "ice", "sun") if task == "multiclass" else ()
    predicted = np.stack([1 - predicted, predicted / 4, predicted * 3 / 4], axis=1) if classes else predicted
    slices = FEATURES[["side"]].assign(side="right")
    judged = evaluate(task, pd.Series(range(ROWS)), pd.Series(label), predicted, slices, 1, classes)
    metric = "rmse" if task == "regression" else "log_loss"
    files = draw_evaluation(task, tmp_path, label, predicted, judged.calibration, judged.slices, metric, classes)
    assert {file.name for file in files} == {"calibration.png", "slices.png"} | own
    assert all(file.stat().st_size > 1_000 for file in files)


def test_of_several_classes_each_has_its_dependence(tmp_path):
    label, classes = np.digitize(LABEL, [-1, 1]), ("fog", "ice", "sun")
    numbers = FEATURES[["weak", "strong"]]
    model = make_pipeline(LogisticRegression()).fit(numbers, label)
    loss, groups = primary_loss("multiclass", "log_loss"), {name: (name,) for name in numbers}
    importance = permutation_importance(model.predict_proba, numbers, label.astype(float), loss, groups)
    assert importance["group"].tolist() == ["strong", "weak"]
    table = partial_dependence(model, numbers, ["strong"], classes)
    assert table.groupby("value")["predicted"].sum().to_numpy() == pytest.approx(1)
    assert table[table["class"] == "sun"]["predicted"].is_monotonic_increasing
    assert draw_dependence(tmp_path / "dependence.png", table).stat().st_size > 1_000
