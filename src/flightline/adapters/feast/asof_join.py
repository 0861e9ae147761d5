"""The SQL of a point-in-time join: one DuckDB ASOF JOIN for each feature view, of which each writes a file."""
# ruff: noqa: S608  (every name in the SQL is ours or goes through quote, every value is an integer)

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FileSource

from flightline.core.errors import FeatureError

# An event timestamp times this leaves room for a created timestamp below it (both are 64-bit
# microseconds), so that one comparison orders rows by event timestamp, then by created.
_CREATED_RANGE = "18446744073709551616::HUGEINT"
_LEAST_CREATED, _GREATEST_CREATED = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Entities:
    """The entity frame, and its event timestamps as int64 microseconds since 1970 UTC."""

    table: pa.Table
    timestamps: pa.Array
    timestamp_column: str


@dataclass(frozen=True)
class Join:
    """What one feature view adds: source names of keys and features to the names in the result."""

    view: str
    source: FileSource
    keys: dict[str, str]
    features: dict[str, str]
    ttl: timedelta | None


def write_join(
    connection: duckdb.DuckDBPyConnection,
    entities: Entities,
    join: Join,
    is_known_only: bool,
    repo_path: str,
    file: Path,
) -> None:
    """Write what a view adds to each entity row, in their order, as parquet."""
    keys = {f"key_{i}": entities.table[name] for i, name in enumerate(join.keys.values())}
    rows = pa.array(np.arange(len(entities.timestamps)))
    connection.register("entity", pa.table({**keys, "moment": entities.timestamps, "row_id": rows}))
    same_key = [f"entity.{key} = source.{key}" for key in keys]
    source, entity_order = _source_sql(_rows_sql(connection, join, same_key, repo_path), join, is_known_only)
    matches = [*same_key, f"{entity_order} >= source.order_key"]
    # MATERIALIZED, because DuckDB 2.0 plans a window function below an ASOF JOIN as a
    # cross product of both sides, which fills memory and disk.
    query = (
        f"WITH source AS MATERIALIZED ({source}) SELECT {_values_sql(join)} FROM entity "
        f"ASOF LEFT JOIN source ON {' AND '.join(matches)} ORDER BY entity.row_id"
    )
    connection.execute("COPY ({}) TO '{}' (FORMAT parquet)".format(query, str(file).replace("'", "''")))


def _values_sql(join: Join) -> str:
    value = "value_{}"
    if join.ttl:
        value = f"CASE WHEN entity.moment - source.event <= {join.ttl // timedelta(microseconds=1)} THEN value_{{}} END"
    return ", ".join(f"{value.format(i)} AS {quote(name)}" for i, name in enumerate(join.features.values()))


def _source_sql(rows: str, join: Join, is_known_only: bool) -> tuple[str, str]:
    """Return SQL for a view's rows with the key the ASOF JOIN orders them by, and for the entities' side of it."""
    if not join.source.created_timestamp_column:
        return f"SELECT *, event AS order_key FROM ({rows})", "entity.moment"
    rank = f"event * {_CREATED_RANGE} + coalesce(created, {_LEAST_CREATED})"
    if not is_known_only:
        order = f"entity.moment * {_CREATED_RANGE} + {_GREATEST_CREATED}"
        return f"SELECT *, {rank} AS order_key FROM ({rows})", order
    # A row is known from the later of its two timestamps on, and useful from then on only if
    # no row known before outranks it. RANGE, the default frame, settles those known at once.
    keys = ", ".join(f"key_{i}" for i in range(len(join.keys)))
    window = f"{f'PARTITION BY {keys} ' if keys else ''}ORDER BY order_key"
    known = f"SELECT *, greatest(event, created) AS order_key, {rank} AS rank FROM ({rows}) WHERE created IS NOT NULL"
    return f"SELECT * FROM ({known}) QUALIFY rank = max(rank) OVER ({window})", "entity.moment"


def _rows_sql(connection: duckdb.DuckDBPyConnection, join: Join, same_key: list[str], repo_path: str) -> str:
    """Return SQL for the needed columns of the asked keys, under names that no user column can collide with."""
    scan = scan_sql(connection, join.source, repo_path)
    columns = connection.sql(f"SELECT * FROM {scan} LIMIT 0").columns
    wanted = {f"key_{i}": key for i, key in enumerate(join.keys)}
    wanted |= {f"value_{i}": feature for i, feature in enumerate(join.features)}
    selected = [f"{quote(source_column(join, name, columns))} AS {alias}" for alias, name in wanted.items()]
    moments = {"event": join.source.timestamp_field, "created": join.source.created_timestamp_column}
    for alias, name in moments.items():
        if name:
            selected.append(f"epoch_us({quote(source_column(join, name, columns))}::TIMESTAMPTZ) AS {alias}")
    rows = f"SELECT {', '.join(selected)} FROM {scan}"
    # What is sorted is of the asked keys alone: a few predictions do not cost a whole table.
    return f"SELECT * FROM ({rows}) AS source SEMI JOIN entity ON {' AND '.join(same_key)}" if same_key else rows


def source_column(join: Join, name: str, columns: Iterable[str]) -> str:
    """Give a column's name in the source, before Feast's field mapping."""
    for old, new in join.source.field_mapping.items():
        if new == name and old in columns:
            return old
    if name in columns:
        return name
    raise FeatureError(f"{join.view} needs column {name} of {join.source.path}, which has {list(columns)}")


def scan_sql(connection: duckdb.DuckDBPyConnection, source: FileSource, repo_path: str) -> str:
    """Return what stands after FROM: local files as DuckDB reads them, remote ones through Arrow."""
    path = source.get_uri_for_file_path(repo_path, source.path)
    if "://" not in path:
        return "read_parquet('{}')".format(path.replace("'", "''"))  # a file, or a folder of files
    from pyarrow import dataset  # needed for remote files only, where it saves DuckDB's downloaded extension

    endpoint = source.s3_endpoint_override or ""
    system, path = source.create_filesystem_and_path(path, endpoint, source.resolve_credentials())
    connection.register("remote", dataset.dataset(path, filesystem=system, format="parquet"))
    return "remote"


def side_by_side(entities: pa.Table, files: list[Path], rows: int) -> Iterator[pa.Table]:
    """Put the columns of files beside those of the entity rows, so many rows at a time; no row is one empty part."""
    views = [pq.ParquetFile(file) for file in files]
    batches = [view.iter_batches(rows) for view in views]
    for begin in range(0, max(1, len(entities)), rows):
        part = entities.slice(begin, rows)
        for view, found in zip(views, batches, strict=True):
            features = next(found, None)
            for field in view.schema_arrow:
                values = pa.nulls(0, field.type) if features is None else features.column(field.name)
                part = part.append_column(field.name, values)
        yield part
    for view in views:
        view.close()


def quote(name: str) -> str:
    """Write a name as SQL does."""
    return '"{}"'.format(name.replace('"', '""'))
