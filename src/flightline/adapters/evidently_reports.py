"""Evidently: drift scores, reports, and the workspace that `evidently ui` opens.

Imported lazily, for it takes seconds. Scores are those that Evidently's own reports show: the
normed Wasserstein distance of numbers and the Jensen-Shannon distance of categories.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from flightline.core.settings import Settings
from flightline.monitoring.drift import PREDICTION

NUMERIC_METHOD, CATEGORICAL_METHOD = "wasserstein", "jensenshannon"


def workspace_dir(settings: Settings) -> Path:
    """Say where the workspace lies: `evidently ui --workspace` opens it."""
    return settings.state_dir / "evidently"


def drift_scores(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    """Score every column as Evidently's reports do, without making a report.

    Parameters
    ----------
    reference, current
        The same columns, float64 or text.

    Returns
    -------
    dict
        By column; 0 is no drift. NaN where one side has no value.
    """
    with _quiet():
        from evidently.legacy.calculations.stattests import jensenshannon_stat_test, wasserstein_stat_test
        from evidently.legacy.core import ColumnType

        scores = {}
        for name in reference:
            is_number = reference[name].dtype == float
            test = wasserstein_stat_test if is_number else jensenshannon_stat_test
            kind = ColumnType.Numerical if is_number else ColumnType.Categorical
            one, other = reference[name].dropna(), current[name].dropna()
            whole = len(one) and len(other)
            scores[name] = float(test(one, other, kind, 0.1).drift_score) if whole else float("nan")
        return scores


def run_reports(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    thresholds: Mapping[str, float],
    at: datetime,
    detailed: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Make the reports on data drift, prediction drift and data quality.

    Parameters
    ----------
    reference, current
        The same columns; `drift.PREDICTION` is one of them.
    thresholds
        By column; columns without one (constant in training) are left out of the drift reports.
    at
        What the reports are about, on the time axis of `evidently ui`: the window's end.
    detailed
        Columns that are shown one by one, which takes a tenth of a second each; None for all. The count of the columns
        that drift is of all in any case.

    Returns
    -------
    dict
        By name, snapshots of Evidently; none on prediction drift for a model that predicts a constant.
    """
    with _quiet():
        from evidently import Report
        from evidently.metrics import DriftedColumnsCount
        from evidently.presets import DataSummaryPreset

        kept = [name for name in reference if current[name].notna().any() and reference[name].notna().any()]
        shown = [name for name in kept if detailed is None or name in detailed]
        columns = [name for name in kept if name in thresholds and name != PREDICTION]
        count = DriftedColumnsCount(
            columns=columns,
            num_method=NUMERIC_METHOD,
            cat_method=CATEGORICAL_METHOD,
            per_column_threshold={name: thresholds[name] for name in columns},
        )
        drifts = [_drift_of(reference[name], thresholds[name]) for name in columns if name in shown]
        asked = {
            "data drift": (kept, [count, *drifts]),
            "data quality": (shown, [DataSummaryPreset(columns=shown)]),
        }
        if PREDICTION in thresholds:
            asked["prediction drift"] = ([PREDICTION], [_drift_of(reference[PREDICTION], thresholds[PREDICTION])])
        return {
            name: Report(metrics, include_tests=name != "data quality", tags=[name]).run(
                current_data=_dataset(current[of]), reference_data=_dataset(reference[of]), timestamp=at
            )
            for name, (of, metrics) in asked.items()
        }


def _drift_of(column: pd.Series, threshold: float) -> Any:
    from evidently.metrics import ValueDrift

    method = NUMERIC_METHOD if column.dtype == float else CATEGORICAL_METHOD
    return ValueDrift(column=column.name, method=method, threshold=threshold)


def _dataset(frame: pd.DataFrame) -> Any:
    from evidently import DataDefinition, Dataset

    numbers = [name for name in frame if frame[name].dtype == float]
    rest = [name for name in frame if name not in numbers]
    return Dataset.from_pandas(frame, DataDefinition(numerical_columns=numbers, categorical_columns=rest))


def save_reports(settings: Settings, project: str, name: str, reports: Mapping[str, Any]) -> Path:
    """Put reports into the workspace, in place of those of the same name; give the workspace.

    Parameters
    ----------
    project
        Made if it is not there.
    name
        Of the window.
    reports
        Of `run_reports`.
    """
    folder = workspace_dir(settings)
    with _quiet():
        from evidently.ui.workspace import Workspace

        try:
            workspace = Workspace.create(str(folder))
        except json.JSONDecodeError:
            _remove_unfinished(folder)
            workspace = Workspace.create(str(folder))
        found = [one for one in workspace.list_projects() if one.name == project]
        home = found[0] if found else workspace.create_project(project)
        titles = {f"{name}: {kind}": report for kind, report in reports.items()}
        for run_id in list(workspace.list_runs(home.id)):
            if _title(workspace, home.id, run_id) in titles:
                workspace.delete_run(home.id, run_id)
        for title, report in titles.items():
            report.set_name(title)
            workspace.add_run(home.id, report)
    return folder


def _remove_unfinished(folder: Path) -> None:
    """Remove reports that whoever saved them was killed at; Evidently opens no workspace that holds one."""
    for report in folder.glob("*/snapshots/*.json"):
        try:
            json.loads(report.read_bytes())
        except ValueError:
            report.unlink()


def evidently_pages(settings: Settings) -> Any:
    """Open Evidently's pages on the workspace, as `evidently ui` does; gives an ASGI application."""
    with _quiet():
        from evidently.ui.service.app import create_app, get_config

        return create_app(get_config(workspace=str(workspace_dir(settings))))


def _title(workspace: Any, project: Any, run_id: Any) -> str:
    run = workspace.get_run(project, run_id)
    return str(run.name) if run is not None and run.name else ""


@contextmanager
def _quiet() -> Iterator[None]:
    # It warns about its own dependencies, and about numbers that are all equal.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
