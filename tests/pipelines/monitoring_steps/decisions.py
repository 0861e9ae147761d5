"""Decisions of monitoring made by hand, for the tests of sentences and pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring, Task
from flightline.core.windows import Interval
from flightline.monitoring.daily_stats import ColumnSlice, Kind, Support
from flightline.monitoring.data_quality import DataAnomaly
from flightline.monitoring.decision import (
    MonitoringDecision,
    WindowEvidence,
    decide_monitoring,
    judge_window,
    make_reference,
)
from flightline.monitoring.drift import ColumnDrift, InputProblem, InputWarning
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
from pipelines.monitoring_steps.inputs import Inputs, ViewAge
from pipelines.monitoring_steps.windows import Judged

RULE = Monitoring(windows=2, breaches=2, shown_windows=4, min_labels=50)
CLOCK = datetime(2026, 3, 1, 5, tzinfo=UTC)
HOSTILE = "<script>|`x`\n"
NAMES = {
    Kind.MISSING: ColumnSlice("pressure"),
    Kind.UNSEEN: ColumnSlice("shop"),
    Kind.STUCK: ColumnSlice("wind", "shop", "A"),
    Kind.JUMPED: ColumnSlice("price"),
    Kind.LATE: ColumnSlice("recent"),
}
HISTORY = tuple((f"2026-02-{day:02d}", 0.0 if day < 22 else 0.9) for day in range(10, 27))


def anomaly(kind: Kind, where: ColumnSlice | None = None, value: float = 0.9) -> DataAnomaly:
    support = Support(low=0, high=9, categories=("A", "B") if kind is Kind.UNSEEN else ())
    unseen = ("C",) if kind is Kind.UNSEEN else ()
    days = ("2026-02-22", "2026-02-26")
    return DataAnomaly(where or NAMES[kind], kind, *days, value, 0.1, 0.2, HISTORY, support, unseen)


def daily_rows(start: datetime, days: int, seed: int, too_low: float = 0.0) -> DailyRows:
    rng = np.random.default_rng(seed)
    times = pd.Series(pd.date_range(start, periods=days, freq="D").repeat(200))
    score = rng.normal(-1, 1, len(times))
    label = (rng.random(len(times)) < 1 / (1 + np.exp(-score))).astype(float)
    predicted = 1 / (1 + np.exp(-(score - too_low)))
    return sum_by_day("classification", "log_loss", times, label, predicted, bin_edges(predicted))


REFERENCE = make_reference(daily_rows(CLOCK - timedelta(days=200), 60, seed=0), RULE)


def window(number: int, too_low: float = 0.0) -> WindowEvidence:
    start = datetime(2026, 1, 30, tzinfo=UTC) + number * RULE.window
    rows = daily_rows(start, 7, seed=number + 1, too_low=too_low)
    return judge_window(Interval(start, start + RULE.window), 1500, {"labelled": rows.rows}, rows, REFERENCE, RULE)


def judged(too_low: float = 0.0, slice_name: str = "shop=A") -> Judged:
    windows = (*map(window, range(2)), *(window(number, too_low) for number in (2, 3)))
    latest = daily_rows(windows[-1].window.start, 7, seed=9, too_low=too_low)
    return Judged(REFERENCE, windows, latest, {slice_name: windows[-1], "shop=B": windows[0]})


def rows_of_task(task: Task, start: datetime, days: int, seed: int) -> DailyRows:
    """Give rows that are predicted as well as they can be."""
    rng = np.random.default_rng(seed)
    times = pd.Series(pd.date_range(start, periods=days, freq="D").repeat(200))
    score = rng.normal(10, 2, len(times))
    if task == "regression":
        return sum_by_day(task, "rmse", times, score + rng.normal(0, 1, len(times)), score, bin_edges(score))
    if task == "multiclass":
        predicted = rng.dirichlet([2, 1, 1], len(times))
        label = (rng.random((len(times), 1)) > predicted.cumsum(axis=1)[:, :2]).sum(axis=1).astype(float)
        return sum_by_day(task, "log_loss", times, label, predicted, bin_edges(predicted), ("ebb", "flow", "still"))
    return daily_rows(start, days, seed)


def judged_of_task(task: Task) -> Judged:
    """Give four windows of a problem of a task."""
    reference = make_reference(rows_of_task(task, CLOCK - timedelta(days=200), 60, seed=0), RULE)
    windows = []
    for number in range(4):
        start = datetime(2026, 1, 30, tzinfo=UTC) + number * RULE.window
        rows = rows_of_task(task, start, 7, seed=number + 1)
        span = Interval(start, start + RULE.window)
        windows.append(judge_window(span, 1500, {"labelled": rows.rows}, rows, reference, RULE))
    return Judged(reference, tuple(windows), rows, {})


def inputs(*anomalies: DataAnomaly, column: str = "price") -> Inputs:
    names = [column, *(f"column_{number}" for number in range(12))]
    columns = tuple(
        ColumnDrift(name, 0.3 / (place + 1), 0.1, 0.2 / (place + 1), 0.0) for place, name in enumerate(names)
    )
    warnings = (InputWarning(column, InputProblem.MISSING, 0.2, 0.1),)
    views = (ViewAge("recent", 1.5, 3.0, float("nan"), 0.0, 0.01),)
    return Inputs(columns, views, 3000, warnings, Path("workspace"), tuple(anomalies))


def decision(found: Judged, seen: Inputs) -> MonitoringDecision:
    return decide_monitoring(found.windows, RULE, seen.warnings, seen.anomalies, seen.mismatch)
