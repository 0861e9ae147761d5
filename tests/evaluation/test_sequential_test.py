"""The sequential test keeps its level under daily looks, where a plain t-test does not, and finds what is there."""

import math

import numpy as np
import pytest
from scipy import stats

from flightline.evaluation.sequential_test import confidence_sequence, first_crossing

ALPHA, SPREAD, SEQUENCES, LOOKS = 0.05, 0.05, 4000, 28


def nothing(kind: str) -> np.ndarray:
    random = np.random.default_rng(3)
    if kind == "normal":
        return random.normal(size=(SEQUENCES, LOOKS))
    if kind == "other deviation each time":
        return random.normal(size=(SEQUENCES, LOOKS)) * random.choice([0.2, 1, 3], (SEQUENCES, LOOKS))
    return random.standard_t(3, (SEQUENCES, LOOKS))


def crossed(gains: np.ndarray, alpha: float = ALPHA) -> float:
    return float((confidence_sequence(gains, alpha, SPREAD)[0] > 0).any(axis=1).mean())


def crossed_naively(gains: np.ndarray) -> float:
    counts = np.arange(1, LOOKS + 1)[2:]
    told = [stats.ttest_1samp(gains[:, :n], 0, axis=1, alternative="greater").pvalue < ALPHA for n in counts]
    return float(np.any(told, axis=0).mean())


def skewed(longer_tail: float) -> np.ndarray:
    """Blocks of three days without a difference, of which few are far below the others (above, if it is negative)."""
    days = np.random.default_rng(5).lognormal(0, 1.5, (SEQUENCES, LOOKS, 3)) - np.exp(1.5**2 / 2)
    return longer_tail * days.mean(axis=2)


def test_few_very_bad_days_are_not_taken_for_a_gain() -> None:
    """By the same sequence without Hall's transformation 12 of 100 are."""
    assert crossed(skewed(-1.0)) <= ALPHA
    assert (confidence_sequence(skewed(1.0), ALPHA, SPREAD)[1] < 0).any(axis=1).mean() <= ALPHA


@pytest.mark.parametrize("kind", ["normal", "other deviation each time", "heavy tails"])
def test_looking_every_day_errs_no_more_often_than_nominal(kind: str) -> None:
    assert crossed(nothing(kind)) <= ALPHA


def test_a_t_test_looked_at_every_day_errs_more_often() -> None:
    assert crossed_naively(nothing("normal")) > 2 * ALPHA


def test_both_bounds_hold_at_once_for_a_mean_that_is_not_0() -> None:
    lower, upper = confidence_sequence(nothing("normal") + 5, ALPHA, SPREAD)
    assert ((lower > 5) | (upper < 5)).any(axis=1).mean() <= 2 * ALPHA


def test_a_difference_is_found_and_a_greater_one_sooner() -> None:
    rates = [crossed(nothing("normal") + size) for size in (0.25, 0.5, 1.0, 2.0)]
    assert rates == sorted(rates)
    assert rates[-2] > 0.9


def test_the_martingale_is_crossed_where_the_bound_says() -> None:
    """By the formula of Wang and Ramdas (2025), written out without rearranging it."""
    half = np.random.default_rng(1).normal(0.8, 1, 10)
    gains = np.concatenate([half, 1.6 - half])  # without any skew, of which the formula knows nothing
    lower, upper = confidence_sequence(gains, ALPHA, SPREAD)
    for mean in (lower[-1] - 1e-9, lower[-1] + 1e-9, upper[-1] - 1e-9, upper[-1] + 1e-9):
        centred, n = gains - mean, len(gains)
        share = centred.sum() ** 2 / (n * (centred**2).sum()) * n * SPREAD / (1 + n * SPREAD)
        martingale = (1 - share) ** (-n / 2) / math.sqrt(1 + n * SPREAD)
        assert (martingale < 1 / (2 * ALPHA)) == (lower[-1] < mean < upper[-1])


def test_the_unit_of_the_loss_does_not_matter() -> None:
    gains = np.random.default_rng(1).normal(0.8, 1, 40)
    assert first_crossing(gains, ALPHA, SPREAD) == first_crossing(gains * 1e-6, ALPHA, SPREAD)


def test_looking_later_or_less_often_changes_nothing() -> None:
    gains = np.random.default_rng(2).normal(0.9, 1, 40)
    found = first_crossing(gains, ALPHA, SPREAD)
    assert found is not None
    assert found.side == "better"
    assert first_crossing(gains[: found.values], ALPHA, SPREAD) == found
    assert first_crossing(gains[: found.values - 1], ALPHA, SPREAD) is None
    turned = np.concatenate([gains, np.full(40, -9.0)])
    assert first_crossing(turned, ALPHA, SPREAD) == found


@pytest.mark.parametrize("gains", [[], [3.0], [2.0, 2.0], [0.0] * 20])
def test_too_little_says_nothing(gains: list[float]) -> None:
    assert first_crossing(np.array(gains), ALPHA, SPREAD) is None


def test_what_is_worse_is_said_so() -> None:
    found = first_crossing(-np.random.default_rng(1).normal(1, 1, 40), ALPHA, SPREAD)
    assert found is not None
    assert found.side == "worse"
