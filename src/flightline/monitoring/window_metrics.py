"""What labelled predictions of a span of days come to, with intervals from a bootstrap of whole days.

Rows are summed by day first; a resample is a count of each day, so that nothing is computed
twice however often days are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Task
from flightline.evaluation.bootstrap import LEAST_DAYS, SEED, effective_days, resample_days, tail_of_few
from flightline.evaluation.losses import ROW_LOSSES, promised_losses, row_losses
from flightline.evaluation.metrics import as_event

RESAMPLES = 2000
BINS = 10


@dataclass(frozen=True)
class Estimate:
    """A number with its bounds, each at the asked confidence by itself; NaN where nothing can be said."""

    value: float
    lower: float
    upper: float

    def plus(self, amount: float) -> "Estimate":
        """Give it moved by an amount that is known without error."""
        return Estimate(self.value + amount, self.lower + amount, self.upper + amount)


@dataclass(frozen=True)
class DailyRows:
    """Labelled predictions summed by day.

    Of a multiclass problem `predicted`, `observed`, the slope and the bins are of the event that the likeliest class is
    the true one (`metrics.as_event`).

    Parameters
    ----------
    task, metric
        Of the problem.
    days
        ISO dates (UTC) of the prediction times, ascending.
    sums
        By name, shape (days,): rows, predicted, observed, squared_label, each loss, promised, and
        the sums behind the calibration slope; of a multiclass problem also the probability and the rows of each class,
        by `of_class`.
    bins
        Shape (days, bins, 3): rows, and sums of predictions and labels, by bin of the prediction.
    concordant
        Shape (days, days): how many rows with label 1 of the first day are predicted above rows
        with label 0 of the second, ties as halves; of a multiclass problem shape (days, days, classes), each class
        against the rest. Empty in a regression.
    classes
        Of a multiclass problem.
    """

    task: Task
    metric: str
    days: tuple[str, ...]
    sums: Mapping[str, np.ndarray]
    bins: np.ndarray
    concordant: np.ndarray
    classes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.sums["rows"].sum())

    @property
    def mean_predicted(self) -> float:
        """The mean prediction; of a multiclass problem that of the likeliest class."""
        return float(self.sums["predicted"].sum() / self.rows)

    @property
    def label_deviation(self) -> float:
        """The standard deviation of the labels."""
        mean = self.sums["observed"].sum() / self.rows
        return float(np.sqrt(max(self.sums["squared_label"].sum() / self.rows - mean**2, 0.0)))

    @property
    def observed_classes(self) -> int:
        """How many classes the labels are of; a regression has as many as are needed."""
        if self.classes:
            return sum(bool(self.sums[of_class("observed", name)].any()) for name in self.classes)
        return 1 if self.task == "classification" and self.sums["observed"].sum() in (0, self.rows) else 2

    def class_deviation(self, name: str) -> float:
        """Give the standard deviation of being of a class or not."""
        share = self.sums[of_class("observed", name)].sum() / self.rows
        return float(np.sqrt(share * (1 - share)))

    def take(self, places: np.ndarray) -> "DailyRows":
        """Give some days, by position, each as a day of its own even if it is asked for twice."""
        return replace(
            self,
            days=tuple(self.days[place] for place in places),
            sums={name: values[places] for name, values in self.sums.items()},
            bins=self.bins[places],
            concordant=self.concordant[np.ix_(places, places)] if self.concordant.size else self.concordant,
        )


def of_class(what: str, name: str) -> str:
    """Name what is measured of one class.

    Examples
    --------
    >>> of_class("gap", "rain")
    'gap of rain'
    """
    return f"{what} of {name}"


def bin_edges(predicted: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Give the inner edges of bins of equal count, shape (bins - 1,); of several classes those of the likeliest's."""
    return np.quantile(predicted if predicted.ndim == 1 else predicted.max(axis=1), np.arange(1, bins) / bins)


def sum_by_day(
    task: Task,
    metric: str,
    prediction_time: pd.Series,
    label: np.ndarray,
    predicted: np.ndarray,
    edges: np.ndarray,
    classes: Sequence[str] = (),
) -> DailyRows:
    """Sum labelled predictions by the UTC day of their prediction time.

    Parameters
    ----------
    task, metric
        Of the problem; the metric is that of the promised loss.
    prediction_time
        UTC.
    label, predicted
        Label of shape (n,), prediction as `inference.predict.predict` gives it.
    edges
        Of `bin_edges`, of the reference, so that windows share their bins.
    classes
        Of a multiclass problem.
    """
    codes, days = pd.factorize(pd.DatetimeIndex(prediction_time).floor("D"), sort=True)
    count = len(days)
    event, chance = as_event(task, label, predicted)
    given = {"rows": np.ones(len(label)), "predicted": chance, "observed": event, "squared_label": event**2}
    for number, name in enumerate(classes):
        given[of_class("predicted", name)] = predicted[:, number]
        given[of_class("observed", name)] = (label == number).astype(float)
    given |= {name: row_losses(task, name, label, predicted) for name in ROW_LOSSES[task]}
    promised = promised_losses(task, metric, predicted)
    if promised is not None:
        given["promised"] = promised
    given |= _slope_terms(task, event, chance)
    sums = {name: np.bincount(codes, weights=values, minlength=count) for name, values in given.items()}
    cell, cells = codes * (len(edges) + 1) + np.searchsorted(edges, chance), count * (len(edges) + 1)
    bins = [np.bincount(cell, weights=given[name], minlength=cells) for name in ("rows", "predicted", "observed")]
    shaped = np.stack(bins, axis=-1).reshape(count, len(edges) + 1, 3)
    concordant = np.empty((0, 0))
    if task == "classification":
        concordant = _concordant(codes, count, label, predicted)
    elif task == "multiclass":
        by_class = [_concordant(codes, count, label == number, of) for number, of in enumerate(predicted.T)]
        concordant = np.stack(by_class, axis=-1)
    dates = tuple(day.date().isoformat() for day in days)
    return DailyRows(task, metric, dates, sums, shaped, concordant, tuple(classes))


def _slope_terms(task: Task, label: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    if task != "regression":
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
        The losses of the task; ``gap``, mean label minus mean prediction; ``ece``, by the bins; of
        probabilities ``excess``, the mean loss above the promised one, and ``roc_auc``, in a multiclass
        problem the mean over the classes that occur of each against the rest; there ``gap of`` each class too;
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
    for name in rows.classes:
        found[of_class("gap", name)] = (total[of_class("observed", name)] - total[of_class("predicted", name)]) / count
    if rows.classes:
        areas = [
            _roc_auc(times, rows.concordant[..., number], total[of_class("observed", name)], count)
            for number, name in enumerate(rows.classes)
        ]
        found["roc_auc"] = np.ma.masked_invalid(areas).mean(axis=0).filled(np.nan)
    elif rows.concordant.size:
        found["roc_auc"] = _roc_auc(times, rows.concordant, total["observed"], count)
    return found


def _roc_auc(times: np.ndarray, concordant: np.ndarray, positives: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = positives * (count - positives)
        return np.einsum("ri,ij,rj->r", times, concordant, times, optimize=True) / pairs


def independence_of(rows: DailyRows, days: int) -> dict[str, float]:
    """Say by metric what share of so many successive days is worth as much as independent ones, 0..1.

    By how much each day moves the metric (the jackknife's pseudo-values), in the order of days; see
    `bootstrap.effective_days`.
    """
    count = len(rows.days)
    if count < LEAST_DAYS:
        return {}
    left_out = metrics_of_days(rows, np.ones((count, count)) - np.eye(count))
    return {
        name: effective_days(-values, days) / days for name, values in left_out.items() if np.isfinite(values).all()
    }


def measure(
    rows: DailyRows,
    confidence: float,
    independence: Mapping[str, float] = MappingProxyType({}),
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Estimate]:
    """Estimate every metric, with bounds from a bootstrap of whole days.

    Parameters
    ----------
    confidence
        Of each bound, 0..1.
    independence
        By metric, of `independence_of`: a resample is made of only this share of the days (at least two), so that it
        spreads as the mean of days that hang together does (m out of n bootstrap). 1 where it says nothing.

    Returns
    -------
    dict
        By metric, see `metrics_of_days`. Percentile bounds at levels widened for few days (`bootstrap.tail_of_few`).
        With one day there are no bounds: NaN. The bounds of the gaps of all classes hold at once (Bonferroni).
    """
    days = len(rows.days)
    whole = metrics_of_days(rows, np.ones((1, days)))
    if days < 2:
        return {name: Estimate(float(value[0]), float("nan"), float("nan")) for name, value in whole.items()}
    drawn = {name: max(2, round(days * independence.get(name, 1.0))) for name in whole}
    resampled = {
        size: metrics_of_days(rows, resample_days(days, resamples, seed, size)) for size in set(drawn.values())
    }
    shared = {of_class("gap", name): len(rows.classes) for name in rows.classes}
    bounds = {
        name: _quantiles(resampled[size][name], tail_of_few((1 - confidence) / shared.get(name, 1), size))
        for name, size in drawn.items()
    }
    return {name: Estimate(float(value[0]), *bounds[name]) for name, value in whole.items()}


def _quantiles(values: np.ndarray, tail: float) -> tuple[float, float]:
    kept = values[np.isfinite(values)]
    if not len(kept):
        return float("nan"), float("nan")
    lower, upper = np.quantile(kept, [tail, 1 - tail])
    return float(lower), float(upper)
