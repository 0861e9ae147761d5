"""The paired bootstrap of days: equal to a loop, right about as often as it says, and quick."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from flightline.evaluation.bootstrap import (
    LEAST_DAYS,
    DailyLosses,
    Improvement,
    daily_losses,
    effective_days,
    paired_improvement,
    paired_improvements,
    resample_days,
    tail_of_few,
    weighted_bounds,
)


def of_days(*means: float, count: int = 10) -> DailyLosses:
    days = pd.date_range("2013-09-01", periods=len(means)).strftime("%Y-%m-%d")
    return DailyLosses(tuple(days), tuple(mean * count for mean in means), (count,) * len(means))


def test_losses_are_summed_by_utc_day():
    times = pd.Series(pd.to_datetime(["2013-09-02T23:59Z", "2013-09-01T00:00Z", "2013-09-02T00:00Z"]))
    daily = daily_losses(times, np.array([1.0, 2.0, 4.0]))
    assert daily == DailyLosses(("2013-09-01", "2013-09-02"), (2.0, 5.0), (1, 2))
    assert (daily.rows, daily.mean) == (3, 7 / 3)


def test_a_missing_loss_is_not_hidden():
    times = pd.Series(pd.to_datetime(["2013-09-02T10:00Z", "2013-09-02T11:00Z"]))
    assert np.isnan(daily_losses(times, np.array([1.0, np.nan])).mean)


def test_a_difference_equal_on_all_days_is_certain():
    got = paired_improvement(of_days(0.5, 0.4, 0.6), of_days(0.6, 0.5, 0.7), 0.95)
    assert (got.estimate, got.lower, got.upper) == pytest.approx((0.1, 0.1, 0.1))


def test_what_makes_a_day_hard_for_both_cancels():
    hard = np.array([0.2, 0.9, 0.3, 0.8])
    got = paired_improvement(of_days(*hard), of_days(*(hard + 0.01)), 0.95)
    assert got.upper - got.lower == pytest.approx(0.0, abs=1e-12)


def test_the_bounds_can_be_checked_by_hand():
    # Two days, gains 0 and 1: a resample's mean is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4.
    first, second = of_days(0.0, 0.0), of_days(0.0, 1.0)
    # Of 2 days the tails are widened: at 70 % to .152, at 60 % to .323 of the resamples.
    assert paired_improvement(first, second, 0.7) == Improvement(0.5, 0.0, 1.0)
    assert paired_improvement(first, second, 0.6) == Improvement(0.5, 0.5, 0.5)


def test_one_day_bounds_nothing():
    assert paired_improvement(of_days(0.4), of_days(0.6), 0.95) == Improvement(
        pytest.approx(0.2), -float("inf"), float("inf")
    )


def test_days_weigh_by_their_rows():
    first = DailyLosses(("a", "b"), (0.0, 0.0), (1, 99))
    second = DailyLosses(("a", "b"), (1.0, 0.0), (1, 99))
    assert paired_improvement(first, second, 0.95).estimate == pytest.approx(0.01)


def test_it_equals_a_loop_over_resamples():
    rng = np.random.default_rng(3)
    counts = tuple(rng.integers(1, 50, 12).tolist())
    names = tuple(f"2013-09-{day:02}" for day in range(1, 13))
    first, second = (DailyLosses(names, tuple((rng.random(12) * counts).tolist()), counts) for _ in range(2))
    means = []
    for drawn in np.random.default_rng(7).integers(0, 12, size=(300, 12)):
        gain = sum(second.sums[day] - first.sums[day] for day in drawn)
        means.append(gain / sum(counts[day] for day in drawn))
    got, tail = paired_improvement(first, second, 0.9, resamples=300, seed=7), tail_of_few(0.1, 12)
    assert (got.lower, got.upper) == pytest.approx(tuple(np.quantile(means, [tail, 1 - tail])))


def test_the_same_seed_gives_the_same_bounds():
    first, second = of_days(0.5, 0.1, 0.9), of_days(0.6, 0.3, 0.8)
    assert paired_improvement(first, second, 0.95) == paired_improvement(first, second, 0.95)


def test_swapping_the_models_mirrors_the_bounds():
    first, second = of_days(0.5, 0.1, 0.9, 0.4), of_days(0.6, 0.3, 0.8, 0.5)
    there, back = paired_improvement(first, second, 0.95), paired_improvement(second, first, 0.95)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))


def test_every_resample_has_as_many_days():
    times = resample_days(5, resamples=40, seed=1)
    assert times.shape == (40, 5)
    assert (times.sum(axis=1) == 5).all()


@pytest.mark.parametrize(("days", "least"), [(7, 0.935), (10, 0.93), (30, 0.92), (120, 0.925)])
def test_the_lower_bound_holds_about_as_often_as_it_says(days, least):
    # Gains with a heavy tail and unequal days, true mean 0.2. Plain percentiles of 7 and 10 days hold in .91 of cases.
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(800):
        counts = rng.integers(100, 1100, days)
        gains = (0.2 + rng.standard_t(4, days)) * counts
        names = tuple(str(day) for day in range(days))
        second = DailyLosses(names, tuple(gains), tuple(counts.tolist()))
        first = DailyLosses(names, (0.0,) * days, second.counts)
        held += paired_improvement(first, second, 0.95, resamples=500).lower <= 0.2
    assert least <= held / 800 <= 0.97


@pytest.mark.parametrize(
    "other",
    [
        of_days(0.5, 0.5, 0.5),
        of_days(0.5, 0.5, count=9),
        of_days(np.nan, 0.5),
        of_days(np.inf, 0.5),
    ],
    ids=["other days", "other counts", "NaN", "infinite"],
)
def test_what_cannot_be_compared_gives_no_bounds(other):
    got = paired_improvement(other, of_days(np.inf, 0.5) if np.inf in other.sums else of_days(0.5, 0.5), 0.95)
    assert np.isnan(got.lower)
    assert np.isnan(got.upper)


def test_no_rows_have_no_mean():
    empty = DailyLosses((), (), ())
    assert np.isnan(empty.mean)
    assert np.isnan(paired_improvement(empty, empty, 0.95).lower)


def test_small_slices_are_left_out_and_are_no_tests():
    first = {"large": of_days(0.5, 0.4, 0.7), "few rows": of_days(0.5, 0.4, 0.7, count=1), "few days": of_days(0.5)}
    second = {"large": of_days(0.6, 0.6, 0.6), "few rows": of_days(0.6, 0.6, 0.6, count=1), "few days": of_days(0.6)}
    got = paired_improvements(first, second, 0.95, min_rows=10, min_days=2)
    assert got == {"large": paired_improvement(first["large"], second["large"], 0.95)}


def test_bounds_of_many_slices_hold_at_once():
    rng = np.random.default_rng(5)
    first = {str(i): of_days(*rng.random(40)) for i in range(5)}
    second = {str(i): of_days(*rng.random(40)) for i in range(5)}
    got = paired_improvements(first, second, 0.95, min_rows=1, min_days=1)
    assert got["3"] == paired_improvement(first["3"], second["3"], 0.99)


def hanging(alike: float, count: int, seed: int = 0) -> np.ndarray:
    """Values of mean 0 and deviation 1, each so much like the one before."""
    values = np.random.default_rng(seed).normal(size=count)
    for day in range(1, count):
        values[day] = alike * values[day - 1] + np.sqrt(1 - alike**2) * values[day]
    return values


@pytest.mark.parametrize(("alike", "worth"), [(0.0, 7.0), (0.3, 4.2), (0.6, 2.4)])
def test_days_that_hang_together_are_worth_fewer(alike, worth):
    """The mean of 7 such days spreads as that of so many independent ones, here by the formula for a chain."""
    found = np.median([effective_days(hanging(alike, 240, seed), 7) for seed in range(60)])
    assert found == pytest.approx(worth, abs=0.6)


def test_of_few_days_or_equal_ones_nothing_is_taken_away():
    assert effective_days(hanging(0.9, LEAST_DAYS - 1), 7) == effective_days(np.ones(50), 7) == 7


def test_resamples_without_a_yes_say_nothing_of_a_metric_that_needs_both():
    """Of 40 days two have a yes, on top of their day: a resample holds one of them, or it is not counted."""
    times = pd.Series(pd.date_range("2020-06-01", periods=400, freq="144min", tz="UTC"))
    label, predicted = np.zeros(400), np.linspace(0, 1, 400)
    nothing = weighted_bounds(average_precision_score, times, label, predicted, 0.95)
    label[[5, 395]] = 1
    lower, upper = weighted_bounds(average_precision_score, times, label, predicted, 0.95)
    assert np.isnan(nothing).all()
    assert 0 < lower < average_precision_score(label, predicted) < upper
