"""Settings are chosen on the validation window, the refit takes all before the test, the test stays untouched."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.evaluation.metrics import METRICS
from flightline.inference.predict import predict
from flightline.training.fit import FittedModel, TrainingParameters, fit, fit_pipeline
from flightline.training.row_checks import feature_columns
from flightline.training.zoo import ZOO, find_model

pytestmark = pytest.mark.slow

ROWS = {"fit": 1_000, "validation": 500, "test": 300}
PRIMARY = {"classification": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
CLASSES = {"multiclass": ("low", "middle", "high")}
EVERY_MODEL = [(task, name) for task, models in ZOO.items() for name in models]
LEARNING = [(task, name) for task, name in EVERY_MODEL if not ZOO[task][name].is_baseline]


def make_examples(seed: int = 0) -> tuple[pd.DataFrame, dict[str, pd.Series], dict[str, pd.Series]]:
    """Make features, labels and masks: fit, then validation, then test, as time goes by."""
    random = np.random.default_rng(seed)
    window = pd.Series(np.repeat(list(ROWS), list(ROWS.values())))
    units = random.normal(0, 1, len(window))
    features = pd.DataFrame({"units": units, "shop": random.choice(["S01", "S02"], len(window)).astype(object)})
    sold_out = pd.Series((random.random(len(window)) < 1 / (1 + np.exp(-2 * units))).astype(float))
    takings = pd.Series(20 * units + random.normal(0, 5, len(window)))
    masks = {name: window == name for name in ROWS}
    left_over = pd.Series(np.digitize(takings, [-15, 15]).astype(float))
    labels = {"classification": sold_out, "multiclass": left_over, "regression": takings}
    return features, labels, masks | {"refit": ~masks["test"]}


FEATURES, LABELS, MASKS = make_examples()
SOLD_OUT = LABELS["classification"]
LATER = FEATURES[MASKS["test"]]


def small(name: str, **changes: object) -> TrainingParameters:
    """Few iterations, no calibration: what is tested is who sees which rows."""
    return replace(TrainingParameters(model=name, max_iterations=30, calibrations=()), **changes)


def fit_small(
    task: str, name: str, features: pd.DataFrame = FEATURES, label: pd.Series | None = None, **changes: object
) -> FittedModel:
    label = LABELS[task] if label is None else label
    asked, classes = small(name, **changes), CLASSES.get(task, ())
    return fit(asked, features, label, MASKS, task=task, metric=PRIMARY[task], classes=classes)


@cache
def plain(task: str, name: str) -> FittedModel:
    return fit_small(task, name)


def poison(task: str) -> tuple[pd.DataFrame, pd.Series]:
    """Change everything about the test rows; their labels by turns to the contrary, another kind, and none."""
    test, position = MASKS["test"], pd.Series(np.arange(len(FEATURES)))
    features = FEATURES.assign(units=FEATURES["units"].mask(test, 1e300), shop=FEATURES["shop"].mask(test, "poison"))
    label = LABELS[task]
    for turn, value in enumerate((1 - label, 7.0, np.nan)):
        label = label.mask(test & (position % 3 == turn), value)
    return features, label


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_the_test_rows_are_never_touched(task, name):
    poisoned = fit_small(task, name, *poison(task))
    assert np.array_equal(predict(task, poisoned.pipeline, LATER), predict(task, plain(task, name).pipeline, LATER))
    assert poisoned.validation_losses == plain(task, name).validation_losses


OPPOSITE = {
    "logistic_regression": {"inverse_regularisation": 0.003},
    "ridge_regression": {"regularisation": 1000.0},
    "decision_tree": {"min_samples_leaf": 1000},
    "hist_gradient_boosting": {"max_iter": 10, "min_samples_leaf": 200},
}


@pytest.mark.parametrize(("task", "name"), [pair for pair in LEARNING if pair[1] in OPPOSITE])
def test_the_choice_follows_the_validation_rows(task, name):
    turned_round = LABELS[task].where(~MASKS["validation"], LABELS[task].max() - LABELS[task])
    least = fit_small(task, name, label=turned_round).chosen
    assert {"min_samples_leaf": 200} | least == {"min_samples_leaf": 200} | OPPOSITE[name]
    assert plain(task, name).chosen != least


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("base_rate", ["default"]),
        ("logistic_regression", [f"inverse_regularisation={c}" for c in (0.003, 0.03, 0.3)]),
        ("k_nearest_neighbours", [f"neighbours={count}" for count in (50, 200, 10)]),
        (
            "hist_gradient_boosting",
            [*(f"max_iter={i}" for i in (10, 20, 30))]
            + [f"min_samples_leaf=20, l2_regularization=1.0, max_iter={i}" for i in (10, 20, 30)],
        ),
    ],
)
def test_what_was_tried_is_told_and_the_best_is_chosen(name, tried):
    model = plain("classification", name)
    assert list(model.validation_losses) == tried
    best = min(model.validation_losses, key=model.validation_losses.get)
    assert best == (", ".join(f"{key}={value}" for key, value in model.chosen.items()) or "default")
    assert model.validation_loss == model.validation_losses[best]


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_the_validation_loss_is_of_a_model_fitted_on_the_fit_rows(task, name):
    model, later = plain(task, name), MASKS["validation"]
    before = FEATURES[MASKS["fit"]], LABELS[task][MASKS["fit"]]
    alone = fit_pipeline(find_model(task, name), feature_columns(FEATURES), 0, model.chosen, *before)
    truth = LABELS[task][later].to_numpy()
    loss = METRICS[task][PRIMARY[task]].compute(truth, predict(task, alone, FEATURES[later]))
    assert model.validation_loss == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_the_model_is_fitted_on_all_before_the_test(task, name):
    model = plain(task, name)
    before = FEATURES[MASKS["refit"]], LABELS[task][MASKS["refit"]]
    again = fit_pipeline(find_model(task, name), feature_columns(FEATURES), 0, model.chosen, *before)
    assert np.array_equal(predict(task, model.pipeline, LATER), predict(task, again, LATER))


def test_the_base_rate_is_that_of_fit_and_validation_together():
    label = pd.Series([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    masks = {"fit": label.index < 2, "validation": (label.index >= 2) & (label.index < 4), "refit": label.index < 4}
    frame = pd.DataFrame({"units": np.arange(7.0)})
    model = fit(small("base_rate"), frame, label, masks, task="classification", metric="log_loss")
    assert predict("classification", model.pipeline, frame.head(1))[0] == 0.75


def test_iterations_below_ten_are_tried_too():
    model = fit_small("classification", "hist_gradient_boosting", max_iterations=3)
    assert [words.split("=")[-1] for words in model.validation_losses] == ["3", "3"]


@pytest.mark.parametrize("task", ZOO)
def test_boosting_stops_when_the_validation_loss_no_longer_falls(task):
    turned_round = LABELS[task].where(~MASKS["validation"], LABELS[task].max() - LABELS[task])
    model = fit_small(task, "hist_gradient_boosting", label=turned_round, max_iterations=100, patience=12)
    assert [words.split("=")[-1] for words in model.validation_losses] == ["10", "12"] * 2


def test_settings_that_are_given_take_the_place_of_those_tried():
    model = fit_small("classification", "hist_gradient_boosting", settings=(("max_iter", 7), ("max_leaf_nodes", 4)))
    assert list(model.validation_losses) == ["max_iter=7, max_leaf_nodes=4"]
    assert (model.pipeline[-1].n_iter_, model.pipeline[-1].max_leaf_nodes) == (7, 4)


def test_iterations_are_chosen_for_settings_that_leave_them_open():
    model = fit_small("classification", "hist_gradient_boosting", settings=(("max_leaf_nodes", 4),))
    assert len(model.validation_losses) == 3
    assert set(model.chosen) == {"max_leaf_nodes", "max_iter"}


def test_steps_are_in_the_judged_model_and_in_the_kept_one():
    stepped = fit_small("classification", "logistic_regression", pca_components=1, kmeans_segments=2)
    assert stepped.validation_loss != plain("classification", "logistic_regression").validation_loss
    assert "segments" in dict(stepped.pipeline[0].named_transformers_)


@pytest.mark.parametrize(
    ("task", "name", "steps", "message"),
    [
        ("classification", "random_forest", {"pca_components": 2}, "cannot take pca_components, only: kmeans_segments"),
        ("regression", "mean", {"kmeans_segments": 2}, "mean cannot take kmeans_segments, only: no step"),
    ],
)
def test_a_step_that_a_model_cannot_take_is_refused(task, name, steps, message):
    with pytest.raises(TrainingError, match=message):
        fit_small(task, name, **steps)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (SOLD_OUT * 0, "in the fit window, got \\[0.0\\]"),
        (SOLD_OUT * 0 + 1, "in the fit window, got \\[1.0\\]"),
        (SOLD_OUT.where(~MASKS["fit"], 0.0), "in the fit window, got \\[0.0\\]"),
        (SOLD_OUT * 2, "got \\[0.0, 2.0\\]"),
        (SOLD_OUT.where(SOLD_OUT.index != 3), "and 1 missing"),
        (SOLD_OUT.where(SOLD_OUT.index != 1_200), "in the refit window.* and 1 missing"),
    ],
    ids=["never", "always", "never in the fit window", "not 0 and 1", "one unknown", "one unknown in validation"],
)
@pytest.mark.parametrize("name", ["base_rate", "hist_gradient_boosting"])
def test_labels_that_cannot_be_learned_from_are_refused(name, label, message):
    with pytest.raises(TrainingError, match=f"labels of both classes, 0 and 1, .*{message}"):
        fit_small("classification", name, label=label)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (LABELS["regression"] * 0 + 1, "in the fit window, got \\[1.0\\]"),
        (LABELS["regression"].where(SOLD_OUT.index != 3), "and 1 missing"),
        (LABELS["regression"].where(SOLD_OUT.index != 1_200, np.inf), "in the refit window"),
    ],
    ids=["all equal", "one unknown", "one without end"],
)
def test_numbers_that_cannot_be_learned_from_are_refused(label, message):
    with pytest.raises(TrainingError, match=f"finite labels that differ .*{message}"):
        fit_small("regression", "mean", label=label)


@pytest.mark.parametrize(
    ("task", "metric", "losses"),
    [
        ("classification", "rmse", "log_loss, brier, ece"),
        ("classification", "roc_auc", "log_loss, brier, ece"),
        ("regression", "log_loss", "rmse, mae, calibration_error"),
    ],
)
def test_a_metric_that_is_no_loss_of_the_task_is_refused(task, metric, losses):
    with pytest.raises(TrainingError, match=f"'{metric}' is no loss of a {task}; .* one of: {losses}"):
        fit(TrainingParameters(), FEATURES, LABELS[task], MASKS, task=task, metric=metric)


def test_settings_are_compared_in_the_primary_metric():
    by = {
        metric: fit(small("decision_tree"), FEATURES, SOLD_OUT, MASKS, task="classification", metric=metric)
        for metric in ("log_loss", "brier")
    }
    assert by["log_loss"].validation_losses.keys() == by["brier"].validation_losses.keys()
    assert by["log_loss"].validation_loss > by["brier"].validation_loss


@pytest.mark.parametrize("feature", ["units", "shop"])
def test_a_feature_that_is_never_there_is_refused_by_name(feature):
    features = FEATURES.assign(**{feature: FEATURES[feature].mask(MASKS["fit"])})
    with pytest.raises(TrainingError, match=f"no row of the fit window has a value of: {feature};"):
        fit_small("classification", "hist_gradient_boosting", features)


def test_a_number_without_an_end_is_refused_by_name():
    features = FEATURES.assign(units=FEATURES["units"].mask(MASKS["validation"], np.inf))
    with pytest.raises(TrainingError, match="have an infinite value of: units"):
        fit_small("classification", "hist_gradient_boosting", features)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", ["logistic_regression", "hist_gradient_boosting"])
def test_one_class_in_validation_can_still_be_judged(name, value):
    label = SOLD_OUT.mask(MASKS["validation"], value)
    model = fit_small("classification", name, label=label, calibrations=("sigmoid", "isotonic"))
    assert np.isfinite(list(model.validation_losses.values())).all()
    assert model.calibration == "none"


RARE = 0.01


@pytest.mark.parametrize("name", sorted(set(ZOO["classification"]) - {"base_rate"}))
def test_one_positive_in_a_hundred_is_predicted_as_one_in_a_hundred(name):
    random = np.random.default_rng(0)
    rows = 20_000
    units = random.normal(0, 1, rows)
    label = pd.Series((random.random(rows) < RARE * np.exp(units - 0.5)).astype(float))
    frame = pd.DataFrame({"units": units, "shop": np.array(["S01", "S02"] * (rows // 2), dtype=object)})
    position = pd.Series(np.arange(rows))
    masks = {"fit": position < 8_000, "validation": position.between(8_000, 11_999), "refit": position < 12_000}
    parameters = TrainingParameters(model=name, max_iterations=60)
    model = fit(parameters, frame, label, masks, task="classification", metric="log_loss")
    probability = predict("classification", model.pipeline, frame[position >= 12_000])
    assert probability.mean() == pytest.approx(label[position >= 12_000].mean(), rel=0.3)
    assert probability.max() > 1.5 * RARE


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "Float64", "bool", "category", "datetime64[ns]"])
def test_a_feature_of_another_type_is_refused_by_name(dtype):
    features = FEATURES.assign(odd=pd.Series(np.ones(len(FEATURES))).astype(dtype))
    with pytest.raises(
        TrainingError, match=rf"must be float64 or text, got \{{'odd': '{dtype.replace('[', chr(92) + '[')}"
    ):
        fit_small("classification", "base_rate", features)


def test_numbers_and_categories_are_told_apart_in_the_frames_order():
    columns = feature_columns(pd.DataFrame({"b": [1.0], "shop": ["S02"], "a": [np.nan], "product": [None]}))
    assert (columns.numeric, columns.categorical) == (("b", "a"), ("shop", "product"))


def test_an_unknown_model_is_refused():
    with pytest.raises(TrainingError, match="no classification model is named 'forest'"):
        fit_small("classification", "forest")


@pytest.mark.parametrize("window", ["fit", "refit"])
def test_a_class_that_no_row_to_learn_from_has_is_named(window):
    label = LABELS["multiclass"].mask((LABELS["multiclass"] == 2) & MASKS[window], 1.0)
    with pytest.raises(TrainingError, match=r"needs labels of every class \(none of high\) in the (fit|refit) window"):
        fit_small("multiclass", "logistic_regression", label=label)


def test_a_class_that_is_not_among_the_newest_rows_is_refused():
    rows = find_model("multiclass", "k_nearest_neighbours").newest_rows
    features = pd.DataFrame({"units": np.arange(rows + 2.0)})
    label = pd.Series(np.arange(len(features)) % 2).where(features["units"] > 0, 2)
    with pytest.raises(TrainingError, match=f"no row among the newest {rows:,}"):
        fit_pipeline(
            find_model("multiclass", "k_nearest_neighbours"), feature_columns(features), 0, {}, features, label
        )


def test_the_check_of_a_calibration_refits_on_rows_before_those_it_judges():
    """A tree of single rows: it knows by heart what it has learned from."""
    asked = replace(small("decision_tree", settings=(("min_samples_leaf", 1),)), calibrations=("isotonic",))
    model = fit(asked, FEATURES, SOLD_OUT, MASKS, task="classification", metric="log_loss")
    assert model.calibration == "isotonic"
    middle, end = ROWS["fit"] + ROWS["validation"] // 2, ROWS["fit"] + ROWS["validation"]
    tree, columns = find_model("classification", "decision_tree"), feature_columns(FEATURES)
    alone = fit_pipeline(tree, columns, 0, model.chosen, FEATURES[:middle], SOLD_OUT[:middle])
    answers, truth = predict("classification", alone, FEATURES[middle:end]), SOLD_OUT[middle:end].to_numpy()
    loss = METRICS["classification"]["log_loss"].compute(truth, answers)
    assert model.calibration_losses["none"] == pytest.approx(loss, abs=1e-12)


def test_probabilities_of_several_classes_are_calibrated_if_that_helps():
    """As a tree of single rows is far too sure."""
    asked = replace(small("decision_tree", settings=(("min_samples_leaf", 1),)), calibrations=("sigmoid", "isotonic"))
    model = fit(
        asked, FEATURES, LABELS["multiclass"], MASKS, task="multiclass", metric="log_loss",
        classes=CLASSES["multiclass"],
    )  # fmt: skip
    assert model.calibration != "none"
    assert model.validation_loss < model.validation_losses["min_samples_leaf=1"]
    probability = predict("multiclass", model.pipeline, LATER)
    assert np.allclose(probability.sum(axis=1), 1)
    assert np.array_equal(model.pipeline.predict(LATER), probability.argmax(axis=1))
