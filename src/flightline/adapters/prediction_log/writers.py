"""The two ways of getting rows onto a disk: SQLite's own driver, and PostgreSQL through SQLAlchemy.

SQLite is written without SQLAlchemy, which takes longer than the insert itself.
Both give up with a LogError, wholly: a request's rows are all there or none.
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

# The check writes as much as a few predictions, demands room for some more, and names all columns that a write fills.
_FILLER = "x" * 16_384
_LEAST_FREE_BYTES = 262_144
# About 15 MB of the file, and up to 80 MB of journal. Who comes while the journal begins anew waits for the disk: of
# 16 requests at a time 6 in a thousand.
_CHECKPOINT_ROWS = 2_500
_WRITE_CHECK = (
    "INSERT INTO write_checks (check_id, written_at, filler) SELECT 1, {0}, {0} "  # noqa: S608 constants
    f"WHERE NOT EXISTS (SELECT {', '.join(COLUMNS)} FROM predictions LIMIT 0) "
    "ON CONFLICT (check_id) DO UPDATE SET written_at = excluded.written_at, filler = excluded.filler"
)


def _insert(mark: str) -> str:
    return f"INSERT INTO predictions ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"  # noqa: S608 constants


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
        self._do(INSERT_SQLITE, rows)

    def check(self) -> None:
        """Write the row of the check, and see that the disk has room for more."""
        self._do(_WRITE_CHECK.format("?"), [(text_of(datetime.now(UTC)), _FILLER)])
        if shutil.disk_usage(self._file.parent).free < _LEAST_FREE_BYTES:
            # The write-ahead log may still hold this row where the next one does not fit.
            raise LogError(fault_of(OSError(28, "full"), self._place))

    def _do(self, statement: str, rows: Sequence[Row]) -> None:
        if self._pid != os.getpid():
            self._start_anew()
        with self._lock:
            connection = self._connected()
            try:
                if len(rows) == 1:
                    connection.execute(statement, rows[0])  # a transaction of its own
                else:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(statement, rows)
                    connection.execute("COMMIT")
            except BaseException as err:
                self._recover(connection, err)
                if isinstance(err, sqlite3.Error | ValueError):
                    raise LogError(fault_of(err, self._place)) from err
                raise
            self._checkpoints.note(len(rows))

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


INSERT_SQLITE = _insert("?")


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
        self._do(INSERT_POSTGRES, INSERT_POSTGRES + UNLESS_THERE, rows)

    def check(self) -> None:
        """Write the row of the check."""
        statement = _WRITE_CHECK.format("%s")
        self._do(statement, statement, [(datetime.now(UTC), _FILLER)])

    def _do(self, statement: str, statement_again: str, rows: Sequence[Row]) -> None:
        if self._pid != os.getpid():
            self._engine.dispose(close=False)  # the sockets are the parent's
            self._start_anew()
        try:
            try:
                self._execute(statement, rows)
            except sa.exc.DBAPIError as err:
                if not is_dead(err):
                    raise
                self._engine.dispose()
                # The first try may have been committed before the connection died.
                self._execute(statement_again, rows)
        except (sa.exc.SQLAlchemyError, ValueError) as err:
            raise LogError(fault_of(err, self._place)) from err

    def _execute(self, statement: str, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            with self._alone.connect() as connection:
                connection.exec_driver_sql(statement, rows[0])
        else:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(statement, list(rows))

    def close(self) -> None:
        """Close the pool."""
        self._engine.dispose()


INSERT_POSTGRES = _insert("%s")
UNLESS_THERE = " ON CONFLICT DO NOTHING"
