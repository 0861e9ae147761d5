"""Metrics of a span of days: equal to those of the evaluation, with intervals that hold."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flightline.evaluation.metrics import as_event, metrics_of
from flightline.monitoring.window_metrics import bin_edges, independence_of, measure, metrics_of_days, sum_by_day

RNG = np.random.default_rng(0)
TASK_METRIC = {"classification": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
CLASSES = ("fog", "ice", "sun")


def rows_of(task: str, days: int = 7, each: int = 200, seed: int = 0, slope: float = 1.0):
    rng = np.random.default_rng(seed)
    times = pd.Series(pd.date_range("2026-01-01", periods=days, freq="D", tz="UTC").repeat(each))
    score = rng.normal(-1.5, 0.8, days * each)
    if task == "multiclass":
        return times, *three_classes(rng, score, slope)
    if task == "classification":
        label = (rng.random(len(score)) < 1 / (1 + np.exp(-score))).astype(float)
        predicted = 1 / (1 + np.exp(-(score.mean() + (score - score.mean()) / slope)))
    else:
        label, predicted = score + rng.normal(0, 1, len(score)), score.mean() + (score - score.mean()) / slope
    return times, label, np.round(predicted, 3)


def three_classes(rng: np.random.Generator, score: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw classes by a softmax of the score, predicted with its logits divided by the slope."""
    logits = np.stack([score, 0.5 * score, np.full(len(score), -1.0)], axis=1)
    share, predicted = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (logits, logits / slope))
    label = (rng.random(len(score))[:, None] > share.cumsum(axis=1)[:, :2]).sum(axis=1).astype(float)
    return label, predicted


def summed(task: str, **of: object):
    times, label, predicted = rows_of(task, **of)
    classes = CLASSES if task == "multiclass" else ()
    rows = sum_by_day(task, TASK_METRIC[task], times, label, predicted, bin_edges(predicted), classes)
    return rows, label, predicted


@pytest.mark.parametrize("task", TASK_METRIC)
def test_metrics_are_those_of_the_evaluation(task):
    rows, label, predicted = summed(task)
    found, known = measure(rows, 0.95), metrics_of(task, label, predicted)
    shared = found.keys() & known.keys() - {"ece"}  # whose bins are the reference's here
    assert shared >= ({"rmse", "mae"} if task == "regression" else {"log_loss", "brier", "roc_auc"})
    assert {name: found[name].value for name in shared} == pytest.approx({name: known[name] for name in shared})
    event, chance = as_event(task, label, predicted)
    assert found["gap"].value == pytest.approx(event.mean() - chance.mean())
    if task == "multiclass":
        gaps = [found[f"gap of {name}"].value for name in CLASSES]
        assert gaps == pytest.approx([(label == k).mean() - predicted[:, k].mean() for k in range(3)])


@pytest.mark.parametrize("task", TASK_METRIC)
def test_a_resample_is_what_its_days_would_give(task):
    """Days counted twice are the same as rows given twice."""
    rows, _, _ = summed(task)
    places = np.array([0, 0, 3, 5, 5, 5, 6])
    times = np.bincount(places, minlength=7)[None, :].astype(float)
    direct = metrics_of_days(rows.take(places), np.ones((1, 7)))
    assert {name: value[0] for name, value in metrics_of_days(rows, times).items()} == pytest.approx(
        {name: value[0] for name, value in direct.items()}
    )


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(("slope", "is_near"), [(1.0, True), (0.7, False), (1.4, False)])
def test_the_slope_tells_bold_from_timid(task, slope, is_near):
    found = measure(summed(task, each=2000, slope=slope)[0], 0.95)["slope"]
    assert (found.lower < 1 < found.upper) is is_near
    assert (found.value < 1) is (slope < 1) or is_near


@pytest.mark.parametrize("task", ["classification", "multiclass"])
def test_what_probabilities_promise_is_kept_by_right_ones_only(task):
    right, bold = (measure(summed(task, each=2000, slope=s)[0], 0.95)["excess"] for s in (1.0, 0.5))
    assert right.lower < 0 < right.upper
    assert bold.lower > 0.02


def test_with_one_day_nothing_is_said_of_the_bounds():
    one = measure(summed("classification", days=1)[0], 0.95)["gap"]
    assert np.isfinite(one.value)
    assert np.isnan([one.lower, one.upper]).all()


def test_labels_of_one_kind_have_no_auc_and_fail_nothing():
    rows = sum_by_day(
        "classification", "log_loss", rows_of("classification")[0], np.zeros(1400), np.full(1400, 0.2), np.array([0.1])
    )
    assert np.isnan(measure(rows, 0.95)["roc_auc"].value)


def test_a_class_that_no_row_has_is_left_out_of_the_auc():
    times, label, predicted = rows_of("multiclass")
    label[label == 2] = 1
    rows = sum_by_day("multiclass", "log_loss", times, label, predicted, bin_edges(predicted), CLASSES)
    assert measure(rows, 0.95)["roc_auc"].value == pytest.approx(metrics_of("multiclass", label, predicted)["roc_auc"])
    assert rows.observed_classes == 2


def test_bounds_of_all_classes_hold_at_once():
    """One class in three would otherwise be found guilty three times as often."""
    rows = summed("multiclass", days=28)[0]
    found = measure(rows, 0.95)
    alone = measure(replace(rows, classes=("fog",)), 0.95)
    wide, narrow = found["gap of fog"], alone["gap of fog"]
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_bounds_hold_about_as_often_as_they_say():
    """Seven days of unequal means: each bound is asked to hold in 95 of 100; plain percentiles hold in about 88."""
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        label = np.repeat(rng.normal(0, 1, 7), 20) + rng.normal(0, 1, 140)
        times = pd.Series(pd.date_range("2026-01-01", periods=7, freq="D", tz="UTC").repeat(20))
        rows = sum_by_day("regression", "rmse", times, label, np.zeros(140), np.array([0.0]))
        gap = measure(rows, 0.95, resamples=500)["gap"]
        held += [gap.lower <= 0, gap.upper >= 0]
    assert 0.92 <= np.mean(held) <= 0.98


def days_alike(seed: int, days: int, alike: float = 0.6):
    """Rows of a regression whose days hang together, predicted by their mean."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 1, days)
    for day in range(1, days):
        level[day] = alike * level[day - 1] + np.sqrt(1 - alike**2) * level[day]
    label = np.repeat(level, 10) + rng.normal(0, 0.5, 10 * days)
    times = pd.Series(pd.date_range("2026-01-01", periods=days, freq="D", tz="UTC").repeat(10))
    return sum_by_day("regression", "rmse", times, label, np.zeros(10 * days), np.array([0.0]))


def test_bounds_of_days_that_hang_together_hold_by_what_the_reference_says_of_them():
    """As if its days were independent each bound of a week holds in 4 of 5; 19 of 20 are asked."""
    independence = independence_of(days_alike(0, 240), 7)
    assert independence["gap"] == pytest.approx(0.35, abs=0.1)
    held: dict[str, list[bool]] = {"apart": [], "together": []}
    for seed in range(1, 301):
        rows = days_alike(seed, 7)
        for name, known in (("apart", {}), ("together", independence)):
            gap = measure(rows, 0.95, known, resamples=500)["gap"]
            held[name] += [gap.lower <= 0, gap.upper >= 0]
    assert np.mean(held["apart"]) < 0.88
    assert np.mean(held["together"]) > 0.93
