"""DuckDB's connections: in UTC, and within the memory and disk that the settings allow.

https://duckdb.org/docs/stable/configuration/overview
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import duckdb
import ibis

from flightline.core.errors import EngineError

Limits = Mapping[str, str]
NO_LIMITS: Limits = MappingProxyType({})
_FULL = ("max_temp_directory_size", "No space left on device", "Disk quota exceeded")


@contextmanager
def connect(threads: int, limits: Limits = NO_LIMITS) -> Iterator[ibis.BaseBackend]:
    """Open an in-memory DuckDB as an Ibis backend whose session time zone is UTC, whatever the machine's is.

    Parameters
    ----------
    limits
        DuckDB's options, as `Settings.duckdb_limits` gives them; empty: DuckDB's own.

    Raises
    ------
    EngineError
        Inside, if it needs more memory and disk than it has.
    """
    with explained():
        connection = ibis.duckdb.connect(threads=threads)
        for statement in _settings(limits):
            connection.raw_sql(statement)
        connection.raw_sql("SET enable_progress_bar=false")  # a slow machine would get one among the flows' lines
        try:
            yield connection
        finally:
            connection.disconnect()


def open_plain(limits: Limits = NO_LIMITS) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB without Ibis, likewise in UTC and within limits."""
    connection = duckdb.connect()
    for statement in _settings(limits):
        connection.execute(statement)
    return connection


def _settings(limits: Limits) -> Iterator[str]:
    """Give what is set after opening: of limits that it is opened with, DuckDB 2.0 forgets that of the disk."""
    yield "SET TimeZone='UTC'"  # or naive timestamps would be read in the machine's zone
    if folder := limits.get("temp_directory"):
        Path(folder).mkdir(parents=True, exist_ok=True)  # DuckDB makes no folder above it
    for name, value in limits.items():
        yield "SET {}='{}'".format(name, value.replace("'", "''"))


@contextmanager
def explained() -> Iterator[None]:
    """Turn an end of memory or disk into one sentence.

    Raises
    ------
    EngineError
        With the setting that allows more.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as err:
        said = str(err)
        if any(words in said for words in _FULL):
            raise EngineError(
                "no room is left where DuckDB puts what does not fit into memory: make some, or raise "
                "FLIGHTLINE_DUCKDB__SPILL_LIMIT, or name a larger disk by FLIGHTLINE_DUCKDB__SPILL_DIR; "
                "nothing half-written stays, run it again then"
            ) from err
        if isinstance(err, duckdb.OutOfMemoryException):
            raise EngineError(
                f"DuckDB needs more memory than it may take ({said.splitlines()[0]}): raise "
                "FLIGHTLINE_DUCKDB__MEMORY_LIMIT, or lower FLIGHTLINE_THREADS; run it again then"
            ) from err
        raise
