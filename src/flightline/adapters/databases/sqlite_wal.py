"""SQLite's WAL mode, in which readers and a writer do not hold each other up."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

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
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def row_counts(file: Path) -> dict[str, tuple[int, int | None]]:
    """Count the rows of each table of a file, with the newest row's number: it tells two states of tables apart.

    Of tables whose rows are never changed, as those of the prediction log; the one that only takes probes may be.
    """
    if not file.is_file():
        return {}
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        counts = {name: f'SELECT count(*), max(rowid) FROM "{name}"' for (name,) in tables}  # noqa: S608  # its own names
        return {name: connection.execute(count).fetchone() for name, count in counts.items()}
