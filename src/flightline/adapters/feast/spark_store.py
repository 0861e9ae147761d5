"""The offline store of `asof_store.py` with its point-in-time join on Spark: a running maximum over each key's rows.

Why it exists. Feast's own Spark store joins by inequality: two rows of one key, event and created timestamp make two
of one entity row, and what it sorts is every pair. Here each view is one sort by key and time, and gives one row.
`registry.py` names this store where FLIGHTLINE_ENGINE is spark. Materialisation stays DuckDB's.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import StrictStr

from flightline.adapters.engines import spark
from flightline.adapters.feast.asof_join import Entities, Join, source_column
from flightline.adapters.feast.asof_store import AsofOfflineStore, AsofOfflineStoreConfig, AsofRetrievalJob
from flightline.core.engine_settings import SparkSettings

_LEAST = "-9223372036854775808L"  # a created timestamp that is not known loses a tie


class SparkOfflineStoreConfig(AsofOfflineStoreConfig):
    """The options of `AsofOfflineStore`, and what `engines.spark.connect` takes."""

    type: StrictStr = "flightline.adapters.feast.spark_store.SparkOfflineStore"
    spark: SparkSettings = SparkSettings()
    threads: int = 1
    folder: str  # for intermediate tables


class SparkRetrievalJob(AsofRetrievalJob):
    """The joins of one call, in one session of Spark."""

    def _place(self) -> str:
        return str(self._store.folder)  # which every worker reaches

    def _join_all(self, folder: Path) -> Iterator[Path]:
        asked, store = folder / "asked.parquet", self._store
        names = sorted({name for join in self._joins for name in join.keys.values()})
        # A file, since of rows that are handed over Spark keeps each join's own until the session ends.
        pq.write_table(_asked_rows(self._entities, names), asked)
        with spark.connect(store.spark, store.threads, store.folder) as backend:
            for number, join in enumerate(self._joins):
                file = folder / f"{number}.parquet"
                rows = _entity_rows(backend.session, asked, [names.index(name) for name in join.keys.values()])
                joined = _joined(rows, _source_rows(backend.session, join, self._is_known_only, self.repo_path), join)
                backend.write_frame(joined, file, compression="zstd")
                yield file


class SparkOfflineStore(AsofOfflineStore):
    """As `AsofOfflineStore`, row by row; of two rows alike in key and both timestamps, the greater values win."""

    job_type: ClassVar[type[AsofRetrievalJob]] = SparkRetrievalJob


def _joined(entities: Any, source: Any, join: Join) -> Any:
    """Give a view's values for each entity row, in their order."""
    keys = [f"key_{i}" for i in range(len(join.keys))]
    partition = f"PARTITION BY {', '.join(keys)} " if keys else ""
    # The entity row comes after what became known at its own moment. `max` takes the newest event, then created.
    so_far = f"({partition}ORDER BY at, is_entity ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    rows = source.unionByName(entities)
    newest = rows.selectExpr("row_id", "at", f"max(found) OVER {so_far} AS found").filter("row_id IS NOT NULL")
    is_fresh = f"at - found.event <= {join.ttl // timedelta(microseconds=1)}L" if join.ttl else "true"
    shown = [name.replace("`", "``") for name in join.features.values()]
    values = [f"IF({is_fresh}, found.value_{i}, NULL) AS `{name}`" for i, name in enumerate(shown)]
    return newest.orderBy("row_id").selectExpr(*values)


def _asked_rows(entities: Entities, keys: list[str]) -> pa.Table:
    columns = {f"column_{i}": _plain(entities.table[name]) for i, name in enumerate(keys)}
    return pa.table({**columns, "at": entities.timestamps, "row_id": pa.array(np.arange(len(entities.timestamps)))})


def _entity_rows(session: Any, asked: Path, columns: list[int]) -> Any:
    keys = [f"column_{column} AS key_{i}" for i, column in enumerate(columns)]
    return session.read.parquet(f"file://{asked}").selectExpr(*keys, "at", "1 AS is_entity", "row_id", "NULL AS found")


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Spell out categories, which Spark does not take."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _source_rows(session: Any, join: Join, is_known_only: bool, repo_path: str) -> Any:
    """Read a view's rows: from when each counts, and what it says, led by the timestamps that rank it."""
    path = join.source.get_uri_for_file_path(repo_path, join.source.path)
    table = session.read.parquet(path if "://" in path else f"file://{path}")
    kinds = dict(table.dtypes)

    def column(name: str) -> str:
        return "`{}`".format(source_column(join, name, table.columns).replace("`", "``"))

    def micros(name: str) -> str:
        found = column(name)
        if kinds[source_column(join, name, table.columns)] == "bigint":  # nanoseconds, as `spark.py` has them read
            return f"({found} - pmod({found}, 1000L)) div 1000L"
        return f"unix_micros(CAST({found} AS TIMESTAMP))"

    wanted = {f"key_{i}": column(key) for i, key in enumerate(join.keys)}
    wanted |= {f"value_{i}": column(feature) for i, feature in enumerate(join.features)}
    wanted["event"] = micros(join.source.timestamp_field)
    created = join.source.created_timestamp_column
    wanted["created"] = micros(created) if created else "CAST(NULL AS BIGINT)"
    keys = [name for name in wanted if name.startswith("key_")]
    values = [name for name in wanted if name.startswith("value_")]
    rows = table.selectExpr(*(f"{found} AS {name}" for name, found in wanted.items()))
    rows = rows.filter(" AND ".join(f"{name} IS NOT NULL" for name in [*keys, "event"]))
    at = "event"
    if is_known_only and created:
        rows, at = rows.filter("created IS NOT NULL"), "greatest(event, created)"
    found = f"struct(event, coalesce(created, {_LEAST}) AS created, {', '.join(values)}) AS found"
    return rows.selectExpr(*keys, f"{at} AS at", "0 AS is_entity", "CAST(NULL AS BIGINT) AS row_id", found)
