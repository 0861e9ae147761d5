"""The numbers of an evaluation with their intervals, as tables beside it: for the model's card and for people."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, r2_score

from flightline.core.problem_spec import Problem
from flightline.evaluation.bootstrap import DailyLosses, daily_losses, mean_bounds, weighted_bounds
from flightline.evaluation.metrics import as_event
from flightline.monitoring.window_metrics import DailyRows, bin_edges, measure, sum_by_day

METRICS_FILE, SLICES_FILE, SLOPES_FILE = "metrics.csv", "slices.csv", "slope_by_month.csv"
CONFIDENCE = 0.95  # of an interval with two ends
BIASED = ("ece", "calibration_error")  # resamples have more of it by chance alone; gap and slope have bounds
WEIGHTED = {"pr_auc": average_precision_score, "r2": r2_score}


def write_metrics(
    problem: Problem,
    folder: Path,
    prediction_time: pd.Series,
    label: np.ndarray,
    predicted: np.ndarray,
    metrics: Mapping[str, float],
    baseline: Mapping[str, float],
) -> None:
    """Write every metric of the test window with its interval, and the baseline's; and the slope of each month.

    Parameters
    ----------
    prediction_time, label, predicted
        Of the test rows; the prediction as `inference.predict.predict` gives it.
    metrics, baseline
        By name, on the same rows; calibration's gap and slope are added.
    """
    edges = bin_edges(predicted)
    days = sum_by_day(problem.task, problem.primary_metric, prediction_time, label, predicted, edges, problem.classes)
    found = measure(days, (1 + CONFIDENCE) / 2)
    bounds = {name: (each.lower, each.upper) for name, each in found.items() if name not in BIASED}
    for name in metrics.keys() & WEIGHTED.keys():
        bounds[name] = weighted_bounds(WEIGHTED[name], prediction_time, label, predicted, CONFIDENCE)
    if "accuracy" in metrics:
        hits = as_event(problem.task, label, predicted)[0]
        bounds["accuracy"] = mean_bounds(daily_losses(prediction_time, hits), CONFIDENCE)
    values = {**metrics} | {name: found[name].value for name in ("gap", "slope")}
    nothing = (float("nan"), float("nan"))
    rows = [
        {
            "metric": name,
            "value": value,
            "lower": bounds.get(name, nothing)[0],
            "upper": bounds.get(name, nothing)[1],
            "baseline": baseline.get(name, float("nan")),
        }
        for name, value in values.items()
    ]
    pd.DataFrame(rows).to_csv(folder / METRICS_FILE, index=False)
    slope_by_month(days).to_csv(folder / SLOPES_FILE, index=False)


def slope_by_month(days: DailyRows) -> pd.DataFrame:
    """Give the calibration slope of each month (UTC), columns month, rows, value, lower and upper.

    A slope that moves from month to month is one that no map learned before the window can mend.
    """
    months = np.array([day[:7] for day in days.days])
    parts = {month: days.take(np.flatnonzero(months == month)) for month in np.unique(months)}
    return pd.DataFrame(
        {"month": month, "rows": part.rows, **asdict(measure(part, (1 + CONFIDENCE) / 2)["slope"])}
        for month, part in parts.items()
    )


def with_bounds(problem: Problem, slices: pd.DataFrame, losses: Mapping[str, DailyLosses]) -> pd.DataFrame:
    """Add columns lower and upper, the interval of each slice's loss in the primary metric.

    Parameters
    ----------
    slices
        Of an evaluation.
    losses
        By ``column=value``, see `EvaluationSummary.slices`.
    """
    names = slices["slice"] + "=" + slices["value"]
    bounds = np.array([mean_bounds(losses[name], CONFIDENCE) for name in names], dtype=float).reshape(-1, 2)
    if problem.primary_metric == "rmse":  # the loss of a row is its square
        bounds = np.sqrt(np.maximum(bounds, 0))
    return slices.assign(lower=bounds[:, 0], upper=bounds[:, 1])
