"""What labelled predictions of a span of days come to, with intervals from a bootstrap of whole days.

Rows are summed by day first; a resample is a count of each day, so that nothing is computed
twice however often days are drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from flightline.core.problem_spec import Task
from flightline.evaluation.bootstrap import SEED, resample_days
from flightline.evaluation.losses import ROW_LOSSES, promised_losses, row_losses

RESAMPLES = 2000
BINS = 10


@dataclass(frozen=True)
class Estimate:
    """A number with its bounds, each at the asked confidence by itself; NaN where nothing can be said."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class DailyRows:
    """Labelled predictions summed by day.

    Parameters
    ----------
    task, metric
        Of the problem.
    days
        ISO dates (UTC) of the prediction times, ascending.
    sums
        By name, shape (days,): rows, predicted, observed, squared_label, each loss, promised, and
        the sums behind the calibration slope.
    bins
        Shape (days, bins, 3): rows, and sums of predictions and labels, by bin of the prediction.
    concordant
        Shape (days, days): how many rows with label 1 of the first day are predicted above rows
        with label 0 of the second, ties as halves. Empty in a regression.
    """

    task: Task
    metric: str
    days: tuple[str, ...]
    sums: Mapping[str, np.ndarray]
    bins: np.ndarray
    concordant: np.ndarray

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.sums["rows"].sum())

    @property
    def label_deviation(self) -> float:
        """The standard deviation of the labels."""
        mean = self.sums["observed"].sum() / self.rows
        return float(np.sqrt(max(self.sums["squared_label"].sum() / self.rows - mean**2, 0.0)))

    def take(self, places: np.ndarray) -> "DailyRows":
        """Give some days, by position, each as a day of its own even if it is asked for twice."""
        return DailyRows(
            self.task,
            self.metric,
            tuple(self.days[place] for place in places),
            {name: values[places] for name, values in self.sums.items()},
            self.bins[places],
            self.concordant[np.ix_(places, places)] if self.concordant.size else self.concordant,
        )


def bin_edges(predicted: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Give the inner edges of bins of equal count, shape (bins - 1,)."""
    return np.quantile(predicted, np.arange(1, bins) / bins)


def sum_by_day(
    task: Task, metric: str, prediction_time: pd.Series, label: np.ndarray, predicted: np.ndarray, edges: np.ndarray
) -> DailyRows:
    """Sum labelled predictions by the UTC day of their prediction time.

    Parameters
    ----------
    task, metric
        Of the problem; the metric is that of the promised loss.
    prediction_time
        UTC.
    label, predicted
        Shape (n,).
    edges
        Of `bin_edges`, of the reference, so that windows share their bins.
    """
    codes, days = pd.factorize(pd.DatetimeIndex(prediction_time).floor("D"), sort=True)
    count = len(days)
    given = {"rows": np.ones(len(label)), "predicted": predicted, "observed": label, "squared_label": label**2}
    given |= {name: row_losses(task, name, label, predicted) for name in ROW_LOSSES[task]}
    promised = promised_losses(task, metric, predicted)
    if promised is not None:
        given["promised"] = promised
    given |= _slope_terms(task, label, predicted)
    sums = {name: np.bincount(codes, weights=values, minlength=count) for name, values in given.items()}
    cell, cells = codes * (len(edges) + 1) + np.searchsorted(edges, predicted), count * (len(edges) + 1)
    bins = [np.bincount(cell, weights=given[name], minlength=cells) for name in ("rows", "predicted", "observed")]
    shaped = np.stack(bins, axis=-1).reshape(count, len(edges) + 1, 3)
    concordant = _concordant(codes, count, label, predicted) if task == "classification" else np.empty((0, 0))
    return DailyRows(task, metric, tuple(day.date().isoformat() for day in days), sums, shaped, concordant)


def _slope_terms(task: Task, label: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    if task == "classification":
        kept = np.clip(predicted, 1e-12, 1 - 1e-12)
        score, weight = np.log(kept / (1 - kept)), kept * (1 - kept)
    else:
        score, weight = predicted, np.ones(len(predicted))
    terms = {"residual_score": (label - predicted) * score, "weight": weight}
    return terms | {"weight_score": weight * score, "weight_score_squared": weight * score**2}


def _slope(total: Mapping[str, np.ndarray]) -> np.ndarray:
    middle = total["weight_score"] / total["weight"]
    residual = total["observed"] - total["predicted"]
    spread = total["weight_score_squared"] - middle * total["weight_score"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 + (total["residual_score"] - middle * residual) / spread


def _concordant(codes: np.ndarray, count: int, label: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    positives = [np.sort(predicted[(codes == day) & (label == 1)]) for day in range(count)]
    negatives = [np.sort(predicted[(codes == day) & (label == 0)]) for day in range(count)]
    pairs = np.empty((count, count))
    for i, above in enumerate(positives):
        for j, below in enumerate(negatives):
            under, upto = np.searchsorted(below, above, "left"), np.searchsorted(below, above, "right")
            pairs[i, j] = (under.sum() + upto.sum()) / 2
    return pairs


def metrics_of_days(rows: DailyRows, times: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every metric of resamples.

    Parameters
    ----------
    times
        Shape (resamples, days): how often each day is in each.

    Returns
    -------
    dict of ndarray, shape (resamples,)
        The losses of the task; ``gap``, mean label minus mean prediction; ``ece``; in a
        classification ``excess``, the mean loss above the promised one, and ``roc_auc``;
        ``slope``, by what predictions' distances from their middle (of log-odds, in a
        classification) would have to be multiplied: below 1 they are too bold. One Newton step
        from 1 towards the slope of Cox (Biometrika, 1958); the exact slope in a regression.
    """
    total = {name: times @ values for name, values in rows.sums.items()}
    count = total["rows"]
    found = {name: total[name] / count for name in ROW_LOSSES[rows.task]}
    if "rmse" in found:
        found["rmse"] = np.sqrt(found["rmse"])
    found["gap"] = (total["observed"] - total["predicted"]) / count
    found["slope"] = _slope(total)
    in_bins = np.tensordot(times, rows.bins, axes=1)
    found["ece"] = np.abs(in_bins[..., 1] - in_bins[..., 2]).sum(axis=1) / count
    if "promised" in total:
        found["excess"] = (total[rows.metric] - total["promised"]) / count
    if rows.concordant.size:
        pairs = total["observed"] * (count - total["observed"])
        with np.errstate(invalid="ignore", divide="ignore"):
            found["roc_auc"] = np.einsum("ri,ij,rj->r", times, rows.concordant, times, optimize=True) / pairs
    return found


def measure(rows: DailyRows, confidence: float, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Estimate]:
    """Estimate every metric, with bounds from a bootstrap of whole days.

    Parameters
    ----------
    confidence
        Of each bound, 0..1.

    Returns
    -------
    dict
        By metric, see `metrics_of_days`. Percentile bounds at levels widened for few days
        (Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician,
        2015, 4.1): plain percentiles of 7 days hold about as well as 88 % where 95 % is asked.
        With one day there are no bounds: NaN.
    """
    days = len(rows.days)
    whole = metrics_of_days(rows, np.ones((1, days)))
    if days < 2:
        return {name: Estimate(float(value[0]), float("nan"), float("nan")) for name, value in whole.items()}
    drawn = metrics_of_days(rows, resample_days(days, resamples, seed))
    tail = _tail(1 - confidence, days)
    bounds = {name: _quantiles(values, tail) for name, values in drawn.items()}
    return {name: Estimate(float(value[0]), *bounds[name]) for name, value in whole.items()}


def _tail(alpha: float, days: int) -> float:
    """Give the tail of the resamples to cut, so that a bound of a mean of so few days holds."""
    stretched = np.sqrt(days / (days - 1)) * stdtrit(days - 1, alpha)
    return NormalDist().cdf(float(stretched))


def _quantiles(values: np.ndarray, tail: float) -> tuple[float, float]:
    kept = values[np.isfinite(values)]
    if not len(kept):
        return float("nan"), float("nan")
    lower, upper = np.quantile(kept, [tail, 1 - tail])
    return float(lower), float(upper)
