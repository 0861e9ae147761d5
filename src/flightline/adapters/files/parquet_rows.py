"""Reads and writes parquet files: large ones a part at a time, so that no more is held than is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.files.atomic_write import atomic_write

ROWS_AT_A_TIME = 65_536


class RowsOfFile:
    """The rows of a file, or some columns of them, read when they are asked for by a mask, as a frame gives them."""

    def __init__(self, file: Path, columns: Sequence[str] | None = None) -> None:
        self._file = file
        self._columns = columns

    def __getitem__(self, wanted: pd.Series | np.ndarray) -> pd.DataFrame:
        """Read the rows of a mask, shape (n,), bool."""
        return read_rows(self._file, np.asarray(wanted), self._columns)


class FrameOfFile:
    """Some rows of a file as a frame, whose columns and rows are read when they are asked for.

    Parameters
    ----------
    wanted
        Which rows, shape (n,), bool.
    added
        Further columns of those rows, in memory.
    """

    def __init__(self, file: Path, wanted: np.ndarray, added: Mapping[str, np.ndarray]) -> None:
        self._file, self._wanted, self._added = file, wanted, added

    def __iter__(self) -> Iterator[str]:
        """Name the columns."""
        return iter(dict.fromkeys((*pq.read_schema(self._file).names, *self._added)))

    def __getitem__(self, name: str) -> pd.Series:
        """Read a column."""
        if name in self._added:
            return pd.Series(self._added[name], name=name)
        return read_rows(self._file, self._wanted, [name])[name].reset_index(drop=True)

    def take(self, places: np.ndarray) -> pd.DataFrame:
        """Read the rows at some places, which ascend."""
        chosen = np.zeros(len(self._wanted), dtype=bool)
        chosen[np.flatnonzero(self._wanted)[places]] = True
        added = {name: values[places] for name, values in self._added.items()}
        return read_rows(self._file, chosen).set_axis(places).assign(**added)


def read_rows(file: Path, wanted: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read some rows of a file.

    Parameters
    ----------
    wanted
        Which of its rows, shape (n,), bool.
    columns
        Of float64, text or another type of pandas; None: all.

    Returns
    -------
    DataFrame
        In the file's order; the index is each row's position in the file.
    """
    with pq.ParquetFile(file) as source:
        frame = _read_rows(source, wanted, columns)
    pa.default_memory_pool().release_unused()  # or it keeps as much again as was read
    return frame


def _read_rows(source: pq.ParquetFile, wanted: np.ndarray, columns: Sequence[str] | None) -> pd.DataFrame:
    names = [name for name in source.schema_arrow.names if columns is None or name in columns]
    positions = np.flatnonzero(wanted)
    numbers = [name for name in names if source.schema_arrow.field(name).type == pa.float64()]
    others: dict[str, list[pd.Series]] = {name: [] for name in names if name not in numbers}
    # One block, of which pandas and scikit-learn make fewer copies than of columns apart.
    values = np.empty((len(numbers), len(positions)))
    begin, filled = 0, 0
    for batch in source.iter_batches(ROWS_AT_A_TIME, columns=names):
        part = batch.filter(pa.array(wanted[begin : begin + len(batch)]))
        for row, name in zip(values, numbers, strict=True):
            row[filled : filled + len(part)] = part.column(name).to_numpy(zero_copy_only=False)
        for name, parts in others.items():
            parts.append(part.column(name).to_pandas())
        begin, filled = begin + len(batch), filled + len(part)
    frame = pd.DataFrame(values.T, pd.RangeIndex(len(wanted))[positions], numbers, copy=False)
    for position, name in enumerate(names):
        if name in others:
            frame.insert(position, name, pd.concat(others[name]).to_numpy())
    return frame


def read_parts(file: Path, columns: Sequence[str], rows_at_once: int) -> Iterator[pd.DataFrame]:
    """Read some columns of a file, so many rows at a time, in its order; one part without rows if it has none."""
    with pq.ParquetFile(file) as source:
        if not source.metadata.num_rows:
            yield source.read(list(columns)).to_pandas()
        for batch in source.iter_batches(rows_at_once, columns=list(columns)):
            yield batch.to_pandas()


def write_parts(file: Path, parts: Iterable[pd.DataFrame]) -> list[str]:
    """Write frames of the same columns one after another, without their index; gives the columns.

    Text that is missing throughout the first frame is text all the same.
    """
    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            if writer is None:
                found = pa.Schema.from_pandas(part, preserve_index=False)
                fields = [each.with_type(pa.string()) if pa.types.is_null(each.type) else each for each in found]
                schema = pa.schema(fields, metadata=found.metadata)
                writer = pq.ParquetWriter(file, schema)
            writer.write_table(pa.Table.from_pandas(part, schema=writer.schema, preserve_index=False))
        return writer.schema.names if writer else []
    finally:
        if writer is not None:
            writer.close()


def write_days(folder: Path, parts: Iterable[pd.DataFrame], moment: str) -> list[Path]:
    """Write rows into a folder for each day (UTC) of a column of moments; without any row, into one.

    Returns
    -------
    list of Path
        One for each day, the oldest first; `read_day` reads it.
    """
    columns: pd.DataFrame | None = None
    for number, part in enumerate(parts):
        columns = part if columns is None else columns
        for day, rows in part.groupby(part[moment].dt.strftime("%Y-%m-%d")):
            (folder / str(day)).mkdir(exist_ok=True)
            rows.to_parquet(folder / str(day) / f"{number:09}.parquet", index=False)
    if columns is not None and not any(folder.iterdir()):
        (folder / "none").mkdir()
        columns[:0].to_parquet(folder / "none" / "0.parquet", index=False)
    return sorted(folder.iterdir())


def read_day(folder: Path) -> pd.DataFrame:
    """Read the rows of a day that `write_days` wrote, in the order in which they were given."""
    return pd.concat(map(pd.read_parquet, sorted(folder.iterdir())))


def write_folder(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write frames by their files' names into a folder that appears only when all of them are whole."""
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        for name, frame in frames.items():
            frame.to_parquet(unfinished / name)
