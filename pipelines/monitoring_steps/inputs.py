"""Tasks on the inputs of served predictions: drift against the training window, missing and old features."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.adapters import evidently_reports
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.prediction_record import ANSWER_COLUMNS
from flightline.core.problem_spec import Monitoring
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.core.windows import Interval
from flightline.monitoring.behaviours import WITHOUT_DRIFT, ByNature
from flightline.monitoring.data_quality import DataAnomaly
from flightline.monitoring.decision import ColumnMismatch
from flightline.monitoring.drift import (
    PREDICTION,
    ColumnDrift,
    InputProblem,
    InputWarning,
    drift_warnings,
    missing_warnings,
    sample_places,
)
from pipelines.common.retries import is_log_error
from pipelines.common.step import step
from pipelines.monitoring_steps.served import ServedRows
from pipelines.monitoring_steps.training_window import TrainingSample

_HEAVY = (
    "prediction_id",
    "prediction_time",
    "clock",
    *ANSWER_COLUMNS,
    "features",
    "event_timestamps",
    "watermarks",
    "missing",
)
DETAILED = 8  # columns that moved most, of which Evidently draws every detail; all of 94 take 15 s


@dataclass(frozen=True)
class ViewAge:
    """How old the values of a feature view were when predictions were made.

    Parameters
    ----------
    view
        Feature view.
    typical_hours, late_hours
        Median and 95th percentile of the age of the values themselves.
    lag_hours
        95th percentile of the time since the view was materialised.
    lagging
        The share of predictions, 0..1, made from a view materialised longer ago than is allowed.
    missing
        The share of predictions in which the view gave no value, by the service's own account.
    """

    view: str
    typical_hours: float
    late_hours: float
    lag_hours: float
    lagging: float
    missing: float


@dataclass(frozen=True)
class Inputs:
    """What is known of the inputs of the windows that decide.

    Parameters
    ----------
    columns
        Drift and missing values of each feature and of the prediction; empty without rows.
    views
        Ages, in the latest window.
    rows
        How many predictions were looked at.
    warnings
        What asks to watch.
    workspace
        Where Evidently's reports are; None if none was made.
    anomalies
        Of the data, on days of the latest window or later.
    mismatch
        How the logged features differ from this model's; None if they do not.
    by_nature
        The columns that are judged by how they move by nature.
    """

    columns: tuple[ColumnDrift, ...] = ()
    views: tuple[ViewAge, ...] = ()
    rows: int = 0
    warnings: tuple[InputWarning, ...] = ()
    workspace: Path | None = None
    anomalies: tuple[DataAnomaly, ...] = ()
    mismatch: ColumnMismatch | None = None
    by_nature: tuple[ByNature, ...] = ()

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns above their own threshold, farthest first."""
        return tuple(sorted((one for one in self.columns if one.is_drifted), key=lambda one: -one.excess))


@step(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def examine_inputs(
    project: Project,
    sample: TrainingSample,
    served: ServedRows,
    windows: list[Interval],
    thresholds: dict[str, float],
    by_nature: tuple[ByNature, ...] = (),
) -> Inputs:
    """Hold the features and predictions of the last windows against the training window.

    Parameters
    ----------
    windows
        Up to the clock's day: what is wrong with inputs is seen before their labels are known.
    """
    rule = project.problem.monitoring
    span = Interval(windows[-rule.windows].start, windows[-1].end)
    rows = served.between(span, ["prediction_id", "prediction_time"])
    if rows.empty:
        return Inputs(by_nature=by_nature)
    undrifted = [each.column for each in by_nature if each.behaviour in WITHOUT_DRIFT]
    thresholds = {name: value for name, value in thresholds.items() if name not in undrifted}
    chosen = rows["prediction_id"].to_numpy()[sample_places(len(rows), rule.drift_rows)]
    made = read_features(project.settings, list(chosen))
    usual = pd.read_parquet(sample.file)
    current = as_training(made, usual)
    is_latest = (made["prediction_time"] >= windows[-1].start).to_numpy()
    missing = current[is_latest].isna().mean() if is_latest.any() else current.isna().mean()
    scores = evidently_reports.drift_scores(usual, current)
    columns = tuple(
        ColumnDrift(name, scores[name], thresholds.get(name, inf), float(missing[name]), sample.missing[name])
        for name in usual
        if name in thresholds or name in undrifted
    )
    views = view_ages(made[is_latest], rule) if is_latest.any() else ()
    reports = evidently_reports.run_reports(usual, current, thresholds, windows[-1].end, worth_detail(columns))
    workspace = evidently_reports.save_reports(project.settings, project.problem.model_name, str(span), reports)
    warnings = (
        *missing_warnings(columns, rule.missing_margin),
        *drift_warnings(columns, rule.drift_alarm),
        *lags(views, rule),
    )
    names = [name for name in usual if name != PREDICTION]
    mismatch = compare_columns(made["features"], names)
    return Inputs(columns, views, len(made), warnings, workspace, mismatch=mismatch, by_nature=by_nature)


def read_features(settings: Settings, ids: list[str]) -> pd.DataFrame:
    """Read what predictions were made of, and when."""
    log = PredictionLog.open(settings)
    try:
        return log.read(ids=ids, columns=_HEAVY)
    finally:
        log.close()


def worth_detail(columns: Sequence[ColumnDrift]) -> list[str]:
    """Name the columns that moved most, and those whose share of missing values did."""
    moved = sorted(columns, key=lambda one: -one.excess)
    gone = sorted(columns, key=lambda one: -abs(one.missing - one.usual_missing))
    return [one.column for one in (*moved[:DETAILED], *gone[:DETAILED])]


def compare_columns(logged: pd.Series, names: Sequence[str]) -> ColumnMismatch | None:
    """Find the logged features that the training set does not have, and those of its features that were not logged."""
    sets = Counter(frozenset(given) for given in logged)
    new = tuple(sorted(set().union(*sets) - set(names)))
    missing = tuple(sorted(set(names) - frozenset.intersection(*sets)))
    return ColumnMismatch(new, missing) if new or missing else None


def as_training(made: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """Give logged features the columns and types of the training set; one that was not logged is missing."""
    given = pd.DataFrame(made["features"].tolist(), index=made.index)
    by_class = made["probabilities"].notna()
    likeliest = made["probabilities"].map(lambda given: max(given, key=given.get), na_action="ignore")
    given[PREDICTION] = made["prediction"].where(~by_class, likeliest)
    columns = {}
    for name in usual:
        column = given[name] if name in given else pd.Series(np.nan, given.index)
        is_number = usual[name].dtype == float
        columns[name] = pd.to_numeric(column, errors="coerce").astype(float) if is_number else column.astype(object)
    return pd.DataFrame(columns)


def view_ages(made: pd.DataFrame, rule: Monitoring) -> tuple[ViewAge, ...]:
    """Tell for each feature view how old its values and its materialisation were."""
    clocks = list(made["clock"])
    ages, lags_ = _hours(made["event_timestamps"], clocks), _hours(made["watermarks"], clocks)
    gone = Counter(name for missing in made["missing"] for name in missing)
    most = rule.max_lag.total_seconds() / 3600
    views = []
    for view in sorted(ages.keys() | lags_.keys()):
        age, lag = (np.array(hours.get(view, [np.nan])) for hours in (ages, lags_))
        quantiles = (float(np.median(age)), float(np.quantile(age, 0.95)), float(np.quantile(lag, 0.95)))
        views.append(ViewAge(view, *quantiles, float(np.mean(lag > most)), gone[view] / len(made)))
    return tuple(views)


def _hours(moments: pd.Series, clocks: list[datetime]) -> dict[str, list[float]]:
    hours: dict[str, list[float]] = {}
    for given, clock in zip(moments, clocks, strict=True):
        for view, moment in given.items():
            hours.setdefault(view, []).append((clock - moment).total_seconds() / 3600)
    return hours


def lags(views: tuple[ViewAge, ...], rule: Monitoring) -> list[InputWarning]:
    """Find the views that were materialised too long ago for too many predictions."""
    most = rule.max_lag.total_seconds() / 3600
    return [
        InputWarning(each.view, InputProblem.LAGGING, each.lag_hours, most)
        for each in views
        if each.lagging > rule.lag_share
    ]
