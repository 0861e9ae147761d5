"""What runs the Ibis expressions: DuckDB in this process, or Spark (docs/decisions/0040-engines.md)."""

from contextlib import AbstractContextManager

import ibis

from flightline.adapters.engines import duckdb
from flightline.core.settings import Settings


def open_engine(settings: Settings) -> AbstractContextManager[ibis.BaseBackend]:
    """Open the engine that the settings name; what is written against DuckDB's Ibis backend runs on either.

    Raises
    ------
    EngineError
        When it is entered, if Spark cannot start; inside, if an engine fails or runs out of memory or disk.
    """
    if settings.engine == "duckdb":
        return duckdb.connect(settings.threads, settings.duckdb_limits)
    from flightline.adapters.engines import spark

    return spark.connect(settings.spark, settings.threads, settings.state_dir / "spark")
