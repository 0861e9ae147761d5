"""Rebuilds logged predictions from the feature tables, and compares value by value."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import LogError, ParityError
from flightline.core.prediction_record import with_answers
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.inference.predict import predict_rows
from flightline.monitoring.parity import (
    Mismatch,
    RebuiltView,
    StoredView,
    compare_inputs,
    compare_predictions,
    compare_states,
    inputs_of,
    rebuild_view,
    stored_features,
)
from pipelines.promotion_steps.champion import load_version
from pipelines.steps.features import holds_version_since

ROWS_AT_ONCE = 20_000
SHOWN = 20


@dataclass(frozen=True)
class ParityReport:
    """What a comparison came to.

    Parameters
    ----------
    predictions
        How many were rebuilt.
    left_out
        Of ready features that were sent in, which no store was asked for.
    features
        Values compared.
    mismatches
        Each that differs.
    changed
        How many predictions of an earlier data version differ too: its rows came late, or were corrected.
    """

    predictions: int
    left_out: int
    features: int
    mismatches: tuple[Mismatch, ...]
    changed: int = 0

    def __str__(self) -> str:
        wrong = len({one.prediction_id for one in self.mismatches})
        values = f", {len(self.mismatches):,} values," if self.mismatches else ""
        left_out = f"; {self.left_out:,} of ready features left out" if self.left_out else ""
        changed = (
            f"; {self.changed:,} of an earlier data version would be answered otherwise on this one, whose rows came "
            "late or were corrected"
        )
        return (
            f"{wrong:,} mismatches{values} in {self.predictions:,} predictions ({self.features:,} features){left_out}"
            + (changed if self.changed else "")
        )


def read_log(settings: Settings, since: datetime | None = None) -> tuple[pd.DataFrame, int]:
    """Read the predictions that the feature store was asked for, all or from a time of day on, and count the others.

    Raises
    ------
    LogError
        If there is none.
    """
    log = PredictionLog.open(settings)
    try:
        logged = log.read(start=since)
    finally:
        log.close()
    asked = logged[logged["endpoint"] == "predict"].reset_index(drop=True)
    if asked.empty:
        raise LogError("no prediction with features of the store is logged; run `make simulate`, or serve and ask")
    return asked, len(logged) - len(asked)


def requests_of(project: Project, logged: pd.DataFrame) -> pd.DataFrame:
    """Give the requests of logged predictions in the types of the project's own examples."""
    names = list(project.request_fields)
    known = pd.read_parquet(project.settings.features_dir / "current" / "examples" / "examples.parquet", columns=names)
    given = pd.DataFrame(logged["keys"].tolist(), columns=names, dtype=object)
    moments = [name for name in names if isinstance(known[name].dtype, pd.DatetimeTZDtype)]
    return given.assign(**{name: pd.to_datetime(given[name], utc=True, format="ISO8601") for name in moments})


def check_parity(project: Project, since: datetime | None = None) -> ParityReport:
    """Rebuild and compare every logged prediction of a root, or those logged since a time of day.

    The feature tables are of today's data version. A prediction that was made on an earlier one is no mismatch if it
    differs, but counted: what was late or corrected since was not known to it.
    """
    logged, left_out = read_log(project.settings, since)
    logged = with_answers(logged, project.problem.classes)
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    tables = {view.name: _read_table(project.settings, view) for view in views}
    load = model_loader(project)
    mismatches, features = [], 0
    for first in range(0, len(logged), ROWS_AT_ONCE):
        part = logged.iloc[first : first + ROWS_AT_ONCE].reset_index(drop=True)
        requests = requests_of(project, part)
        rebuilt = _rebuild(project, part, requests, views, tables)
        for rows, model in by_model(part, load):
            ours = [_rows_of(one, rows) for one in rebuilt]
            chosen, stored = part.loc[rows].reset_index(drop=True), stored_features(ours)
            computed = project.requests.computed_features(requests.loc[rows], stored, chosen["clock"])
            inputs = inputs_of(stored, computed, list(model.kinds))
            mismatches += compare_inputs(chosen, ours, inputs) + compare_states(chosen, ours)
            mismatches += compare_predictions(chosen, answers_of(project.problem, model, inputs))
            features += len(chosen) * len(inputs)
    mismatches.sort(key=lambda one: (one.clock, one.prediction_id))  # the first may be the cause of the others
    earlier = _of_earlier_data(project.settings, logged)
    changed = {one.prediction_id for one in mismatches} & earlier
    wrong = tuple(one for one in mismatches if one.prediction_id not in earlier)
    return ParityReport(len(logged), left_out, features, wrong, len(changed))


def _of_earlier_data(settings: Settings, logged: pd.DataFrame) -> set[str]:
    since = holds_version_since(settings)
    return set() if since is None else set(logged.loc[logged["logged_at"] < since, "prediction_id"])


def _read_table(settings: Settings, view: StoredView) -> pd.DataFrame:
    columns = [*view.keys, "event_timestamp", "created_timestamp", *view.features]
    return pd.read_parquet(settings.features_dir / "current" / f"{view.name}.parquet", columns=columns)


def _rebuild(
    project: Project,
    logged: pd.DataFrame,
    requests: pd.DataFrame,
    views: list[StoredView],
    tables: dict[str, pd.DataFrame],
) -> list[RebuiltView]:
    asked = requests.assign(**project.requests.keys(requests), clock=logged["clock"])
    rebuilt = []
    for view in views:
        watermarks = pd.Series([row.get(view.name) for row in logged["watermarks"]], dtype="datetime64[us, UTC]")
        rebuilt.append(rebuild_view(view, tables[view.name], asked.assign(watermark=watermarks)))
    return rebuilt


def _rows_of(one: RebuiltView, rows: np.ndarray) -> RebuiltView:
    stamps, values = one.stamps.iloc[rows].reset_index(drop=True), one.values.iloc[rows].reset_index(drop=True)
    return RebuiltView(one.view, stamps, one.reasons[rows], values)


def model_loader(project: Project) -> Callable[[str], ServedModel]:
    """Give what loads a version by its number, each only once."""
    loaded: dict[str, ServedModel] = {}

    def load(version: str) -> ServedModel:
        if version not in loaded:
            loaded[version] = load_version(project, version)
        return loaded[version]

    return load


def by_model(logged: pd.DataFrame, load: Callable[[str], ServedModel]) -> Iterator[tuple[np.ndarray, ServedModel]]:
    """Give the positions of the predictions of each model version, with the model."""
    for version in logged["model_version"].unique():
        yield np.flatnonzero(logged["model_version"] == version), load(version)


def answers_of(problem: Problem, model: ServedModel, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Ask a model, as the service does."""
    columns = [[None if value is None or value != value else value for value in inputs[name]] for name in model.kinds]
    rows = [dict(zip(model.kinds, row, strict=True)) for row in zip(*columns, strict=True)]
    return predict_rows(problem.task, model.pipeline, model.fast_pipeline, model.kinds, rows)


def demand_parity(report: ParityReport) -> None:
    """Refuse any mismatch, naming the first of them.

    Raises
    ------
    ParityError
        With prediction, value, timestamps and watermark of each that is shown.
    """
    if not report.mismatches:
        return
    shown = [f"  {one}" for one in report.mismatches[:SHOWN]]
    more = len(report.mismatches) - len(shown)
    raise ParityError("\n".join([str(report), *shown, *([f"  and {more:,} more"] if more else [])]))
