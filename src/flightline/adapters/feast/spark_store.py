"""The offline store of `asof_store.py` with its point-in-time join on Spark: a running maximum over each key's rows.

Why it exists. Feast's own Spark store joins by inequality: two rows of one key, event and created timestamp make two
of one entity row, and what it sorts is every pair. Here each view is one sort by key and time, and gives one row.
`registry.py` names this store where FLIGHTLINE_ENGINE is spark. Materialisation stays DuckDB's.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
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

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """Give the result so many rows at a time; it is held whole meanwhile."""
        result, store = self._entities.table, self._store
        with spark.connect(store.spark, store.threads, store.folder) as backend:
            for join in self._joins:
                features = _run_join(backend.session, self._entities, join, self._is_known_only, self.repo_path)
                for name in features.column_names:
                    result = result.append_column(name, features[name])
        for begin in range(0, max(1, len(result)), rows):
            yield result.slice(begin, rows)


class SparkOfflineStore(AsofOfflineStore):
    """As `AsofOfflineStore`, row by row; of two rows alike in key and both timestamps, the greater values win."""

    job_type: ClassVar[type[AsofRetrievalJob]] = SparkRetrievalJob


def _run_join(session: Any, entities: Entities, join: Join, is_known_only: bool, repo_path: str) -> pa.Table:
    keys = [f"key_{i}" for i in range(len(join.keys))]
    rows = _source_rows(session, join, is_known_only, repo_path).unionByName(_entity_rows(session, entities, join))
    partition = f"PARTITION BY {', '.join(keys)} " if keys else ""
    # The entity row comes after what became known at its own moment. `max` takes the newest event, then created.
    so_far = f"({partition}ORDER BY at, is_entity ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    newest = rows.selectExpr("row_id", "at", f"max(found) OVER {so_far} AS found").filter("row_id IS NOT NULL")
    is_fresh = f"at - found.event <= {join.ttl // timedelta(microseconds=1)}L" if join.ttl else "true"
    values = [f"IF({is_fresh}, found.value_{i}, NULL) AS value_{i}" for i in range(len(join.features))]
    joined = newest.selectExpr("row_id", *values).toArrow().sort_by("row_id").drop_columns("row_id")
    return joined.rename_columns(list(join.features.values()))


def _entity_rows(session: Any, entities: Entities, join: Join) -> Any:
    columns = {f"key_{i}": _plain(entities.table[name]) for i, name in enumerate(join.keys.values())}
    rows = pa.array(np.arange(len(entities.timestamps)))
    table = pa.table({**columns, "at": entities.timestamps, "row_id": rows})
    return session.createDataFrame(table).selectExpr(*columns, "at", "1 AS is_entity", "row_id", "NULL AS found")


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
