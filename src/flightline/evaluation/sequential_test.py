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
    any variance; means of many rows are nearly so, and heavier tails make it more cautious.

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
    ([0.95, 1.04], [2.05, 1.91])
    """
    values = np.asarray(gains, dtype=float)
    counts = np.arange(1, values.shape[-1] + 1)
    mean = np.cumsum(values, axis=-1) / counts
    # About the first value: the squares of what lies far from 0 would cancel.
    first = values[..., :1]
    squares = np.cumsum((values - first) ** 2, axis=-1) - counts * (mean - first) ** 2
    weight = counts * spread
    # The martingale stays below 1 / (2 alpha); half of what crosses is on the other side.
    share = (1 - (4 * alpha**2 / (1 + weight)) ** (1 / counts)) * (1 + weight) / weight
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.sqrt(np.maximum(squares, 0) * share / (counts * (1 - share)))
    reach = np.where((share < 1) & (counts > 1), reach, np.inf)
    return mean - reach, mean + reach


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
