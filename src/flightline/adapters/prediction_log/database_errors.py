"""What a database's error means to the person who must mend it.

The text reaches callers of the service, so it holds no path, no host and nothing of a row.
"""

import errno
import sqlite3

import sqlalchemy as sa

_FULL = "has no room left on its disk; free some, and it goes on by itself"
_READ_ONLY = "cannot be written: file, folder or disk is read-only; make it writable"
_NO_FOLDER = "cannot be opened: its folder is missing or is not one, or may not be entered; make it"
_LOCKED = "was locked by another process for longer than busy_timeout_seconds; find who holds it, or wait longer"
_NO_TABLE = "lacks a table or column this code needs; run `make db-migrate`"
_TAKEN = "holds one of these prediction ids already; each prediction needs a new one, and none of these was written"
_NOT_SOUND = "is damaged or is no SQLite database; move it away, and restore it from a copy if there is one"
_NO_TEXT = "refuses a value that its text cannot hold; leave out NUL characters and half surrogate pairs"
_SILENT = "gave no answer within busy_timeout_seconds; look whether its server stands still"
_GONE = "cannot be reached; check that it is up and that prediction_log.url is right"

_OF_SQLITE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_CANTOPEN": _NO_FOLDER,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_CONSTRAINT_PRIMARYKEY": _TAKEN,
    "SQLITE_CORRUPT": _NOT_SOUND,
    "SQLITE_NOTADB": _NOT_SOUND,
    "SQLITE_ERROR": _NO_TABLE,
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OF_POSTGRES = {
    "53100": _FULL,
    "25006": "takes no writes (a standby, or read-only); point prediction_log.url at the primary",
    "55P03": _LOCKED,
    "57014": _LOCKED,
    "42P01": _NO_TABLE,
    "42703": _NO_TABLE,
    "23505": _TAKEN,
    "28P01": "refuses the user or the password; check prediction_log.url",
    "3D000": "does not exist; make it, then run `make db-migrate`",
}
_OF_SYSTEM = {errno.ENOSPC: _FULL, errno.EROFS: _READ_ONLY, errno.EACCES: _READ_ONLY}
# A promoted or restarted server is met again by a new connection.
_DEAD = {"25006", "57P01", "57P02", "57P03", "08000", "08003", "08006"}


def fault_of(err: BaseException, place: str) -> str:
    """Say what is wrong with the prediction log, and what to do.

    Parameters
    ----------
    err
        What the driver, SQLAlchemy or the system raised.
    place
        Of `prediction_log_schema.place_of`.
    """
    return f"the {place} of the prediction log {_meaning(_innermost(err))}"


def is_dead(err: sa.exc.DBAPIError) -> bool:
    """Tell whether a new connection might do what this one could not."""
    if _is_silence(err.orig):
        return False  # to wait once more would be to wait twice as long as is promised
    return err.connection_invalidated or getattr(err.orig, "sqlstate", None) in _DEAD


def is_refused_row(err: BaseException) -> bool:
    """Tell whether the database refused what a row holds, which says nothing against the log or other rows.

    Parameters
    ----------
    err
        A LogError of a write.
    """
    refused = (sqlite3.IntegrityError, sa.exc.IntegrityError, sa.exc.DataError, ValueError)
    return isinstance(err.__cause__, refused)


def sqlite_name(err: BaseException) -> str:
    """Give SQLite's name of an error, such as SQLITE_BUSY; empty if it is none of SQLite's."""
    return getattr(err, "sqlite_errorname", None) or ""


def _is_silence(err: BaseException | None) -> bool:
    """Tell `bounded_connection.NoAnswerError` by its name: a log in SQLite needs no psycopg, which costs memory."""
    return type(err).__name__ == "NoAnswerError"


def _innermost(err: BaseException) -> BaseException:
    return err.orig if isinstance(err, sa.exc.DBAPIError) and err.orig is not None else err


def _meaning(err: BaseException) -> str:
    if isinstance(err, sqlite3.Error):
        name = sqlite_name(err)
        known = _OF_SQLITE.get(name) or _OF_SQLITE.get("_".join(name.split("_")[:2]))
        return known or f"refuses it ({name or type(err).__name__}); look at the database"
    if isinstance(err, OSError):
        return _OF_SYSTEM.get(err.errno or 0, _NO_FOLDER)
    if _is_silence(err):
        return _SILENT
    state = getattr(err, "sqlstate", None)
    if state is None:
        return _NO_TEXT if isinstance(err, ValueError) or type(err).__name__ == "DataError" else _GONE
    return _OF_POSTGRES.get(state) or f"refuses it (PostgreSQL error {state}); look at its log"
