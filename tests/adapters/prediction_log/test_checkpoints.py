"""The journal of a SQLite log stays short: a thread moves it into the file, and where none does, a commit."""

import sqlite3
import threading
from pathlib import Path

import pytest

from flightline.adapters.databases import sqlite_wal
from flightline.adapters.prediction_log import schema, writers
from flightline.adapters.prediction_log.log import PredictionLog
from tests.adapters.prediction_log.predictions import prediction, settings_of

PAGE = 4096
MANY_ROWS = 20_000


def journal_bytes(log: PredictionLog) -> int:
    return Path(f"{log._file}-wal").stat().st_size


def write(log: PredictionLog, rows: int) -> None:
    for _ in range(rows):
        log.write([prediction()])


@pytest.fixture
def set_bounds(monkeypatch):
    def set_to(rows: int, pages: int) -> None:
        monkeypatch.setattr(writers, "_CHECKPOINT_ROWS", rows)
        monkeypatch.setattr(schema, "_CHECKPOINT_PAGES", pages)

    return set_to


def test_under_steady_writes_the_journal_begins_anew(tmp_path, set_bounds):
    set_bounds(rows=50, pages=0)  # no commit makes a checkpoint
    log = PredictionLog.open(settings_of(tmp_path))
    written = 0
    while written * PAGE < 4 * journal_bytes(log) or written < 500:
        write(log, 50)
        written += 50
        log._writer._checkpoints._thread.join()  # a busy machine lets it wait
        assert written < MANY_ROWS, "each row is a page at least, and the journal holds a quarter of them still"
    log.close()


def no_checkpoint(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("owner", "name", "fails"),
    [(sqlite_wal, "_connect", no_checkpoint), (threading.Thread, "start", no_thread)],
    ids=["the thread fails", "no thread starts"],
)
def test_without_the_thread_a_commit_makes_the_checkpoint(tmp_path, set_bounds, monkeypatch, owner, name, fails):
    set_bounds(rows=1, pages=40)
    monkeypatch.setattr(owner, name, fails)  # before the first write: no thread that began must be at work
    log = PredictionLog.open(settings_of(tmp_path))
    write(log, 300)
    assert journal_bytes(log) < 100 * PAGE
    assert log.count() == 300
    log.close()


def test_a_checkpoint_makes_no_file(tmp_path):
    assert not sqlite_wal.SideCheckpoints(tmp_path / "gone.db", every_rows=1)._move("PASSIVE")
    assert list(tmp_path.iterdir()) == []
