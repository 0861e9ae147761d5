"""Task from the prediction log to the champion's answers with what became of them: a day of them in memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.files.parquet_rows import read_day, write_days
from flightline.adapters.prediction_log.label_table import read_labels
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.adapters.prediction_log.rows import decode
from flightline.core.prediction_record import ANSWER_COLUMNS, INSTANT, with_answers
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.windows import Interval, asked_since
from pipelines.common.retries import is_log_error
from pipelines.common.step import step

_LIGHT = ("prediction_id", "prediction_time", "instance_key", "keys", "clock", *ANSWER_COLUMNS, "model_version", "role")
_NOTHING = decode([], _LIGHT)
_WHOLE = "whole.parquet"


@dataclass(frozen=True)
class ServedRows:
    """The champion's logged predictions from the first shown window to the clock, with what became of them."""

    file: Path
    rows: int

    def between(self, span: Interval, columns: Sequence[str]) -> pd.DataFrame:
        """Read some columns of the rows that were predicted in a span."""
        inside = [
            ("prediction_time", operator, pd.Timestamp(at)) for operator, at in ((">=", span.start), ("<", span.end))
        ]
        return pd.read_parquet(self.file, columns=list(columns), filters=inside)


@step(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def collect_served_rows(
    project: Project, windows: list[Interval], version: str, clock: datetime, folder: Path
) -> ServedRows:
    """Join the champion's logged predictions with the outcomes that are known by the clock, as a file in a folder."""
    span = Interval(
        windows[0].start, clock
    )  # the days after the last window have no labels yet, but may have anomalies

    def outcomes(rows: pd.DataFrame) -> pd.DataFrame:
        labels = read_labels(project.settings, as_of=clock, keys=rows["instance_key"])
        return rows.merge(labels[["instance_key", "outcome", "label"]], on="instance_key", how="left")

    log = PredictionLog.open(project.settings)
    try:
        start = asked_since(windows[0])
        parts = log.parts(start=start, end=clock + INSTANT, by="clock", columns=_LIGHT)
        kept = (_served(part, project.problem, span, version) for part in chain([_NOTHING], parts))
        rows = write_served(folder / "served.parquet", kept, outcomes)
    finally:
        log.close()
    return ServedRows(folder / "served.parquet", rows)


def write_served(file: Path, parts: Iterable[pd.DataFrame], outcomes: Callable[[pd.DataFrame], pd.DataFrame]) -> int:
    """Write the newest answer of each instance, by prediction time, and count them.

    An instance has one prediction time, so those of a day are told apart by themselves, and no more is in memory.

    Parameters
    ----------
    parts
        Of `_served`; the first gives the columns, if there is no row.
    outcomes
        Adds what became of some instances.
    """
    with TemporaryDirectory(dir=file.parent) as temporary:
        made = list[Path]()
        for day in write_days(Path(temporary), parts, "prediction_time"):
            rows = outcomes(_newest(read_day(day)))
            rows = rows.sort_values(["prediction_time", "instance_key"], ignore_index=True)
            rows.to_parquet(day / _WHOLE, index=False)
            made.append(day / _WHOLE)
        # A day may have no value in a column, and says nothing of its type then.
        schema = pa.unify_schemas(map(pq.read_schema, made), promote_options="permissive")
        with pq.ParquetWriter(file, schema) as writer:
            for each in made:
                writer.write_table(pq.read_table(each).cast(schema))
    return int(pq.read_metadata(file).num_rows)


def _newest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["clock", "prediction_id"]).drop_duplicates("instance_key", keep="last")


def _served(read: pd.DataFrame, problem: Problem, span: Interval, version: str) -> pd.DataFrame:
    """Keep the champion's answers about instances of the span, its slices as columns."""
    kept = read[
        (read["model_version"] == version)
        & (read["role"] == "champion")
        & (read["instance_key"] != instance_key({}))
        & (read["prediction_time"] >= span.start)
        & (read["prediction_time"] < span.end)
    ]
    kept = _newest(kept)
    slices = {name: [keys.get(name) for keys in kept["keys"]] for name in problem.slices}
    return with_answers(kept, problem.classes).drop(columns=["keys", "model_version", "role"]).assign(**slices)
