"""Metrics, calibration and slices worked out by hand."""

from math import log

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from flightline.core.errors import TrainingError
from flightline.evaluation.metrics import (
    LOWER_IS_BETTER,
    METRICS,
    calibration_table,
    evaluate,
    expected_calibration_error,
    metrics_of,
    primary_loss,
    rows_digest,
)

SLICE_ROWS = 300
HALF_RIGHT = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.8])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("log_loss", -(log(0.9) + log(0.4) + log(0.4) + log(0.8)) / 4),
        ("brier", (0.01 + 0.36 + 0.36 + 0.04) / 4),
        ("roc_auc", 3 / 4),  # of the four pairs only 0.6 before 0.4 is out of order
        ("pr_auc", 0.5 * 1 + 0.5 * 2 / 3),
        ("ece", (0.1 + 0.6 + 0.6 + 0.2) / 4),  # four rows, each a bin of its own
    ],
)
def test_metrics_of_four_rows(metric, expected):
    assert metrics_of("classification", *HALF_RIGHT)[metric] == pytest.approx(expected)


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_ranking_metrics_need_both_classes(label):
    metrics = metrics_of("classification", np.array(label), np.array([0.2, 0.4]))
    assert {name for name, value in metrics.items() if np.isnan(value)} == {"roc_auc", "pr_auc"}


def test_a_sure_and_wrong_answer_costs_a_finite_loss():
    loss = metrics_of("classification", np.array([0, 1]), np.array([1.0, 1.0]))["log_loss"]
    assert loss == pytest.approx(-log(np.finfo(float).eps) / 2)


def test_the_metrics_where_lower_is_better_are_known():
    assert set(metrics_of("classification", *HALF_RIGHT)) - LOWER_IS_BETTER == {"roc_auc", "pr_auc"}


TRUTH, PREDICTED = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rmse", (10 / 4) ** 0.5),
        ("mae", 4 / 4),
        ("r2", 1 - 10 / 14),
        ("calibration_error", (0 + 3 * abs(3 - 11 / 3)) / 4),  # three rows of equal prediction share their mean
    ],
)
def test_metrics_of_four_numbers(metric, expected):
    assert metrics_of("regression", TRUTH, PREDICTED)[metric] == pytest.approx(expected)


def test_labels_that_are_all_equal_have_no_r2():
    metrics = metrics_of("regression", np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert {name for name, value in metrics.items() if np.isnan(value)} == {"r2"}


def test_numbers_are_evaluated_by_the_metrics_of_a_regression():
    slices = pd.DataFrame({"page": ["a"] * SLICE_ROWS})
    label = pd.Series(np.linspace(0, 1, SLICE_ROWS))
    judged = evaluate("regression", pd.Series(range(SLICE_ROWS)), label, label.to_numpy() + 0.5, slices, SLICE_ROWS)
    assert judged.metrics == {name: pytest.approx(judged.slices[name][0]) for name in METRICS["regression"]}
    assert judged.slices[["predicted", "observed"]].to_numpy().tolist() == [[pytest.approx(1), pytest.approx(0.5)]]
    assert (judged.calibration["predicted"] - judged.calibration["observed"]).tolist() == pytest.approx([0.5] * 10)


def test_a_loss_is_found_by_task_and_name():
    assert primary_loss("regression", "mae")(TRUTH, PREDICTED) == 1


@pytest.mark.parametrize("metric", ["roc_auc", "rmse", "accuracy"])
def test_what_is_no_loss_of_the_task_is_refused(metric):
    with pytest.raises(TrainingError, match=f"'{metric}' is no loss of a classification; .*log_loss, brier, ece"):
        primary_loss("classification", metric)


def test_calibration_in_bins_of_equal_count():
    table = calibration_table(np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.3, 0.2, 0.9, 0.7]), bins=2)
    assert table["rows"].tolist() == [3, 2]
    assert table["predicted"].tolist() == pytest.approx([0.2, 0.8])
    assert table["observed"].tolist() == pytest.approx([1 / 3, 1])


@pytest.mark.parametrize(("rows", "bins"), [(1, 1), (9, 9), (10, 10), (25, 10)])
def test_there_are_no_more_bins_than_rows(rows, bins):
    table = calibration_table(np.zeros(rows), np.linspace(0, 1, rows))
    assert (len(table), table["rows"].sum()) == (bins, rows)


@pytest.mark.parametrize(
    ("label", "probability", "expected"),
    [
        ([0, 1], [0.0, 1.0], 0),
        ([0, 1], [1.0, 0.0], 1),
        ([0, 0, 0, 1] * 10, [0.25] * 40, 0),
        ([0, 0, 0, 1] * 10, [0.5] * 40, 0.25),
        ([0] * 20 + [1] * 20, [0.5] * 40, 0),
        ([0] * 20 + [1] * 20, [0.2] * 20 + [0.9] * 20, 0.15),
        ([0] * 2 + [1] * 9, [0.5] * 2 + [1.0] * 9, 0.5 * 2 / 11),
    ],
    ids=[
        "right",
        "wrong",
        "base rate",
        "too sure",
        "equal answers in order of time",
        "each half off",
        "bins of unequal size",
    ],
)
def test_expected_calibration_error(label, probability, expected):
    assert expected_calibration_error(np.array(label), np.array(probability)) == pytest.approx(expected)


def test_calibration_does_not_depend_on_the_order_of_rows():
    random = np.random.default_rng(0)
    label, probability = random.integers(0, 2, 500), random.integers(0, 4, 500) / 4
    order = random.permutation(500)
    assert expected_calibration_error(label[order], probability[order]) == expected_calibration_error(
        label, probability
    )


IDS, LABEL = pd.Series(["a", "b", "c"]), pd.Series([1.0, 0.0, 1.0])


def test_the_digest_does_not_depend_on_the_order_of_rows():
    order = [2, 0, 1]
    assert rows_digest(IDS.iloc[order], LABEL.iloc[order]) == rows_digest(IDS, LABEL)


def test_the_digest_does_not_depend_on_how_labels_are_stored():
    assert rows_digest(IDS, LABEL.astype("Int64")) == rows_digest(IDS, LABEL.astype("int8")) == rows_digest(IDS, LABEL)


@pytest.mark.parametrize(
    ("ids", "label"),
    [
        (["a", "b", "c"], [1, 1, 1]),
        (["a", "b", "d"], [1, 0, 1]),
        (["a", "b"], [1, 0]),
        (["b", "a", "c"], [1, 0, 1]),
        (["a", "b", "c", "c"], [1, 0, 1, 1]),
        (["a", "b", "c"], [1, 0.25, 1]),
    ],
    ids=["another label", "another row", "a row less", "labels swapped", "a row twice", "a share"],
)
def test_other_rows_have_another_digest(ids, label):
    assert rows_digest(pd.Series(ids), pd.Series(label)) != rows_digest(IDS, LABEL)


@pytest.fixture(scope="module")
def evaluation():
    """Two cities large enough to be judged, one a row too small; the second always sells out."""
    sizes = {"Bergen": SLICE_ROWS, "Tartu": SLICE_ROWS + 1, "Oslo": SLICE_ROWS - 1}
    city = pd.Series(np.repeat(list(sizes), list(sizes.values())))
    label = pd.Series(np.where(city == "Tartu", 1, np.arange(len(city)) % 2))
    slices = pd.DataFrame({"city": city, "shop": "S01"})
    return evaluate(
        "classification", pd.Series(range(len(label))), label, np.full(len(label), 0.25), slices, SLICE_ROWS
    )


def test_slices_are_those_with_rows_enough(evaluation):
    assert evaluation.slices[["slice", "value", "rows", "observed"]].to_numpy().tolist() == [
        ["city", "Bergen", 300, 0.5],
        ["city", "Tartu", 301, 1.0],
        ["shop", "S01", 900, pytest.approx((150 + 301 + 150) / 900)],
    ]


def test_the_problem_says_how_many_rows_a_slice_needs():
    judged = evaluate("classification", IDS, LABEL, np.full(3, 0.5), pd.DataFrame({"city": ["a", "a", "b"]}), 2)
    assert judged.slices["value"].tolist() == ["a"]


def test_a_slices_metrics_are_of_its_own_rows(evaluation):
    by_city = evaluation.slices.set_index("value")
    assert by_city.loc["Tartu", "log_loss"] == pytest.approx(-log(0.25))
    assert by_city.loc["Bergen", "brier"] == pytest.approx((0.75**2 + 0.25**2) / 2)
    assert np.isnan(by_city.loc["Tartu", "roc_auc"])


def test_the_whole_is_counted_and_named(evaluation):
    assert evaluation.rows == 900
    assert set(evaluation.metrics) == {"log_loss", "brier", "roc_auc", "pr_auc", "ece"}
    assert evaluation.calibration["rows"].sum() == 900


def test_without_a_large_slice_the_table_is_empty_with_its_columns():
    few = evaluate(
        "classification", IDS, LABEL, np.array([0.5, 0.5, 0.5]), pd.DataFrame({"city": ["Bergen"] * 3}), SLICE_ROWS
    )
    assert len(few.slices) == 0
    assert {"slice", "value", "rows", "observed", "log_loss"} <= set(few.slices)


THREE = np.array([0, 1, 2, 0]), np.array([[0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.4, 0.4]])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("log_loss", -(log(0.6) + log(0.3) + log(0.8) + log(0.2)) / 4),
        ("brier", (0.24 + 0.78 + 0.06 + 0.96) / 4),
        ("accuracy", 2 / 4),
        ("roc_auc", ((3 / 4) + (2 / 3) + 1) / 3),  # one pair out of order of class 0, one of class 1
        # Four rows, each a bin of its own: by class the distances of its probabilities from its labels.
        ("ece", ((0.4 + 0.5 + 0.1 + 0.8) + (0.2 + 0.7 + 0.1 + 0.4) + (0.2 + 0.2 + 0.2 + 0.4)) / 12),
    ],
)
def test_metrics_of_four_rows_of_three_classes(metric, expected):
    assert metrics_of("multiclass", *THREE)[metric] == pytest.approx(expected)


def test_metrics_of_several_classes_are_scikit_learns():
    random = np.random.default_rng(0)
    share, label = random.dirichlet([1, 1, 1, 1], 300), random.integers(0, 4, 300)
    metrics = metrics_of("multiclass", label, share)
    assert metrics["log_loss"] == pytest.approx(log_loss(label, share))
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(label, share, multi_class="ovr", average="macro"))


def test_a_class_that_no_row_has_is_left_out_of_the_ranking():
    label, share = np.array([0, 1]), np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert metrics_of("multiclass", label, share)["roc_auc"] == 1
    assert np.isnan(metrics_of("multiclass", label[:1], share[:1])["roc_auc"])


def test_several_classes_are_evaluated_class_by_class():
    slices = pd.DataFrame({"city": ["Bergen"] * 4})
    judged = evaluate(
        "multiclass", pd.Series(range(4)), pd.Series(THREE[0]), THREE[1], slices, 2, ("fog", "ice", "sun")
    )
    assert judged.calibration.groupby("class", sort=False)["rows"].sum().to_dict() == {"fog": 4, "ice": 4, "sun": 4}
    assert judged.slices[["predicted", "observed"]].to_numpy().tolist() == [[pytest.approx(2.3 / 4), 0.5]]
    assert {name: judged.slices[name][0] for name in METRICS["multiclass"]} == judged.metrics
