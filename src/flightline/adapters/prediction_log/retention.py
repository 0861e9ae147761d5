"""How old predictions leave the log: a parquet file for each day, and only what is in it is deleted.

A day's file is put in place whole (`exports/`). Then rows are deleted by comparing each with the file as it lies on the
disk. So an interruption at any point leaves a row in the log, in the file, or in both; and the next run goes on from
there. Of a file that goes on to a remote folder the one on this disk is removed when that folder holds all of it.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from flightline.adapters.prediction_log.database_errors import fault_of
from flightline.adapters.prediction_log.exports.day_file import (
    ROWS_AT_ONCE,
    add_missing,
    append,
    canonical,
    rows_of_file,
)
from flightline.adapters.prediction_log.exports.remote_folder import RemoteFolder
from flightline.adapters.prediction_log.feature_lists import FeatureLists, selected, with_names
from flightline.adapters.prediction_log.partitions import add_days, days_of, drop_day
from flightline.adapters.prediction_log.rows import Row, in_utc, moment_of, moment_value
from flightline.adapters.prediction_log.schema import (
    COLUMNS,
    MOMENTS,
    PREDICTIONS,
    ensure_schema,
    log_url,
    make_engine,
    place_of,
)
from flightline.core.errors import LogError
from flightline.core.settings import Settings

# Rows deleted at a time: it holds SQLite's one write lock for some milliseconds.
_ROWS_IN_DELETE = 250
# SQLite's lock is not handed over in turn; who waits for it looks again after some milliseconds.
_PAUSE_SECONDS = 0.02
_DAY_FILES = "[0-9]*-[0-9][0-9]-[0-9][0-9].parquet"
_LOCK = 0x6578_706F  # any constant: which advisory lock of PostgreSQL is held while rows are moved out
_UNDER_WAY = "another export of the prediction log is under way; wait until it has ended"
_SELECT = sa.select(*selected(COLUMNS))


@dataclass(frozen=True)
class ArchivedDay:
    """What became of one day of the log.

    Parameters
    ----------
    day
        By `logged_at`, in UTC.
    file
        Where its rows are now, or of what name in the remote folder.
    rows
        How many the file holds.
    exported
        How many of them were written to it by this run.
    deleted
        How many were deleted from the log by this run.
    """

    day: date
    file: Path
    rows: int
    exported: int
    deleted: int


def archive(settings: Settings, before: datetime, now: datetime) -> Iterator[ArchivedDay]:
    """Move whole days out of the log into parquet files, the oldest first.

    Parameters
    ----------
    before
        Days that ended at or before this moment go (UTC-aware, by the time of day).
    now
        The time of day (UTC-aware).

    Raises
    ------
    LogError
        If today would go, a file cannot be written or differs from the log, or another run is under way.
    """
    midnight = in_utc(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if in_utc(before) > midnight:
        raise LogError(
            f"got before={before.isoformat()}, expected {midnight.isoformat()} or earlier: today's predictions are "
            "still being written"
        )
    ensure_schema(settings)
    folder, url = settings.prediction_exports_dir, settings.prediction_log.export_url
    if settings.profile == "aws" and not url:
        raise LogError(
            "got no prediction_log.export_url in the profile aws, expected one such as s3://bucket/predictions: "
            "a task's disk ends with the task; nothing was deleted"
        )
    place = place_of(log_url(settings))
    engine = make_engine(settings, is_bounded=False)
    try:
        with _alone_in(folder), _alone_on(engine):
            remote = RemoteFolder(url, folder) if url else None
            with engine.begin() as connection:
                add_days(connection, midnight.date())
            for day in _days(engine, before):
                yield _archive_day(engine, day, folder / f"{day.isoformat()}.parquet", remote)
            _drop_empty_days(engine, before)
            if remote is not None:
                _send_on(remote, folder)
    except sa.exc.SQLAlchemyError as err:
        raise LogError(fault_of(err, place)) from err
    except pa.ArrowException as err:
        raise LogError(
            f"an export of the prediction log is not readable as parquet ({type(err).__name__}); no more was deleted: "
            "move the day's file away, and run `make retention` again"
        ) from err
    except OSError as err:
        # Arrow's own text holds the path.
        reason = os.strerror(err.errno) if err.errno else type(err).__name__
        raise LogError(
            f"an export of the prediction log cannot be written ({reason}); nothing was deleted that is not in "
            "a file: make room or a folder, and run `make retention` again"
        ) from err
    finally:
        engine.dispose()


def _archive_day(engine: sa.Engine, day: date, file: Path, remote: RemoteFolder | None) -> ArchivedDay:
    if remote is not None:
        _join(remote, file)
    # What an interrupted run left: rows that are in the file and still in the log.
    deleted = _delete_what_is_in(engine, day, file) if file.exists() else 0
    exported = _export(engine, day, file)
    if exported:
        if remote is not None:
            remote.store(file)
        deleted += _delete_what_is_in(engine, day, file)
    rows = pq.read_metadata(file).num_rows
    if remote is not None:
        file.unlink()
    return ArchivedDay(day, file, rows, exported, deleted)


def _join(remote: RemoteFolder, file: Path) -> None:
    """Bring what the remote folder and this disk hold of a day together: into the file, and there.

    A row may have been deleted from the log for either, so neither takes the other's place before it holds its rows.
    """
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", suffix=".unfinished", dir=file.parent) as folder:
        fetched = Path(folder) / file.name
        remote.fetch(fetched)
        is_more = file.exists() and add_missing(fetched, file) > 0
        if fetched.exists():
            fetched.replace(file)
    if is_more:
        remote.store(file)


def _send_on(remote: RemoteFolder, folder: Path) -> None:
    """Let days go on that lie here: of before there was a URL, or of a run that was broken off."""
    for file in sorted(folder.glob(_DAY_FILES)):
        _join(remote, file)
        file.unlink()


def _days(engine: sa.Engine, before: datetime) -> Iterator[date]:
    """Give each day that has rows and ended by then, oldest first, looking again after each."""
    after: datetime | None = None
    while True:
        column = PREDICTIONS.c.logged_at
        oldest = sa.select(sa.func.min(column))
        if after is not None:
            oldest = oldest.where(column >= moment_value(after, engine.dialect.name))
        with engine.connect() as connection:
            found = connection.execute(oldest).scalar_one()
        if found is None:
            return
        start = datetime.combine(moment_of(found).date(), datetime.min.time(), UTC)
        after = start + timedelta(days=1)
        if after > before:
            return
        yield start.date()


def _drop_empty_days(engine: sa.Engine, before: datetime) -> None:
    """Drop the partitions of days on which nobody asked, or whose rows had to be deleted one by one."""
    with engine.connect() as connection:
        days = days_of(connection)
    for day in filter(lambda day: day < in_utc(before).date(), days):
        drop_day(engine, day, 0)


def _export(engine: sa.Engine, day: date, file: Path) -> int:
    """Put what the log holds of a day into its file, beside what is there; return how many rows were added."""
    return append(file, _rows_of_day(engine, day)) if any(_rows_of_day(engine, day)) else 0


def _delete_what_is_in(engine: sa.Engine, day: date, file: Path) -> int:
    """Take the rows that a file holds out of the log, comparing each with it: the day whole, or else row by row."""
    with engine.connect() as connection:
        has_partition = day in days_of(connection)
    if has_partition:
        alike = sum(len(ids) for ids in _ids_alike(engine, day, file, ROWS_AT_ONCE))
        if alike and drop_day(engine, day, alike):
            return alike
    deleted = 0
    for ids in _ids_alike(engine, day, file, _ROWS_IN_DELETE):
        statement = sa.delete(PREDICTIONS).where(PREDICTIONS.c.prediction_id.in_(ids), *_of_day(engine, day))
        with engine.connect().execution_options(is_writer=True) as connection, connection.begin():
            deleted += connection.execute(statement).rowcount
        time.sleep(_PAUSE_SECONDS)
    return deleted


def _ids_alike(engine: sa.Engine, day: date, file: Path, at_once: int) -> Iterator[list[str]]:
    """Give the ids of a file's rows that the log still holds, some at a time, when each was compared with the file."""
    for rows in rows_of_file(file, at_once):
        in_file = {row[0]: row for row in rows}
        statement = _SELECT.where(PREDICTIONS.c.prediction_id.in_(list(in_file)))
        found = _fetch(engine, statement.where(*_of_day(engine, day)))
        if differing := [row[0] for row in found if canonical([row]) != canonical([in_file[row[0]]])]:
            raise LogError(
                f"{file.name} and the prediction log hold {len(differing)} predictions that differ, such as "
                f"{differing[0]}; none of them was deleted: move the file away, and run it again"
            )
        if found:
            yield [row[0] for row in found]


def _of_day(engine: sa.Engine, day: date) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Tell PostgreSQL which partition is meant; an id alone may be in any of them."""
    start = datetime.combine(day, datetime.min.time(), UTC)
    since, end = (moment_value(moment, engine.dialect.name) for moment in (start, start + timedelta(days=1)))
    return PREDICTIONS.c.logged_at >= since, PREDICTIONS.c.logged_at < end


def _rows_of_day(engine: sa.Engine, day: date) -> Iterator[list[Row]]:
    """Give a day's rows in their order, some at a time, so that no read lasts long."""
    logged_at, prediction_id = PREDICTIONS.c.logged_at, PREDICTIONS.c.prediction_id
    later: tuple[sa.ColumnElement[bool], ...] = ()
    while True:
        statement = _SELECT.where(*_of_day(engine, day), *later)
        rows = _fetch(engine, statement.order_by(logged_at, prediction_id).limit(ROWS_AT_ONCE))
        if rows:
            yield rows
        if len(rows) < ROWS_AT_ONCE:
            return
        since = moment_value(rows[-1][COLUMNS.index("logged_at")], engine.dialect.name)
        later = (logged_at >= since, sa.or_(logged_at > since, prediction_id > rows[-1][0]))


def _fetch(engine: sa.Engine, statement: sa.Select[Any]) -> list[Row]:
    """Give rows of `_SELECT` as a file has them: features by name, so that it can be read without the log."""
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
        lists = FeatureLists(lambda asked: connection.execute(asked).all()).of(row[-1] for row in rows)
    return [
        tuple(
            moment_of(value) if name in MOMENTS else with_names(value, names) if name == "features" else value
            for name, value in zip(COLUMNS, row[:-1], strict=True)
        )
        for row, names in zip(rows, lists, strict=True)
    ]


@contextmanager
def _alone_on(engine: sa.Engine) -> Iterator[None]:
    """Let no second run at a database that several machines reach; the lock ends with the connection."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK))).scalar_one():
            raise LogError(_UNDER_WAY)
        yield


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let no second run into the folder; the lock ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise LogError(_UNDER_WAY) from err
        yield
