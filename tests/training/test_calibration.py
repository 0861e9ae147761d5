"""A map of the probabilities is taken only if it helps on later rows, and never looks ahead."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from flightline.evaluation.metrics import primary_loss
from flightline.training.calibration import MIN_GAIN, apply_map, check_calibration, fit_map, with_map

LOSS = primary_loss("classification", "log_loss")
METHODS = ("sigmoid", "isotonic")


def shares_and_labels(rows: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make true probabilities and labels drawn by them."""
    random = np.random.default_rng(seed)
    share = random.beta(1, 3, rows)
    return share, (random.random(rows) < share).astype(float)


def too_sure(share: np.ndarray, times: float = 3.0) -> np.ndarray:
    """Stretch the log-odds."""
    return 1 / (1 + ((1 - share) / share) ** times)


SHARE, LABEL = shares_and_labels()
HALF = len(LABEL) // 2


def check(probability: np.ndarray, label: np.ndarray = LABEL, methods: tuple[str, ...] = METHODS, refitted=None):
    """Check with a refitted model that answers as the first one, unless told otherwise."""
    again = probability if refitted is None else refitted
    return check_calibration(methods, probability, label, LOSS, lambda _, later: again[later])


def test_probabilities_that_are_right_are_left_alone():
    checked = check(SHARE)
    assert checked.method == "none"
    assert np.array_equal(checked.calibrated, SHARE)
    assert set(checked.losses) == {"none", *METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_that_are_too_sure_are_brought_back(method):
    checked = check(too_sure(SHARE), methods=(method,))
    assert checked.method == method
    assert LOSS(LABEL, checked.calibrated) == pytest.approx(LOSS(LABEL, SHARE), rel=0.03)


def test_a_map_that_helped_only_earlier_is_not_taken():
    probability = np.concatenate([too_sure(SHARE[:HALF]), SHARE[HALF:]])
    assert check(probability).method == "none"


def test_a_map_is_not_taken_if_newer_rows_teach_the_model_the_same():
    low = SHARE / 2
    assert check(low).method != "none"
    taught = check(low, refitted=SHARE)
    assert taught.method == "none"
    assert taught.losses["none"] == pytest.approx(LOSS(LABEL[HALF:], SHARE[HALF:]))


def test_a_model_that_needs_no_map_is_not_fitted_again():
    def refit(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        raise AssertionError("not asked for")

    assert check_calibration(METHODS, SHARE, LABEL, LOSS, refit).method == "none"


def test_the_second_model_answers_the_later_half_alone():
    asked = []

    def refit(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        asked.append((earlier.tolist(), later.tolist()))
        return too_sure(SHARE)[later]

    check_calibration(METHODS, too_sure(SHARE), LABEL, LOSS, refit)
    assert asked == [(list(range(HALF)), list(range(HALF, len(LABEL))))]


def test_a_gain_below_the_margin_is_not_taken():
    nearly = too_sure(SHARE, 1.08)
    checked = check(nearly)
    assert checked.method == "none"
    assert min(checked.losses.values()) > checked.losses["none"] * (1 - MIN_GAIN)


def test_the_check_does_not_learn_from_the_later_half():
    turned = LABEL.copy()
    turned[HALF:] = 1 - turned[HALF:]
    assert check(too_sure(SHARE), turned).losses["sigmoid"] > 1


@pytest.mark.parametrize("half", [slice(None, 2_000), slice(2_000, None)], ids=["earlier", "later"])
def test_a_half_of_one_class_is_left_alone(half):
    label = LABEL.copy()
    label[half] = 0
    assert check(too_sure(SHARE), label).method == "none"


def test_nothing_is_tried_without_methods():
    assert check(too_sure(SHARE), methods=()).method == "none"


@pytest.mark.parametrize("method", METHODS)
def test_a_map_rises_and_stays_off_the_ends(method):
    probability = np.array([0.0, 1e-9, 0.1, 0.5, 0.9, 1.0])
    mapped = apply_map(fit_map(method, SHARE, LABEL), probability)
    assert np.all(np.diff(mapped) >= 0)
    assert np.all((mapped > 0) & (mapped < 1))


@pytest.mark.parametrize("method", METHODS)
def test_a_pipeline_with_a_map_answers_as_one_without(method):
    features = SHARE[:, None]
    pipeline = Pipeline([("model", LogisticRegression().fit(features, LABEL))])
    plain = pipeline.predict_proba(features)[:, 1]
    probability_map = fit_map(method, plain, LABEL)
    mapped = with_map(pipeline, probability_map)
    assert np.array_equal(mapped.predict_proba(features)[:, 1], apply_map(probability_map, plain))
    assert np.allclose(mapped.predict_proba(features).sum(axis=1), 1)
    assert np.array_equal(mapped.predict(features), (mapped.predict_proba(features)[:, 1] >= 0.5).astype(float))
    assert np.array_equal(mapped.classes_, [0, 1])


def test_a_step_of_few_rows_is_not_taken_for_certain():
    rows = 40
    probability = np.linspace(0.01, 0.99, rows)
    lowest, highest = apply_map(
        fit_map("isotonic", probability, (probability > 0.5).astype(float)), probability[[0, -1]]
    )
    assert 1 / (rows + 1) < lowest < 0.1
    assert 0.9 < highest < rows / (rows + 1)


def of_three_classes(rows: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Make true probabilities of three classes, and labels drawn by them."""
    random = np.random.default_rng(0)
    share = random.dirichlet([2, 1, 1], rows)
    return share, (random.random(rows)[:, None] > share.cumsum(axis=1)[:, :2]).sum(axis=1).astype(float)


@pytest.mark.parametrize("method", METHODS)
def test_each_class_is_mapped_against_the_rest(method):
    share, label = of_three_classes()
    sure = share**3 / (share**3).sum(axis=1, keepdims=True)
    loss = primary_loss("multiclass", "log_loss")
    checked = check_calibration((method,), sure, label, loss, lambda _, later: sure[later])
    assert checked.method == method
    assert np.allclose(checked.calibrated.sum(axis=1), 1)
    assert loss(label, checked.calibrated) == pytest.approx(loss(label, share), rel=0.05)
    assert loss(label, sure) > 1.3 * loss(label, share)


def test_a_class_that_a_half_lacks_leaves_all_alone():
    share, label = of_three_classes()
    label[: len(label) // 2][label[: len(label) // 2] == 2] = 1
    loss = primary_loss("multiclass", "log_loss")
    assert check_calibration(METHODS, share**3, label, loss, lambda _, later: share[later]).method == "none"
