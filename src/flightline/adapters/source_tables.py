"""Reads a table from where a team keeps it, and writes it as the CSV files of data/, typed by its contract.

CSV keeps its cells as they are; of other sources, numbers are written in their shortest exact form.
"""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pandas as pd
from fsspec.core import url_to_fs

from flightline.core.errors import DataError
from flightline.data.contract import MISSING, TableContract, table_of

CSV, PARQUET = (".csv", ".csv.gz"), (".parquet",)
KINDS = "a .csv, .csv.gz or .parquet file, a folder of them, s3://bucket/path, or postgresql://user@host/database#table"
ABSENT = ["", "NA", "NaN", "nan", "NULL", "null", "None"]
TRUTHS = {"true": "1", "false": "0", "t": "1", "f": "0", "1": "1", "0": "0"}
ROW = "row"
OFFSET = r"(?:Z|[+-][0-9]{2}:?[0-9]{2}|[T ][0-9:.]+ ?[+-][0-9]{2})$"  # the last as PostgreSQL writes it
_STRAY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")  # what `raw_files` lets no cell hold, and tabs


def read_source(address: str) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    address
        See `KINDS`. A password does not belong there: PostgreSQL takes it from PGPASSWORD or ~/.pgpass.

    Returns
    -------
    DataFrame
        Columns named by `tidy_names`, in the source's order. Cells of CSV are text, missing ones NA; those of other
        sources have the source's types.

    Raises
    ------
    DataError
        If there is nothing, it cannot be read, or the files of a folder have other columns.
    """
    if address.startswith(("postgresql://", "postgres://")):
        return tidy_names(_read_postgres(address))
    system, path = url_to_fs(address)
    try:
        is_folder = system.isdir(path)
        files = sorted(name for name in (system.find(path) if is_folder else [path]) if name.endswith((*CSV, *PARQUET)))
        if not files or not system.exists(files[0]):
            raise DataError(f"got {address}, where there is no table; expected {KINDS}")
        frames = {}
        for name in files:
            with system.open(name, "rb", compression="infer") as content:
                frames[name] = _read_file(content, name)
    except (OSError, ValueError, csv.Error) as err:
        raise DataError(f"{address} cannot be read: {err}") from err
    first = frames[files[0]]
    for name, frame in frames.items():
        if list(frame.columns) != list(first.columns):
            raise DataError(
                f"{name} has the columns {', '.join(frame.columns)}, and {files[0]} {', '.join(first.columns)}; "
                "the files of one table have the same columns in the same order"
            )
    return tidy_names(pd.concat(frames.values(), ignore_index=True))


def _read_file(content: IO[bytes], name: str) -> pd.DataFrame:
    if name.endswith(PARQUET):
        return pd.read_parquet(content)
    _refuse_ragged(content, name)
    return pd.read_csv(content, dtype="string", keep_default_na=False, na_values=ABSENT)


def _refuse_ragged(content: IO[bytes], name: str) -> None:
    """Demand as many cells in each row as in the header: pandas shifts those of a longer row, and fills a shorter."""
    text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    rows = csv.reader(text)
    header = next(rows, [])
    for row in rows:
        if row and len(row) != len(header):
            raise DataError(
                f"{name} has {len(row)} cells in line {rows.line_num}, expected {len(header)}, as in its header; "
                "write it anew, or correct that line"
            )
    text.detach()
    content.seek(0)


def _read_postgres(address: str) -> pd.DataFrame:
    import sqlalchemy

    url, _, table = address.partition("#")
    if urlsplit(url).password is not None:
        raise DataError(
            "the address holds a password, and it would be committed; PostgreSQL takes it from PGPASSWORD or ~/.pgpass"
        )
    if not table:
        raise DataError(f"got {address}, which names no table; expected postgresql://user@host/database#table")
    *schema, name = table.split(".")
    engine = sqlalchemy.create_engine(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    try:
        with engine.connect() as connection:
            return pd.read_sql_table(name, connection, schema=schema[0] if schema else None)
    except (sqlalchemy.exc.SQLAlchemyError, ValueError) as err:
        raise DataError(f"{url} gives no table {table}: {str(err).splitlines()[0]}") from err
    finally:
        engine.dispose()


def tidy_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Name columns as Python and Feast can: small letters, digits and underscores.

    Raises
    ------
    DataError
        If two columns would have one name.

    Examples
    --------
    >>> tidy_names(pd.DataFrame({"Order Date": [], "2nd": []})).columns.tolist()
    ['order_date', 'c_2nd']
    """
    names = [re.sub(r"[^0-9a-z]+", "_", str(name).lower()).strip("_") or "column" for name in frame.columns]
    names = [f"c_{name}" if name[0].isdigit() else name for name in names]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two columns would be named {', '.join(doubled)}; rename one of them in the source")
    return frame.set_axis(names, axis=1)


def as_cells(column: pd.Series, kind: str, zone: str) -> pd.Series:
    """Write a column as the contract wants its text.

    Parameters
    ----------
    column
        Of shape (n,).
    kind
        `Int64`, `Float64`, `object` or `datetime64[ns, UTC]`.
    zone
        Where the clock hung whose times have no zone, such as Europe/Berlin.

    Returns
    -------
    Series
        Text; `NA` where the value is missing. Truths become 1 and 0, times whole seconds of UTC.

    Raises
    ------
    DataError
        Naming the first value that is none of that kind.
    """
    missing, text = column.isna(), column
    if kind == "datetime64[ns, UTC]":
        text = as_moments(column, zone).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif kind == "Int64" and not pd.api.types.is_integer_dtype(column):
        text = column.astype("string").str.strip().str.replace(r"\.0+$", "", regex=True)
        text = text.str.lower().map(TRUTHS).fillna(text)
    elif kind == "Float64" and pd.api.types.is_float_dtype(column):
        text = column.map(repr, na_action="ignore")
    text = text.astype("string").str.strip() if kind != "object" else text.astype("string")
    if kind == "object":
        text = text.str.replace(_STRAY, " ", regex=True)
    return text.mask(missing, MISSING)


def as_moments(column: pd.Series, zone: str) -> pd.Series:
    """Read moments, those without a zone as times of one.

    Raises
    ------
    DataError
        Naming the first value that is no moment.
    """
    parsed = column
    if not pd.api.types.is_datetime64_any_dtype(column):
        text = column.astype("string").str.strip()
        wrong = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).isna() & text.notna()
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise DataError(
                f"{column.name} holds {column.iloc[row]!r} in row {row + 1}, expected a "
                "time such as 2024-03-31T09:30:00 or 2024-03-31"
            )
        has_zone = text.dropna().str.contains(OFFSET)
        if has_zone.any() and not has_zone.all():
            raise DataError(f"{column.name} holds times with and without a zone; give all of them one, or none")
        parsed = pd.to_datetime(text, format="ISO8601", utc=bool(has_zone.any()))
    if parsed.dt.tz is None:
        # An hour that the clock showed twice is the first, one that it skipped the next.
        parsed = parsed.dt.tz_localize(zone, ambiguous=[True] * len(parsed), nonexistent="shift_forward")
    return parsed.dt.tz_convert("UTC")


def write_table(frame: pd.DataFrame, contract: TableContract, folder: Path, zone: str = "UTC") -> None:
    """Write a monthly table as its CSV files, rows in order of time.

    Parameters
    ----------
    frame
        As `read_source` gives it; columns that the contract does not name are left out.
    contract
        Types, key, and the column of times whose month (UTC) says which file a row lies in. If its key ends with `ROW`
        and the source has no such column, rows that are alike in the rest of the key are numbered from 0.
    folder
        Where to; it is made.
    zone
        See `as_cells`.

    Raises
    ------
    DataError
        If a column is missing, or a value is none of its type.
    """
    numbered = contract.key[-1] == ROW and ROW not in frame
    kinds = {name: str(column.dtype) for name, column in contract.schema.columns.items()}
    wanted = [name for name in kinds if not (numbered and name == ROW)]
    if absent := [name for name in wanted if name not in frame]:
        raise DataError(f"the source lacks {', '.join(absent)}; it has {', '.join(frame.columns)}")
    cells = pd.DataFrame({name: as_cells(frame[name], kinds[name], zone) for name in wanted})
    time = contract.month_from[0]
    cells = cells.sort_values(time, kind="stable", ignore_index=True)
    if numbered:
        cells[ROW] = cells.groupby(list(contract.key[:-1])).cumcount().astype(str)
    folder.mkdir(parents=True)
    for month, rows in cells[list(kinds)].groupby(cells[time].str[:7], sort=True):
        rows.to_csv(folder / f"{month}.csv", index=False, lineterminator="\n")


def keep_other_rows(folder: Path, data: Path, contracts: Mapping[str, TableContract]) -> None:
    """Add to the files of a folder the rows that data/ holds in the same file, unless a new one has their key.

    Parameters
    ----------
    folder
        New files in data/'s layout; those that are known are written again.
    data
        What is known; it is not changed.
    """
    for file in sorted(folder.rglob("*.csv")):
        known = data / file.relative_to(folder)
        if known.is_file():
            contract = contracts[table_of(file.relative_to(folder).as_posix())]
            before, now = (pd.read_csv(each, dtype=str, keep_default_na=False) for each in (known, file))
            keys, new = (pd.MultiIndex.from_frame(rows[list(contract.key)]) for rows in (before, now))
            both = pd.concat([before[~keys.isin(new)], now])
            if contract.is_monthly:
                both = both.sort_values(list(contract.month_from), kind="stable")
            both.to_csv(file, index=False, lineterminator="\n")
