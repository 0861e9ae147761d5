"""Ibis' PySpark backend, corrected where Spark would give other values than DuckDB, or none.

Spark's own timestamp is a moment in UTC; Ibis takes it for one without a zone. A float literal is a decimal to
Spark's SQL, and letters of a date format are patterns to it. https://ibis-project.org/backends/pyspark

Importing this file needs pyspark: only `spark.py` does, and only where the engine is spark.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import TimestampType

from flightline.core.errors import FeatureError

_TYPES = {"TIMESTAMPTZ": "TIMESTAMP", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "VARCHAR": "STRING"}
_UTC = dt.Timestamp(timezone="UTC", scale=6)
_ROWS_AT_A_TIME = 100_000
_FORMATS = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%M": "mm", "%S": "ss", "%j": "DDD", "%y": "yy"}


class Compiler(PySparkCompiler):
    """Spark SQL with DuckDB's meaning."""

    __slots__ = ()

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:  # noqa: N802  Ibis' name
        """Write a float as a double; `1.0` alone is a decimal to Spark."""
        if dtype.is_floating():
            return self.cast(self.visit_DefaultLiteral(op, value=value, dtype=dtype), dtype)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Strftime(self, op: Any, *, arg: Any, format_str: Any) -> Any:  # noqa: N802
        """Quote the letters of a format that are meant as they stand, such as ISO 8601's T."""
        return self.f.anon.date_format(arg, sge.convert(java_format(op.format_str.value)))


def java_format(pattern: str) -> str:
    """Translate a pattern of `strftime` into one of Java's.

    Raises
    ------
    FeatureError
        If Java has no such field.

    Examples
    --------
    >>> java_format("%Y-%m-%dT%H:%M")
    "yyyy'-'MM'-'dd'T'HH':'mm"
    """
    parts = re.findall(r"%.|[^%]+", pattern)
    if unknown := [part for part in parts if part[0] == "%" and part not in _FORMATS]:
        raise FeatureError(
            f"strftime's {', '.join(unknown)} has no counterpart here for Spark, expected {', '.join(_FORMATS)}; "
            "write the text of these, or extract the number"
        )
    return "".join(_FORMATS.get(part) or "'{}'".format(part.replace("'", "''")) for part in parts)


class SparkBackend(Backend):
    """An Ibis backend on a Spark session, for expressions written against DuckDB."""

    compiler = Compiler()

    @property
    def session(self) -> SparkSession:
        """The session below, for what Ibis has no expression for."""
        return self._session

    def get_schema(self, table_name: str, *, catalog: str | None = None, database: str | None = None) -> sch.Schema:
        """Give a table's schema; its timestamps are moments in UTC."""
        schema = super().get_schema(table_name, catalog=catalog, database=database)
        fields = self._session.table(table_name).schema.fields
        moments = {field.name: _UTC for field in fields if isinstance(field.dataType, TimestampType)}
        return sch.Schema({**schema, **moments})

    def create_table(self, name: str, /, obj: ibis.Table, **options: Any) -> ibis.Table:
        """Keep an expression as a table of the types it has; a time without a zone stays one."""
        super().create_table(name, obj, **options)
        kinds = {column: _to_microseconds(kind) for column, kind in obj.schema().items()}
        return ops.DatabaseTable(name=name, schema=sch.Schema(kinds), source=self).to_expr()

    def execute(self, expr: ibis.Expr, /, **options: Any) -> Any:
        """Run an expression; times come in microseconds, which both engines count in."""
        result = super().execute(expr, **options)
        if not isinstance(result, pd.DataFrame):
            return result
        times = [name for name, kind in expr.as_table().schema().items() if kind.is_timestamp()]
        return result.assign(**{name: result[name].dt.as_unit("us") for name in times})

    def read_csv(
        self, paths: Sequence[str], /, *, nullstr: str, columns: Mapping[str, str], header: bool
    ) -> ibis.Table:
        """Read CSV files into typed columns, as Ibis' DuckDB backend does; a cell of another type is an error."""
        schema = ", ".join(f"`{name}` {_TYPES[kind]}" for name, kind in columns.items())
        return super().read_csv(
            list(paths), schema=schema, inferSchema=False, header=header, nullValue=nullstr, emptyValue="",
            escape='"', mode="FAILFAST",
        )  # fmt: skip

    def to_parquet(self, expr: ibis.Table, /, path: str | Path, *, compression: str, **_: Any) -> None:
        """Write one parquet file, in the expression's order: Spark writes parts, which are laid one after another."""
        with _laid_together(Path(path), compression) as parts:
            super().to_parquet(expr, parts)

    def write_frame(self, frame: DataFrame, path: Path, *, compression: str) -> None:
        """Write a frame of Spark's own as one parquet file, in its order."""
        with _laid_together(path, compression) as parts:
            frame.write.parquet(str(parts))


def _to_microseconds(kind: dt.DataType) -> dt.DataType:
    return kind.copy(scale=6) if isinstance(kind, dt.Timestamp) else kind


@contextmanager
def _laid_together(file: Path, compression: str) -> Iterator[Path]:
    """Give a folder for Spark's parts; in the end they are copied into one file, some rows at a time."""
    folder = Path(f"{file}.parts")
    try:
        yield folder
        parts = sorted(folder.glob("*.parquet"))
        plain = pq.read_schema(parts[0]).remove_metadata()
        schema = pa.schema([field.with_nullable(True) for field in plain])
        with pq.ParquetWriter(file, schema, compression=compression) as writer:
            for part in parts:
                for batch in pq.ParquetFile(part).iter_batches(_ROWS_AT_A_TIME):
                    writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
