"""How sure a difference between two models is: a paired bootstrap of whole days.

Rows of one day share what happened on it, so they are not independent; days nearly are. Both
models are judged on the same rows, so what makes a day hard for both cancels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.special import stdtrit

RESAMPLES = 4000
WEIGHTED_RESAMPLES = 100  # each computes the metric anew
SEED = 20130101
LEAST_DAYS = 10  # of which one can tell whether they hang together


@dataclass(frozen=True)
class DailyLosses:
    """A model's losses, summed by day: all that a bootstrap of days needs of them.

    Parameters
    ----------
    days
        ISO dates (UTC) of the prediction times, ascending.
    sums, counts
        Sum of the losses, and rows, of each day.
    """

    days: tuple[str, ...]
    sums: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean loss of a row."""
        return float(np.sum(self.sums) / self.rows) if self.rows else float("nan")

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(np.sum(self.counts))


@dataclass(frozen=True)
class Improvement:
    """By how much the first model's mean loss is below the second's.

    Parameters
    ----------
    estimate
        Second minus first: positive where the first is better.
    lower, upper
        One-sided bounds, each at the asked confidence by itself; infinite with a single day.
    """

    estimate: float
    lower: float
    upper: float


def daily_losses(prediction_time: pd.Series, losses: np.ndarray) -> DailyLosses:
    """Sum the losses of rows by the UTC day of their prediction time.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2013-09-02 23:59Z", "2013-09-01 10:00Z", "2013-09-01 00:00Z"]))
    >>> daily_losses(times, np.array([1.0, 2.0, 4.0]))
    DailyLosses(days=('2013-09-01', '2013-09-02'), sums=(6.0, 1.0), counts=(2, 1))
    """
    codes, days = pd.factorize(prediction_time.dt.floor("D"), sort=True)
    sums, counts = np.bincount(codes, weights=losses), np.bincount(codes)
    return DailyLosses(tuple(day.date().isoformat() for day in days), tuple(sums.tolist()), tuple(counts.tolist()))


def resample_days(days: int, resamples: int = RESAMPLES, seed: int = SEED, drawn: int | None = None) -> np.ndarray:
    """Draw days with replacement; gives how often each day is in each resample.

    Parameters
    ----------
    drawn
        How many of them a resample is made of, fewer where days hang together; None: as many as there are.

    Returns
    -------
    ndarray of float, shape (resamples, days)
        Each row sums to `drawn`.
    """
    places = np.random.default_rng(seed).integers(0, days, size=(resamples, days if drawn is None else drawn))
    flat = places + np.arange(resamples)[:, None] * days
    return np.bincount(flat.ravel(), minlength=resamples * days).reshape(resamples, days).astype(float)


def effective_days(values: np.ndarray, days: int) -> float:
    """Say how many independent days so many successive ones are worth: as many, or fewer where days hang together.

    By the autocorrelation of the values, weighed by a flat-top window that ends where it is no more than chance: the
    rule by which Politis and White choose the length of a block (Automatic Block-Length Selection for the Dependent
    Bootstrap, Econometric Reviews, 2004, 3.2).

    Parameters
    ----------
    values
        Shape (n,): one of each day, in their order. Of fewer than `LEAST_DAYS`, or of equal values, nothing is said.
    days
        At least 1.

    Returns
    -------
    float
        0..days.

    Examples
    --------
    >>> apart = np.random.default_rng(0).normal(size=400)
    >>> round(effective_days(apart, 7), 1), round(effective_days(np.convolve(apart, np.ones(5)), 7), 1)
    (7.0, 1.8)
    """
    count, away = len(values), values - values.mean()
    if count < LEAST_DAYS or not np.square(away).sum() > 0:
        return float(days)
    run = max(5, int(np.ceil(np.sqrt(np.log10(count)))))
    farthest = min(int(np.ceil(np.sqrt(count))) + run, count - 1)
    alike = np.array([away[lag:] @ away[:-lag] for lag in range(1, farthest + 1)]) / (away @ away)
    is_chance = np.abs(alike) < 2 * np.sqrt(np.log10(count) / count)
    starts = (lag for lag in range(farthest - run + 1) if is_chance[lag : lag + run].all())
    width = min(2 * max(next(starts, farthest), 1), farthest)
    lags = np.arange(1, min(width, days - 1) + 1)
    weights = np.minimum(1, 2 * (1 - lags / width)) * (1 - lags / days)
    return days / max(1 + 2 * float(weights @ alike[lags - 1]), 1.0)


def tail_of_few(alpha: float, days: int) -> float:
    """Give the share of resamples to cut on a side, so that a bound of a mean of so few days errs as often as alpha.

    Resamples of few days spread too little, and the normal distribution has thinner tails than Student's: plain
    percentiles of 10 days err in 8 to 9 % where 5 % is asked. Hesterberg, What Teachers Should Know About the
    Bootstrap, The American Statistician, 2015, 4.1.

    Parameters
    ----------
    alpha
        Asked of the bound, 0..0.5.
    days
        At least 2.

    Examples
    --------
    >>> [round(tail_of_few(0.05, days), 4) for days in (7, 10, 30, 122)]
    [0.0179, 0.0267, 0.042, 0.048]
    """
    stretched = np.sqrt(days / (days - 1)) * stdtrit(days - 1, alpha)
    return NormalDist().cdf(float(stretched))


def paired_improvement(
    first: DailyLosses, second: DailyLosses, confidence: float, resamples: int = RESAMPLES, seed: int = SEED
) -> Improvement:
    """Bound by how much the first model is better than the second on the same rows.

    Parameters
    ----------
    first, second
        Of the same days with the same counts.
    confidence
        Of each bound, 0..1: 0.95 gives a lower bound that is too high 5 times in 100.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    Improvement
        In units of the loss. The statistic of a resample is a ratio of sums, so that days
        with many rows weigh as much as they do in the mean (block bootstrap of clusters:
        Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8). Percentile
        bounds, at levels widened for few days (`tail_of_few`). NaN where the two are not of
        the same rows, or a loss is missing.
    """
    if (first.days, first.counts) != (second.days, second.counts) or not first.days:
        return Improvement(float("nan"), float("nan"), float("nan"))
    days, counts = len(first.days), np.asarray(first.counts, dtype=float)
    with np.errstate(invalid="ignore"):  # an infinite loss of both leaves no difference: NaN
        gains = np.subtract(second.sums, first.sums)
        estimate = float(gains.sum() / counts.sum())
        if days < 2 and np.isfinite(estimate):
            return Improvement(estimate, -float("inf"), float("inf"))
        times = resample_days(days, resamples, seed)
        means = (times @ gains) / (times @ counts)
        tail = tail_of_few(1 - confidence, days) if days > 1 else 0.5
        lower, upper = np.quantile(means, [tail, 1 - tail])
    return Improvement(estimate, float(lower), float(upper))


def paired_improvements(
    first: Mapping[str, DailyLosses], second: Mapping[str, DailyLosses], confidence: float, min_rows: int, min_days: int
) -> dict[str, Improvement]:
    """Bound the improvement of each slice that both have and that is large enough.

    Parameters
    ----------
    first, second
        By slice.
    confidence
        That all bounds hold at once: each is taken at 1 - (1 - confidence) / slices
        (Bonferroni). To say whether any slice is worse, Holm's procedure decides the same.
    min_rows, min_days
        Smaller slices are left out, and are not counted as tests.
    """
    large = [
        name for name in first if name in second and first[name].rows >= min_rows and len(first[name].days) >= min_days
    ]
    each = 1 - (1 - confidence) / max(len(large), 1)
    return {name: paired_improvement(first[name], second[name], each) for name in large}


def mean_bounds(losses: DailyLosses, confidence: float) -> tuple[float, float]:
    """Give a two-sided interval of a mean loss; infinite with a single day.

    Examples
    --------
    >>> mean_bounds(DailyLosses(("2013-09-01", "2013-09-02"), (1.0, 1.0), (2, 2)), 0.95)
    (0.5, 0.5)
    """
    nothing = DailyLosses(losses.days, (0.0,) * len(losses.days), losses.counts)
    found = paired_improvement(nothing, losses, (1 + confidence) / 2)
    return found.lower, found.upper


def weighted_bounds(
    metric: Callable[..., float],
    prediction_time: pd.Series,
    label: np.ndarray,
    predicted: np.ndarray,
    confidence: float,
) -> tuple[float, float]:
    """Give a two-sided interval of a metric that is no mean over rows, by drawing whole days.

    NaN with a single day, or with equal labels; resamples in which all labels are equal say nothing.

    Parameters
    ----------
    metric
        From labels, predictions and `sample_weight`; called so often, with the count of each row's day as its weight.
    prediction_time, label, predicted
        Shape (n,).
    """
    order = np.argsort(predicted, kind="stable")  # metrics sort by prediction: it is done once
    codes, days = pd.factorize(prediction_time.dt.floor("D").to_numpy()[order], sort=True)
    rows = label[order], predicted[order]
    weights = (times[codes] for times in resample_days(len(days), WEIGHTED_RESAMPLES))
    drawn = [metric(*rows, sample_weight=each) for each in weights if np.ptp(rows[0][each > 0]) > 0]
    if len(days) < 2 or not drawn:
        return float("nan"), float("nan")
    tail = tail_of_few((1 - confidence) / 2, len(days))
    lower, upper = np.nanquantile(drawn, [tail, 1 - tail])
    return float(lower), float(upper)
