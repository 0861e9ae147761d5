"""Task from served rows to judged windows, held against the champion's own test rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from flightline.core.prediction_record import from_column
from flightline.core.problem_spec import Problem
from flightline.core.windows import Interval
from flightline.monitoring.decision import Reference, WindowEvidence, judge_window, make_reference
from flightline.monitoring.drift import PREDICTION
from flightline.monitoring.labels import LABELLED
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
from pipelines.common.step import step
from pipelines.monitoring_steps.served import ServedRows
from pipelines.monitoring_steps.training_window import ChampionRows

LEAST_REFERENCE_DAYS = 28


@dataclass(frozen=True)
class Judged:
    """The windows as they were judged, and the calibration and slices of those that decide."""

    reference: Reference
    windows: tuple[WindowEvidence, ...]
    latest: DailyRows | None
    slices: Mapping[str, WindowEvidence]


@step()
def judge_windows(problem: Problem, champion: ChampionRows, served: ServedRows, windows: list[Interval]) -> Judged:
    """Measure every window and hold it against the champion's own held-out rows."""
    rule = problem.monitoring
    rows = partial(served.between, columns=["prediction_time", PREDICTION, "outcome", "label", *problem.slices])
    last = Interval(windows[-rule.windows].start, windows[-1].end)
    tested = reference_rows(pd.read_parquet(champion.rows_file), last)
    edges = bin_edges(from_column(tested[PREDICTION]))
    reference = make_reference(sum_rows(problem, tested, edges), rule)
    judged = tuple(judge_rows(problem, rows(window), window, reference, edges) for window in windows)
    deciding = rows(last)
    labelled = deciding[deciding["label"].notna()]
    latest = sum_rows(problem, labelled, edges) if len(labelled) else None
    return Judged(reference, judged, latest, judge_slices(problem, deciding, last, tested, edges))


def reference_rows(rows: pd.DataFrame, last: Interval) -> pd.DataFrame:
    """Give the champion's test rows, without those of the windows they are held against if enough days remain."""
    tested = rows[rows["part"] == "test"].rename(columns={"event_timestamp": "prediction_time"})
    before = tested[tested["prediction_time"] < last.start]
    days = before["prediction_time"].dt.floor("D").nunique()
    return before if days >= LEAST_REFERENCE_DAYS else tested


def sum_rows(problem: Problem, rows: pd.DataFrame, edges: np.ndarray) -> DailyRows:
    """Sum labelled rows by day."""
    label, predicted, times = rows["label"].to_numpy(float), from_column(rows[PREDICTION]), rows["prediction_time"]
    return sum_by_day(problem.task, problem.primary_metric, times, label, predicted, edges, problem.classes)


def judge_rows(
    problem: Problem, rows: pd.DataFrame, window: Interval, reference: Reference, edges: np.ndarray
) -> WindowEvidence:
    """Judge the rows of a window."""
    inside = _inside(rows, window)
    labelled = inside[(inside["outcome"] == LABELLED) & inside["label"].notna()]
    summed = sum_rows(problem, labelled, edges) if len(labelled) else None
    outcomes = {str(name): int(count) for name, count in inside["outcome"].value_counts().items()}
    return judge_window(window, len(inside), outcomes, summed, reference, problem.monitoring)


def judge_slices(
    problem: Problem, rows: pd.DataFrame, span: Interval, tested: pd.DataFrame, edges: np.ndarray
) -> dict[str, WindowEvidence]:
    """Judge each slice over the windows that decide, against the reference of the same slice."""
    found = {}
    for name in problem.slices:
        for value in sorted(rows[name].dropna().unique(), key=str):
            here, there = rows[rows[name] == value], tested[tested[name] == value]
            if min(len(here), len(there)) >= problem.thresholds.min_slice_rows:
                usual = make_reference(sum_rows(problem, there, edges), problem.monitoring)
                found[f"{name}={value}"] = judge_rows(problem, here, span, usual, edges)
    return found


def _inside(rows: pd.DataFrame, window: Interval) -> pd.DataFrame:
    return rows[(rows["prediction_time"] >= window.start) & (rows["prediction_time"] < window.end)]
