"""The two ways of getting rows onto a disk: SQLite's own driver, and PostgreSQL through SQLAlchemy.

SQLite is written without SQLAlchemy, which takes longer than the insert itself.
Both give up with a LogError, wholly: a request's rows are all there or none.

With rows goes, in the same transaction, the list of their features' names, unless it is there. Nothing is remembered of
what is: a file may be another by now, or brought back from a copy.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from flightline.adapters.databases.sqlite_wal import SideCheckpoints
from flightline.adapters.prediction_log.database_errors import fault_of, is_dead, sqlite_name
from flightline.adapters.prediction_log.rows import Row, text_of
from flightline.adapters.prediction_log.schema import COLUMNS, connect_sqlite, ensure_schema, make_engine, place_of
from flightline.core.errors import LogError
from flightline.core.settings import Settings

Work = tuple[str, Sequence[Row]]
# The check writes as much as a few predictions, demands room for some more, and names all columns that a write fills.
_FILLER = "x" * 16_384
_LEAST_FREE_BYTES = 262_144
# About 15 MB of the file, and up to 80 MB of journal. Who comes while the journal begins anew waits for the disk: of
# 16 requests at a time 6 in a thousand.
_CHECKPOINT_ROWS = 2_500
_WRITE_CHECK = (
    "INSERT INTO write_checks (check_id, written_at, filler) SELECT 1, {0}, {0} "  # noqa: S608 constants
    f"WHERE NOT EXISTS (SELECT {', '.join(COLUMNS)}, feature_list, digest, names "
    "FROM predictions, feature_lists LIMIT 0) "
    "ON CONFLICT (check_id) DO UPDATE SET written_at = excluded.written_at, filler = excluded.filler"
)


def _insert(mark: str) -> str:
    columns = (*COLUMNS, "feature_list")
    return f"INSERT INTO predictions ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608 constants


def parts_of(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Give what is inserted as lists, and what as predictions, of rows that `rows.encode` gave."""
    return sorted({row[-2:] for row in rows}), [row[:-1] for row in rows]


_LIST = "INSERT INTO feature_lists (digest, names) VALUES ({0}, {0}) ON CONFLICT DO NOTHING"


class Writer(Protocol):
    """What `PredictionLog` asks of a database."""

    def write(self, rows: Sequence[Row]) -> None:
        """Put rows on the disk, all or none; raise LogError if that cannot be done."""
        ...

    def check(self) -> None:
        """Put something of no value on the disk; raise LogError if that cannot be done."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class SqliteWriter:
    """Writes to a SQLite file over one connection, opened again when the file or the process is another."""

    def __init__(self, settings: Settings, url: sa.URL):
        self._settings = settings
        self._file = Path(str(url.database))
        self._place = place_of(url)
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._start_anew()

    def _start_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._checkpoints = SideCheckpoints(self._file, _CHECKPOINT_ROWS)
        if self._connection is not None:
            # A forked process must neither use nor close what it inherited.
            self._inherited.append(self._connection)
        self._connection = None

    def write(self, rows: Sequence[Row]) -> None:
        """Insert the rows in one transaction."""
        lists, values = parts_of(rows)
        self._do((LIST_SQLITE, lists), (INSERT_SQLITE, values))

    def check(self) -> None:
        """Write the row of the check, and see that the disk has room for more."""
        self._do((_WRITE_CHECK.format("?"), [(text_of(datetime.now(UTC)), _FILLER)]))
        if shutil.disk_usage(self._file.parent).free < _LEAST_FREE_BYTES:
            # The write-ahead log may still hold this row where the next one does not fit.
            raise LogError(fault_of(OSError(28, "full"), self._place))

    def _do(self, *work: Work) -> None:
        if self._pid != os.getpid():
            self._start_anew()
        with self._lock:
            connection = self._connected()
            try:
                connection.execute("BEGIN IMMEDIATE")
                for statement, rows in work:
                    connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException as err:
                self._recover(connection, err)
                if isinstance(err, sqlite3.Error | ValueError):
                    raise LogError(fault_of(err, self._place)) from err
                raise
            self._checkpoints.note(len(work[-1][1]))

    def _connected(self) -> sqlite3.Connection:
        """Give a connection to the file that is there now; one to a file that was removed would write to nowhere."""
        try:
            found = os.stat(self._file)  # noqa: PTH116 half the time of Path.stat, for every row
            if self._connection is not None and self._file_id == (found.st_dev, found.st_ino):
                return self._connection
        except OSError:
            pass  # what is wrong is said by those who try to open it
        self.close()
        ensure_schema(self._settings)
        try:
            self._connection = connect_sqlite(self._settings, self._file)
            found = self._file.stat()
        except (sqlite3.Error, OSError) as err:
            self.close()
            raise LogError(fault_of(err, self._place)) from err
        self._file_id = (found.st_dev, found.st_ino)
        return self._connection

    def _recover(self, connection: sqlite3.Connection, err: BaseException) -> None:
        try:
            if connection.in_transaction:
                connection.rollback()
        except sqlite3.Error:
            self.close()
        # A lock and a bad row say nothing against the connection; after the rest it is not trusted.
        if not sqlite_name(err).startswith(("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_CONSTRAINT")):
            self.close()

    def close(self) -> None:
        """Close the connection, after whoever writes over it: closed under a statement, it ends the process."""
        if self._pid != os.getpid():
            self._start_anew()
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()


INSERT_SQLITE, LIST_SQLITE = _insert("?"), _LIST.format("?")


class PostgresWriter:
    """Writes to PostgreSQL over a small pool, and tries once more where the server was restarted."""

    def __init__(self, settings: Settings, url: sa.URL):
        self._settings = settings
        self._place = place_of(url)
        self._start_anew()

    def _start_anew(self) -> None:
        self._pid = os.getpid()
        self._engine = make_engine(self._settings)
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def write(self, rows: Sequence[Row]) -> None:
        """Insert the rows in one transaction."""
        self._do(_work(rows), _work(rows, UNLESS_THERE))

    def check(self) -> None:
        """Write the row of the check."""
        work = ((_WRITE_CHECK.format("%s"), [(datetime.now(UTC), _FILLER)]),)
        self._do(work, work)

    def _do(self, work: Sequence[Work], again: Sequence[Work]) -> None:
        if self._pid != os.getpid():
            self._engine.dispose(close=False)  # the sockets are the parent's
            self._start_anew()
        try:
            try:
                self._execute(work)
            except sa.exc.DBAPIError as err:
                if not is_dead(err):
                    raise
                self._engine.dispose()
                # The first try may have been committed before the connection died.
                self._execute(again)
        except (sa.exc.SQLAlchemyError, ValueError) as err:
            raise LogError(fault_of(err, self._place)) from err

    def _execute(self, work: Sequence[Work]) -> None:
        if len(work) == len(work[0][1]) == 1:
            ((statement, (row,)),) = work
            with self._alone.connect() as connection:
                connection.exec_driver_sql(statement, row)
        else:
            with self._engine.begin() as connection:
                for statement, rows in work:
                    connection.exec_driver_sql(statement, list(rows))

    def close(self) -> None:
        """Close the pool."""
        self._engine.dispose()


INSERT_POSTGRES, LIST_POSTGRES = _insert("%s"), _LIST.format("%s")
UNLESS_THERE = " ON CONFLICT DO NOTHING"


def _work(rows: Sequence[Row], unless_there: str = "") -> Sequence[Work]:
    """Give what is to be done for rows: for one of them a single statement, which needs no transaction around it."""
    lists, values = parts_of(rows)
    insert = INSERT_POSTGRES + unless_there
    if len(values) == 1:
        return ((f"WITH list AS ({LIST_POSTGRES}) {insert}", [lists[0] + values[0]]),)
    return (LIST_POSTGRES, lists), (insert, values)
