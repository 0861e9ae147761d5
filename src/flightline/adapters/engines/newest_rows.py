"""The rows of a feature table that predictions of a span of time can have been made of, found by DuckDB."""
# ruff: noqa: S608  (names are quoted, values are parameters)

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_STAMP = '"event_timestamp"'


def newest_rows(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    keys: pd.DataFrame,
    columns: Sequence[str],
    between: tuple[datetime, datetime],
    loaded: Sequence[tuple[datetime, datetime]],
) -> pd.DataFrame:
    """Read the rows of some keys that were the newest at a moment of a span, and more of them than those.

    Of what is older than the span, the newest row of each key and its newest loaded one, with all that tie with them;
    of the span itself, all. So what is read grows neither with the history of a key nor with the keys of the table.

    Parameters
    ----------
    file
        The feature table, Parquet, with a column event_timestamp.
    keys
        Whose rows: the columns are keys of the table.
    columns
        To read, the keys and event_timestamp among them.
    between
        First and last moment.
    loaded
        The spans of event timestamps that were loaded; both ends belong to each.
    """
    nothing = pq.read_schema(file).empty_table().select(list(columns))
    asked = keys.dropna().drop_duplicates().astype(nothing.to_pandas().dtypes[list(keys)])
    if asked.empty:
        return nothing.to_pandas()
    names = [_quoted(name) for name in keys]
    known_keys = ", ".join(f"known.{name}" for name in names)
    numbered = ", ".join(f"known.{name} AS key_{number}" for number, name in enumerate(names))  # it may have any name
    same_keys = " AND ".join(f"known.{name} = newest.key_{number}" for number, name in enumerate(names))
    given = pa.Table.from_pandas(asked, nothing.select(list(keys)).schema, preserve_index=False)
    connection.register("asked", given)
    is_loaded = " OR ".join(f"{_STAMP} BETWEEN ? AND ?" for _ in loaded) or "false"
    low, high = between
    query = f"""
        WITH known AS (
            SELECT {", ".join(map(_quoted, columns))} FROM read_parquet(?) SEMI JOIN asked USING ({", ".join(names)})
        ),
        newest AS (
            SELECT {numbered}, max({_STAMP}) AS newest_stamp,
                max({_STAMP}) FILTER (WHERE {is_loaded}) AS newest_loaded_stamp
            FROM known WHERE {_STAMP} <= ? GROUP BY {known_keys}
        )
        SELECT known.* FROM known LEFT JOIN newest ON {same_keys}
        WHERE {_STAMP} <= ? AND ({_STAMP} > ? OR {_STAMP} IN (newest.newest_stamp, newest.newest_loaded_stamp))
    """
    moments = [moment for span in loaded for moment in span]
    found = connection.sql(query, params=[str(file), *moments, low, high, low]).to_arrow_table()
    connection.unregister("asked")
    return found.cast(nothing.schema).to_pandas()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
