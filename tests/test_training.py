"""Settings are chosen on the validation window, the refit takes all before the test, the test stays untouched."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from flightline.errors import TrainingError
from flightline.models import ZOO
from flightline.training import TrainingParameters, feature_columns, fit

ROWS = {"fit": 1_000, "validation": 500, "test": 300}


def make_examples(seed: int = 0) -> tuple[pd.DataFrame, pd.Series, dict[str, pd.Series]]:
    """Make features, label and masks: fit, then validation, then test, as time goes by."""
    random = np.random.default_rng(seed)
    window = pd.Series(np.repeat(list(ROWS), list(ROWS.values())))
    delay = random.normal(0, 1, len(window))
    features = pd.DataFrame({"delay": delay, "carrier": random.choice(["AA", "UA"], len(window)).astype(object)})
    label = pd.Series((random.random(len(window)) < 1 / (1 + np.exp(-2 * delay))).astype(float))
    masks = {name: window == name for name in ROWS}
    return features, label, masks | {"refit": ~masks["test"]}


FEATURES, LABEL, MASKS = make_examples()
LATER = FEATURES[MASKS["test"]]
# Few iterations and settings: what is tested is who sees which rows.
SMALL = {name: TrainingParameters(model=name, max_iterations=30, inverse_regularisations=(0.001, 1.0)) for name in ZOO}


def answers(name: str, features: pd.DataFrame = FEATURES, label: pd.Series = LABEL) -> np.ndarray:
    return fit(SMALL[name], features, label, MASKS).pipeline.predict_proba(LATER)


POISONS = {
    "no labels": (FEATURES, LABEL.mask(MASKS["test"])),
    "labels turned round": (FEATURES, LABEL.where(~MASKS["test"], 1 - LABEL)),
    "labels of another kind": (FEATURES, LABEL.mask(MASKS["test"], 7.0)),
    "huge numbers": (FEATURES.assign(delay=FEATURES["delay"].mask(MASKS["test"], 1e300)), LABEL),
    "other categories": (FEATURES.assign(carrier=FEATURES["carrier"].mask(MASKS["test"], "poison")), LABEL),
}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("name", ZOO)
def test_the_test_rows_are_never_touched(name, poison):
    assert np.array_equal(answers(name, *POISONS[poison]), answers(name))


@pytest.mark.parametrize("name", sorted(set(ZOO) - {"base_rate"}))
def test_the_choice_follows_the_validation_rows(name):
    contrary = LABEL.where(~MASKS["validation"], 1 - LABEL)
    least, most = {
        "hist_gradient_boosting": ({"max_iter": 10}, {"max_iter": 30}),
        "logistic_regression": ({"inverse_regularisation": 0.001}, {"inverse_regularisation": 1.0}),
    }[name]
    assert fit(SMALL[name], FEATURES, LABEL, MASKS).chosen == most
    assert fit(SMALL[name], FEATURES, contrary, MASKS).chosen == least


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("base_rate", ["default"]),
        ("logistic_regression", ["inverse_regularisation=0.001", "inverse_regularisation=1.0"]),
        ("hist_gradient_boosting", ["max_iter=10", "max_iter=20", "max_iter=30"]),
    ],
)
def test_what_was_tried_is_told_and_the_best_is_chosen(name, tried):
    model = fit(SMALL[name], FEATURES, LABEL, MASKS)
    assert list(model.validation_log_loss) == tried
    best = min(model.validation_log_loss, key=model.validation_log_loss.get)
    assert best == (", ".join(f"{key}={value}" for key, value in model.chosen.items()) or "default")


@pytest.mark.parametrize("name", ZOO)
def test_the_validation_loss_is_that_of_a_model_fitted_on_the_fit_rows(name):
    model = fit(SMALL[name], FEATURES, LABEL, MASKS)
    columns = feature_columns(FEATURES)
    alone = ZOO[name](columns, 0, **model.chosen).fit(FEATURES[MASKS["fit"]], LABEL[MASKS["fit"]])
    later = alone.predict_proba(FEATURES[MASKS["validation"]])[:, 1]
    assert min(model.validation_log_loss.values()) == pytest.approx(
        log_loss(LABEL[MASKS["validation"]], later), abs=1e-12
    )


@pytest.mark.parametrize("name", ZOO)
def test_the_model_is_fitted_on_all_before_the_test(name):
    model = fit(SMALL[name], FEATURES, LABEL, MASKS)
    again = ZOO[name](feature_columns(FEATURES), 0, **model.chosen).fit(FEATURES[MASKS["refit"]], LABEL[MASKS["refit"]])
    assert np.array_equal(model.pipeline.predict_proba(LATER), again.predict_proba(LATER))


def test_the_base_rate_is_that_of_fit_and_validation_together():
    label = pd.Series([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    masks = {"fit": label.index < 2, "validation": (label.index >= 2) & (label.index < 4), "refit": label.index < 4}
    model = fit(SMALL["base_rate"], pd.DataFrame({"delay": np.zeros(7)}), label, masks)
    assert model.pipeline.predict_proba(pd.DataFrame({"delay": [0.0]}))[0, 1] == 0.75


def test_iterations_below_ten_are_tried_too():
    model = fit(TrainingParameters(max_iterations=3), FEATURES, LABEL, MASKS)
    assert list(model.validation_log_loss) == ["max_iter=3"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (LABEL * 0, "in the fit window, got \\[0.0\\]"),
        (LABEL * 0 + 1, "in the fit window, got \\[1.0\\]"),
        (LABEL.where(~MASKS["fit"], 0.0), "in the fit window, got \\[0.0\\]"),
        (LABEL * 2, "got \\[0.0, 2.0\\]"),
        (LABEL.where(LABEL.index != 3), "and 1 missing"),
        (LABEL.where(LABEL.index != 1_200), "in the refit window.* and 1 missing"),
    ],
    ids=["never", "always", "never in the fit window", "not 0 and 1", "one unknown", "one unknown in validation"],
)
@pytest.mark.parametrize("name", ZOO)
def test_labels_that_cannot_be_learned_from_are_refused(name, label, message):
    with pytest.raises(TrainingError, match=message):
        fit(SMALL[name], FEATURES, label, MASKS)


@pytest.mark.parametrize("feature", ["delay", "carrier"])
def test_a_feature_that_is_never_there_is_refused_by_name(feature):
    features = FEATURES.assign(**{feature: FEATURES[feature].mask(MASKS["fit"])})
    with pytest.raises(TrainingError, match=f"no row of the fit window has a value of: {feature};"):
        fit(SMALL["hist_gradient_boosting"], features, LABEL, MASKS)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_in_validation_can_still_be_judged(value):
    model = fit(SMALL["logistic_regression"], FEATURES, LABEL.mask(MASKS["validation"], value), MASKS)
    assert np.isfinite(list(model.validation_log_loss.values())).all()


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "Float64", "bool", "category", "datetime64[ns]"])
def test_a_feature_of_another_type_is_refused_by_name(dtype):
    features = FEATURES.assign(odd=pd.Series(np.ones(len(FEATURES))).astype(dtype))
    with pytest.raises(
        TrainingError, match=rf"must be float64 or text, got \{{'odd': '{dtype.replace('[', chr(92) + '[')}"
    ):
        fit(SMALL["base_rate"], features, LABEL, MASKS)


def test_numbers_and_categories_are_told_apart_in_the_frames_order():
    columns = feature_columns(pd.DataFrame({"b": [1.0], "carrier": ["UA"], "a": [np.nan], "dest": [None]}))
    assert (columns.numeric, columns.categorical) == (("b", "a"), ("carrier", "dest"))


def test_an_unknown_model_is_refused():
    with pytest.raises(TrainingError, match="no model is named 'forest'"):
        fit(TrainingParameters(model="forest"), FEATURES, LABEL, MASKS)
