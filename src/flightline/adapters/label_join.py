"""Joins what was predicted, what is known of it and what is recorded, in DuckDB: more than memory may hold."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from flightline.adapters.engines.duckdb import connect
from flightline.core.settings import Settings
from flightline.monitoring.labels import LABELLED, Label

_MEMORY = "1GB"  # beyond which it spills, where no setting says another
_KEY = pa.field("instance_key", pa.string())
_SAID = [
    pa.field("outcome", pa.string()),
    pa.field("label", pa.float64()),
    pa.field("known_at", pa.timestamp("us", tz="UTC")),
]
_COLUMNS = {
    "predicted": pa.schema([_KEY]),
    "known": pa.schema([_KEY, *_SAID]),
    "recorded": pa.schema([_KEY, pa.field("revision", pa.int64()), *_SAID]),
}
_PARTS = 16  # by key, one after another: DuckDB spills tables, but not all of a join and of its groups
# `said` is what `Label.says_the_same` compares.
_MACROS = f"""
CREATE MACRO part_of(instance_key) AS hash(instance_key) % {_PARTS};
CREATE MACRO said(outcome, label, known_at) AS
    {{'outcome': outcome, 'label': label, 'known_at': CASE WHEN outcome = '{LABELLED}' THEN known_at END}};
CREATE MACRO first(part) AS TABLE
    SELECT instance_key, min(outcome) AS outcome, min(label) AS label, arg_min(known_at, rowid) AS known_at
    FROM known WHERE part_of(instance_key) = part GROUP BY instance_key;
CREATE MACRO newest(part) AS TABLE
    SELECT instance_key, arg_max(said(outcome, label, known_at), revision) AS said
    FROM recorded WHERE part_of(instance_key) = part GROUP BY instance_key;
CREATE MACRO due(part, clock) AS TABLE
    SELECT instance_key, arg_max(outcome, revision) AS outcome
    FROM recorded WHERE part_of(instance_key) = part AND known_at <= clock GROUP BY instance_key;
CREATE MACRO instances(part) AS TABLE
    SELECT DISTINCT instance_key FROM predicted WHERE part_of(instance_key) = part;
CREATE MACRO missing(part) AS TABLE
    SELECT instance_key, outcome, label, known_at FROM first(part)
    SEMI JOIN instances(part) USING (instance_key) LEFT JOIN newest(part) AS newest USING (instance_key)
    WHERE newest.said IS DISTINCT FROM said(outcome, label, known_at);
"""  # noqa: S608 constants
_TWO_OUTCOMES = (
    "SELECT instance_key FROM known WHERE part_of(instance_key) = $part GROUP BY instance_key "
    "HAVING min(said(outcome, label, known_at)) IS DISTINCT FROM max(said(outcome, label, known_at)) LIMIT 1"
)
_OUTCOMES = """
SELECT coalesce(missing.outcome, due.outcome), count(*) FROM instances($part)
LEFT JOIN missing($part) AS missing USING (instance_key) LEFT JOIN due($part, $clock) AS due USING (instance_key)
GROUP BY ALL
"""


class LabelJoin:
    """What was given to it, part by part, and what follows from all of it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        for name, schema in _COLUMNS.items():
            connection.register("part", schema.empty_table())
            connection.execute(f"CREATE TABLE {name} AS FROM part")
        connection.execute(_MACROS)

    def add_predicted(self, keys: pd.Series) -> None:
        """Take keys of instances that have a logged prediction; each as often as it comes."""
        self._add("predicted", pd.DataFrame({"instance_key": keys.unique()}))

    def add_known(self, found: Sequence[Label]) -> None:
        """Take what is known of instances, of `labels.known_labels`."""
        self._add("known", pd.DataFrame([asdict(each) for each in found]))

    def add_recorded(self, records: pd.DataFrame) -> None:
        """Take records, of `label_table.label_parts`."""
        self._add("recorded", records)

    def _add(self, table: str, rows: pd.DataFrame) -> None:
        if len(rows):
            self._connection.register("part", pa.Table.from_pandas(rows, _COLUMNS[table], preserve_index=False))
            self._connection.execute(f"INSERT INTO {table} FROM part")
            self._connection.unregister("part")

    def two_outcomes(self) -> str | None:
        """Give an instance of which two different things are known."""
        for part in range(_PARTS):
            if found := self._connection.execute(_TWO_OUTCOMES, {"part": part}).fetchone():
                return str(found[0])
        return None

    def missing(self, rows_at_once: int) -> Iterator[list[dict[str, Any]]]:
        """Give what is known of predicted instances and not recorded: fields of `Label`, so many at most at a time."""
        for part in range(_PARTS):
            found = self._connection.cursor().sql(f"FROM missing({part})")
            for rows in found.to_arrow_reader(rows_at_once):
                yield rows.to_pylist()

    def count(self, clock: datetime) -> tuple[int, dict[str, int]]:
        """Count the predicted instances, and those of each outcome by the clock, when what is missing is recorded."""
        counted: Counter[str | None] = Counter()
        for part in range(_PARTS):
            counted.update(dict(self._connection.execute(_OUTCOMES, {"part": part, "clock": clock}).fetchall()))
        return counted.total(), {outcome: counted[outcome] for outcome in sorted(filter(None, counted))}


@contextmanager
def open_label_join(settings: Settings) -> Iterator[LabelJoin]:
    """Begin with nothing; what does not fit into memory lies on disk until the end.

    Raises
    ------
    EngineError
        Inside, if it needs more memory and disk than the settings allow.
    """
    with connect(settings.threads, {"memory_limit": _MEMORY, **settings.duckdb_limits}) as backend:
        yield LabelJoin(backend.con)
