"""A day of predictions in a parquet file: rows are added to it, and come back as they were.

A file is written aside, read back and compared, and put in place in one step.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.files.atomic_write import atomic_write
from flightline.adapters.prediction_log.rows import Row, decode
from flightline.adapters.prediction_log.schema import COLUMNS, MOMENTS, PREDICTIONS
from flightline.core.errors import LogError

# Rows written to a file at a time, which bounds memory; reading holds up no writer.
ROWS_AT_ONCE = 5_000
_TYPES = {"prediction": pa.float64(), **dict.fromkeys(MOMENTS, pa.timestamp("us", tz="UTC"))}
SCHEMA = pa.schema(
    [pa.field(name, _TYPES.get(name, pa.string()), bool(PREDICTIONS.c[name].nullable)) for name in COLUMNS]
)
# Files written before migration 0007 lack the last column, before 0006 the one before it too, and before 0005 two
# others had other names.
_WITHOUT_PROBABILITIES = pa.schema(list(SCHEMA)[:-1])
_WITHOUT_CALLER = pa.schema(list(SCHEMA)[:-2])
_OLD_NAMES = {"event_time": "moment", "endpoint": "door"}
_OLD_SCHEMA = pa.schema([field.with_name(_OLD_NAMES.get(field.name, field.name)) for field in _WITHOUT_CALLER])
_ADDED = ("-", None)  # as the migrations write caller and probabilities into rows of that time


def read_export(file: Path) -> pd.DataFrame:
    """Read a day that was moved out, as `PredictionLog.read` would give it."""
    return decode([row for rows in rows_of_file(file) for row in rows]).sort_values(
        ["logged_at", "prediction_id"], ignore_index=True
    )


def append(file: Path, parts: Iterable[list[Row]]) -> int:
    """Put rows into a day's file, behind what is there; return how many they were.

    Raises
    ------
    LogError
        If it reads back otherwise; then the file is as it was.
    """
    digest, kept, added = hashlib.sha256(), 0, 0
    with atomic_write(file, is_durable=True) as unfinished:  # a power cut must not undo what rows are deleted for
        with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            for rows in rows_of_file(file) if file.exists() else ():
                kept += _add(writer, rows, digest)
            for rows in filter(None, parts):
                added += _add(writer, rows, digest)
        _demand_equal(unfinished, kept + added, digest.hexdigest())
    return added


def add_missing(file: Path, other: Path) -> int:
    """Put into a day's file what only another file of that day holds; return how many rows.

    Raises
    ------
    LogError
        If a prediction that both hold differs; then the file is as it was.
    """
    known = {row[0]: _digest(row) for rows in rows_of_file(file) for row in rows} if file.exists() else {}
    missing = 0
    for rows in rows_of_file(other):
        missing += sum(row[0] not in known for row in rows)
        if differing := [row[0] for row in rows if row[0] in known and known[row[0]] != _digest(row)]:
            raise LogError(
                f"{file.name} differs in {len(differing)} predictions, such as {differing[0]}, between here and "
                "prediction_log.export_url; none of its day was deleted: move one of the two away, and run it again"
            )
    if missing:
        append(file, ([row for row in rows if row[0] not in known] for rows in rows_of_file(other)))
    return missing


def _digest(row: Row) -> bytes:
    return hashlib.blake2b(canonical([row]), digest_size=16).digest()


def _add(writer: pq.ParquetWriter, rows: list[Row], digest: "hashlib._Hash") -> int:
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
    digest.update(canonical(rows))
    return len(rows)


def _demand_equal(file: Path, expected_rows: int, expected_digest: str) -> None:
    """Read a file back and demand that it holds exactly what was to be written."""
    digest, rows = hashlib.sha256(), 0
    for part in rows_of_file(file):
        digest.update(canonical(part))
        rows += len(part)
    if (rows, digest.hexdigest()) != (expected_rows, expected_digest):
        raise LogError(
            f"an export of the prediction log reads back as {rows:,} rows with digest {digest.hexdigest()[:12]}, "
            f"expected {expected_rows:,} with {expected_digest[:12]}; nothing was deleted: check the disk, then run it "
            "again"
        )


def rows_of_file(file: Path, at_once: int = ROWS_AT_ONCE) -> Iterator[list[Row]]:
    """Give a day's rows, some at a time, of files of earlier versions too."""
    with pq.ParquetFile(file) as opened:
        if not any(map(opened.schema_arrow.equals, (SCHEMA, _WITHOUT_PROBABILITIES, _WITHOUT_CALLER, _OLD_SCHEMA))):
            raise LogError(f"{file.name} is no export of this schema; move it away, and run it again")
        added = _ADDED[len(_ADDED) - (len(SCHEMA) - len(opened.schema_arrow)) :]
        for batch in opened.iter_batches(batch_size=at_once):
            yield [(*row.values(), *added) for row in batch.to_pylist()]


def canonical(rows: list[Row]) -> bytes:
    """Write rows so that equal ones give equal bytes, whichever store they come from."""
    return b"".join(
        repr(
            tuple(value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for value in row)
        ).encode()
        for row in rows
    )
