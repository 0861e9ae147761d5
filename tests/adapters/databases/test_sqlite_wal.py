"""Several may bring one SQLite file to WAL mode: who comes second waits. The journal can be moved into the file."""

import sqlite3
from contextlib import closing

import pytest

from flightline.adapters.databases import sqlite_wal


@pytest.fixture
def file(tmp_path):
    return tmp_path / "log.db"


@pytest.fixture
def holder(file):
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_who_comes_second_waits_until_the_first_is_done(file, holder, monkeypatch):
    monkeypatch.setattr(sqlite_wal.time, "sleep", lambda _: holder.execute("ROLLBACK"))
    with closing(sqlite3.connect(file)) as connection:
        sqlite_wal.enter_wal(connection, patience=60)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_patience_ends(file, holder):
    with closing(sqlite3.connect(file, timeout=0)) as connection, pytest.raises(sqlite3.OperationalError, match="lock"):
        sqlite_wal.enter_wal(connection, patience=0)


def test_what_is_no_lock_is_raised_at_once(file, monkeypatch):
    file.write_text("no database, but some text that is long enough to be taken for a header of one")
    with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite_wal.enter_wal(connection, patience=60)


def test_a_folded_file_is_the_one_that_closing_leaves(file):
    with closing(sqlite3.connect(file)) as connection:
        sqlite_wal.enter_wal(connection, patience=60)
        with connection:
            connection.execute("CREATE TABLE rows (value)")
        before = file.read_bytes()
        sqlite_wal.fold_wal(file)
        folded = file.read_bytes()
    assert before != folded == file.read_bytes()


def test_no_file_is_folded_and_none_made(file):
    sqlite_wal.fold_wal(file)
    assert not file.exists()


def test_a_table_that_was_emptied_and_filled_anew_is_another_state(file):
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE kept (key TEXT PRIMARY KEY, value)")
        assert sqlite_wal.row_counts(file) == {"kept": None}
        states = []
        for keys in (("a", "b"), ("c", "d")):
            connection.execute("DELETE FROM kept")
            connection.executemany("INSERT INTO kept VALUES (?, 1)", [(key,) for key in keys])
            states.append(sqlite_wal.row_counts(file))
    assert states == [{"kept": (2, 2, "b")}, {"kept": (2, 2, "d")}]
