"""Which of two is better, judged as values arrive: a test that may be looked at every day, and ended on any.

An ordinary t-test that is looked at again and again finds a difference sooner or later where
there is none. This one is a confidence sequence: with the asked probability it holds the true
mean at every look at once.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["better", "worse"]


@dataclass(frozen=True)
class Crossing:
    """The first value after which the confidence sequence lay on one side of 0.

    Parameters
    ----------
    values
        How many it took.
    side
        better: the mean is above 0.
    """

    values: int
    side: Side


def confidence_sequence(gains: np.ndarray, alpha: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Bound the mean of a growing series after each of its values, all bounds holding at once.

    Inverts the test martingale that Wang and Ramdas ("Anytime-valid t-tests and confidence
    sequences for Gaussian means with unknown variance", Sequential Analysis, 2025) get by mixing
    Lai's (1976) scale-invariant likelihood ratio over a normal effect size. Its ratio of means
    to deviations needs no scale, so it takes any loss. Exact for independent normal values of
    any variance, and more cautious with symmetric heavy tails. Skew is another thing: where the bad
    days are few and far out, the days before the first of them look better than they are. The bound on
    the side of the longer tail is moved outwards by Hall's transformation ("On the removal of skewness
    by transformation", JRSS B, 1992) for the skew that was seen, and never inwards. What it cannot
    mend is a loss so rare that it has not been seen: no test of past values can.

    Parameters
    ----------
    gains
        Shape (..., n): values in their order, along the last axis.
    alpha
        That the mean is ever above the upper bound, and again that it is ever below the lower
        one, 0..0.5.
    spread
        Variance of the effect sizes (mean by deviation of a value) that are looked for; not
        of what is valid, but of what is found soon.

    Returns
    -------
    lower, upper : ndarray
        Shape (..., n); infinite while nothing can be said.

    Examples
    --------
    >>> lower, upper = confidence_sequence(np.array([1.0, 2.0, 1.5, 1.2, 1.8, 1.4, 1.6, 1.3]), 0.05, 0.5)
    >>> lower.round(2).tolist()[-2:], upper.round(2).tolist()[-2:]
    ([0.95, 1.04], [2.05, 1.96])
    """
    values = np.asarray(gains, dtype=float)
    counts = np.arange(1, values.shape[-1] + 1)
    # About the first value: the powers of what lies far from 0 would cancel.
    away = values - values[..., :1]
    first, second, third = (np.cumsum(away**power, axis=-1) / counts for power in (1, 2, 3))
    variance = np.maximum(second - first**2, 0)
    weight = counts * spread
    # The martingale stays below 1 / (2 alpha); half of what crosses is on the other side.
    share = (1 - (4 * alpha**2 / (1 + weight)) ** (1 / counts)) * (1 + weight) / weight
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance / (counts - 1))
        reach = np.sqrt((counts - 1) * share / (1 - share))
        skew = np.nan_to_num((third - 3 * first * second + 2 * first**3) / variance**1.5, posinf=0, neginf=0)
        below, above = (_widened(reach, np.maximum(side * skew, 0), counts) * error for side in (-1, 1))
    mean, is_open = values[..., :1] + first, (share < 1) & (counts > 1)
    return mean - np.where(is_open, below, np.inf), mean + np.where(is_open, above, np.inf)


def _widened(reach: np.ndarray, skew: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Give from which ratio of mean to error on Hall's transform of it is above the reach; the skew is 0 or above."""
    third = skew / (3 * np.sqrt(counts))
    transformed = (1 - np.cbrt(1 - 3 * third * (reach + third / 2))) / third
    return np.where(third > 1e-6, transformed, reach)


def first_crossing(gains: np.ndarray, alpha: float, spread: float) -> Crossing | None:
    """Find the first value after which the mean is credibly not 0; None if there was none.

    The same however often one looks.

    Parameters
    ----------
    gains
        Shape (n,): values in their order.
    alpha, spread
        See `confidence_sequence`.

    Examples
    --------
    >>> first_crossing(np.array([1.0, 2.0, 1.5, 1.2, 1.8, 1.4, 1.6, 1.3]), 0.05, 0.5)
    Crossing(values=6, side='better')
    """
    if not len(gains):
        return None
    lower, upper = confidence_sequence(gains, alpha, spread)
    is_out = (lower > 0) | (upper < 0)
    if not is_out.any():
        return None
    place = int(np.argmax(is_out))
    return Crossing(place + 1, "better" if lower[place] > 0 else "worse")
