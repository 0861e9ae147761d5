"""Rebuilds logged predictions from the feature tables, and compares value by value."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flightline.adapters.engines.duckdb import explained, open_plain
from flightline.adapters.engines.newest_rows import newest_rows
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import LogError, ParityError
from flightline.core.prediction_record import ANSWER_COLUMNS, with_answers
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

ROWS_AT_ONCE = 10_000  # of the log, with all that predictions were made of
SHOWN, MOST_KEPT = 20, 10_000
_MEMORY = "1GB"  # of DuckDB, beyond which it spills, where no setting says another
_COLUMNS = (
    "prediction_id",
    "logged_at",
    "clock",
    "instance_key",
    "keys",
    "features",
    "event_timestamps",
    "watermarks",
    "missing",
    *ANSWER_COLUMNS,
    "model_version",
    "endpoint",
)


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
        Each that differs, by clock; of very many the first ones.
    wrong, values
        How many predictions and values differ.
    changed
        How many predictions of an earlier data version differ too: its rows came late, or were corrected.
    """

    predictions: int = 0
    left_out: int = 0
    features: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    wrong: int = 0
    values: int = 0
    changed: int = 0

    def __add__(self, other: "ParityReport") -> "ParityReport":
        """Add up the reports of other predictions."""
        counts = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        # The first may be the cause of the others.
        first = sorted(counts["mismatches"], key=lambda each: (each.clock, each.prediction_id))[:MOST_KEPT]
        return ParityReport(**counts | {"mismatches": tuple(first)})

    def __str__(self) -> str:
        values = f", {self.values:,} values," if self.values else ""
        left_out = f"; {self.left_out:,} of ready features left out" if self.left_out else ""
        changed = (
            f"; {self.changed:,} of an earlier data version would be answered otherwise on this one, whose rows came "
            "late or were corrected"
        )
        return (
            f"{self.wrong:,} mismatches{values} in {self.predictions:,} predictions ({self.features:,} features)"
            f"{left_out}" + (changed if self.changed else "")
        )


def read_log(
    settings: Settings, since: datetime | None = None, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[tuple[pd.DataFrame, int]]:
    """Read the predictions that the feature store was asked for, all or from a time of day on, and count the others.

    Both of so many at a time, the oldest first.

    Raises
    ------
    LogError
        At the end, if there is none.
    """
    log, found = PredictionLog.open(settings), 0
    try:
        for logged in log.parts(start=since, columns=_COLUMNS, rows_at_once=rows_at_once):
            asked = logged[logged["endpoint"] == "predict"].reset_index(drop=True)
            found += len(asked)
            yield asked, len(logged) - len(asked)
    finally:
        log.close()
    if not found:
        raise LogError("no prediction with features of the store is logged; run `make simulate`, or serve and ask")


def requests_of(project: Project, logged: pd.DataFrame) -> pd.DataFrame:
    """Give the requests of logged predictions in the types of the project's own examples."""
    names = list(project.request_fields)
    known = pq.read_schema(project.settings.features_dir / "current" / "examples" / "examples.parquet")
    given = pd.DataFrame(logged["keys"].tolist(), columns=names, dtype=object)
    moments = [name for name in names if getattr(known.field(name).type, "tz", None)]
    return given.assign(**{name: pd.to_datetime(given[name], utc=True, format="ISO8601") for name in moments})


def check_parity(project: Project, since: datetime | None = None, rows_at_once: int = ROWS_AT_ONCE) -> ParityReport:
    """Rebuild and compare every logged prediction of a root, or those logged since a time of day.

    The feature tables are of today's data version. A prediction that was made on an earlier one is no mismatch if it
    differs, but counted: what was late or corrected since was not known to it.

    Parameters
    ----------
    rows_at_once
        How many predictions are in memory at a time, with the rows that one feature table has of their keys since the
        first of them, and the newest before it.
    """
    rebuilding, report = _open_rebuilding(project), ParityReport()
    for logged, left_out in read_log(project.settings, since, rows_at_once):
        part = rebuilding.compare(with_answers(logged, project.problem.classes)) if len(logged) else ParityReport()
        report += replace(part, left_out=left_out)
    return report


@dataclass(frozen=True)
class _Rebuilding:
    """What logged predictions are rebuilt from, the same for all of them."""

    project: Project
    folder: Path
    views: Sequence[StoredView]
    load: Callable[[str], ServedModel]
    since: datetime | None

    def compare(self, logged: pd.DataFrame) -> ParityReport:
        """Rebuild some predictions."""
        project, mismatches, features = self.project, list[Mismatch](), 0
        requests = requests_of(project, logged)
        rebuilt = self._rebuild(logged, requests)
        for rows, model in by_model(logged, self.load):
            ours = [_part_of(each, rows) for each in rebuilt]
            chosen, stored = logged.loc[rows].reset_index(drop=True), stored_features(ours)
            computed = project.requests.computed_features(requests.loc[rows], stored, chosen["clock"])
            inputs = inputs_of(stored, computed, list(model.kinds))
            mismatches += compare_inputs(chosen, ours, inputs) + compare_states(chosen, ours)
            mismatches += compare_predictions(chosen, answers_of(project.problem, model, inputs))
            features += len(chosen) * len(inputs)
        earlier = set() if self.since is None else set(logged.loc[logged["logged_at"] < self.since, "prediction_id"])
        differing = {each.prediction_id for each in mismatches}
        wrong = tuple(each for each in mismatches if each.prediction_id not in earlier)
        return ParityReport(
            predictions=len(logged),
            features=features,
            mismatches=wrong,
            wrong=len(differing - earlier),
            values=len(wrong),
            changed=len(differing & earlier),
        )

    def _rebuild(self, logged: pd.DataFrame, requests: pd.DataFrame) -> list[RebuiltView]:
        asked = requests.assign(**self.project.requests.keys(requests), clock=logged["clock"])
        rebuilt = []
        for view in self.views:
            watermarks = pd.Series([row.get(view.name) for row in logged["watermarks"]], dtype="datetime64[us, UTC]")
            given = asked.assign(watermark=watermarks)
            rebuilt.append(rebuild_view(view, self._rows_of(view, given), given))
        return rebuilt

    def _rows_of(self, view: StoredView, asked: pd.DataFrame) -> pd.DataFrame:
        columns = [*view.keys, "event_timestamp", "created_timestamp", *view.features]
        known = asked[asked["watermark"].notna()]
        between = known["watermark"].min(), known["watermark"].max()
        file = self.folder / f"{view.name}.parquet"
        settings = self.project.settings
        limits = {"memory_limit": _MEMORY, "threads": str(settings.threads), **settings.duckdb_limits}
        with explained(), open_plain(limits) as connection:
            return newest_rows(connection, file, known[list(view.keys)], columns, between, view.loaded)


def _open_rebuilding(project: Project) -> _Rebuilding:
    settings = project.settings
    folder = (settings.features_dir / "current").resolve()  # a run that moves it meanwhile changes nothing
    views = feast_store.stored_views(settings, project.problem.feature_service)
    return _Rebuilding(project, folder, views, model_loader(project), holds_version_since(settings))


def _part_of(one: RebuiltView, rows: np.ndarray) -> RebuiltView:
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
    more = report.values - len(shown)
    raise ParityError("\n".join([str(report), *shown, *([f"  and {more:,} more"] if more else [])]))
