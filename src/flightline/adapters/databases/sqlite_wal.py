"""SQLite's WAL mode, in which readers and a writer do not hold each other up."""

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

_PAUSE = 0.01


def enter_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Bring the file of a connection to WAL mode, which it then keeps.

    SQLite's own timeout does not hold here: the pragma reads the file and then wants to write it, and SQLite
    refuses at once whoever wants to write after reading, for two who waited for each other would wait for ever
    (https://www.sqlite.org/c3ref/busy_handler.html).

    Parameters
    ----------
    patience
        For how many seconds to try while others hold the file.

    Raises
    ------
    sqlite3.OperationalError
        If the file is locked for longer, or cannot be written.
    """
    until = time.monotonic() + patience
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as err:
            if err.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def fold_wal(file: Path) -> None:
    """Move what a file's journal still holds into the file, so that equal rows are equal bytes from then on.

    While others read or write, some or all of it stays in the journal.
    """
    if file.is_file():
        with closing(_connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def row_counts(file: Path) -> dict[str, tuple[Any, ...] | None]:
    """Count the rows of each table of a file, with the newest one's number and key: it tells states of tables apart.

    Of tables whose rows are never changed, as those of the prediction log; the one that only takes probes may be. The
    key is a row's first value. A number alone may come again: they begin anew when a table is emptied.
    """
    if not file.is_file():
        return {}
    with closing(_connect(file, mode="ro")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return {name: _rows_and_newest(connection, name) for (name,) in tables}


def _rows_and_newest(connection: sqlite3.Connection, table: str) -> tuple[Any, ...] | None:
    of = f'FROM "{table}"'
    statement = f"SELECT (SELECT count(*) {of}), rowid, * {of} ORDER BY rowid DESC LIMIT 1"
    newest = connection.execute(statement).fetchone()
    return newest and newest[:3]


class SideCheckpoints:
    """Moves a file's journal into the file in a thread, so that no commit waits for all of it.

    SQLite itself does that at the end of a commit, which then takes as long as the disk. Where a thread fails, it still
    does: `wal_autocheckpoint` of the connection that writes is the bound.

    Parameters
    ----------
    every_rows
        After how many rows that were written.
    """

    def __init__(self, file: Path, every_rows: int):
        self._file, self._every_rows = file, every_rows
        self._rows = 0
        self._is_moved = False
        self._thread: threading.Thread | None = None

    def note(self, rows: int) -> None:
        """Count rows that were committed; whoever writes calls it, and nobody of this process writes meanwhile.

        A thread is started when it is time and none runs. When one has ended, the little that came since is moved here,
        for the journal begins anew only when nothing is left in it.
        """
        self._rows += rows
        if self._is_moved:
            self._is_moved = False
            self._move("RESTART")
        elif self._rows >= self._every_rows and (self._thread is None or not self._thread.is_alive()):
            self._rows = 0
            self._thread = threading.Thread(target=self._move_beside, name="checkpoint", daemon=True)
            with suppress(RuntimeError):  # no room for a thread: what is committed stays so
                self._thread.start()

    def _move_beside(self) -> None:
        # What came during the first is moved by the second, and that is little.
        self._is_moved = self._move("PASSIVE", "PASSIVE")

    def _move(self, *modes: str) -> bool:
        """Say whether it could be tried. A reader, or a writer of another process, is not waited for: the next may."""
        with suppress(sqlite3.Error), closing(_connect(self._file, timeout=0)) as connection:
            for mode in modes:
                connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return True
        return False


def _connect(file: Path, timeout: float = 5, mode: str = "rw") -> sqlite3.Connection:
    """Connect to a file that is there: none is made."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", timeout=timeout, isolation_level=None, uri=True)
