"""What may be wrong with a SQLite file, each made wrong in truth: refused in words, and no longer than it lasts."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import LogError
from tests.adapters.prediction_log.predictions import prediction, settings_of

BIG = {f"feature_{n}": "x" * 1000 for n in range(50)}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    opened = PredictionLog.open(settings_of(tmp_path, busy_timeout_seconds=0.3))
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return settings_of(tmp_path).prediction_log_file


def refuses(log: PredictionLog, words: str) -> None:
    with pytest.raises(LogError, match=words):
        log.check()
    with pytest.raises(LogError, match=words):
        log.write([prediction()])
    with pytest.raises(LogError, match=words):
        log.write([prediction(), prediction()])


def works(log: PredictionLog, rows: int) -> None:
    log.check()
    log.write([prediction()])
    assert log.count() == rows


def test_a_file_that_is_locked_for_too_long(log, file):
    works(log, 1)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        # The lock stays, so without a bound this would never end.
        refuses(log, "locked by another process for longer than busy_timeout_seconds")
        other.execute("ROLLBACK")
    works(log, 2)


def test_a_lock_within_the_bound_is_waited_for(log, file, tmp_path):
    works(log, 1)

    def write_patiently() -> None:
        patient = PredictionLog.open(settings_of(tmp_path, busy_timeout_seconds=60))
        patient.write([prediction()])
        patient.close()

    with ThreadPoolExecutor() as pool, sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        written = pool.submit(write_patiently)
        # Takes three times as long as this one waits: by then the patient one waits too.
        refuses(log, "locked by another process")
        assert not written.done(), written.exception()
        other.execute("ROLLBACK")
        written.result()
    assert log.count() == 2


def test_a_file_where_the_folder_should_be(tmp_path, file):
    file.parent.parent.mkdir()
    file.parent.write_text("in the way")
    with pytest.raises(LogError, match="its folder is missing or is not one"):
        PredictionLog.open(settings_of(tmp_path))


def test_a_folder_that_becomes_a_file_and_a_folder_again(log, file, tmp_path):
    works(log, 1)
    file.parent.rename(tmp_path / "aside")
    file.parent.write_text("in the way")
    refuses(log, "its folder is missing or is not one")
    file.parent.unlink()
    (tmp_path / "aside").rename(file.parent)
    works(log, 2)


def test_a_file_that_was_removed_is_not_written_to(log, file):
    works(log, 1)
    shutil.rmtree(file.parent)
    # An open file would take rows for as long as it is open, and then they would be gone.
    works(log, 1)
    assert file.exists()


def test_a_file_that_was_replaced_is_written_to(log, file, tmp_path):
    works(log, 1)
    shutil.rmtree(file.parent)
    other = PredictionLog.open(settings_of(tmp_path))
    works(log, 1)
    assert other.count() == 1
    other.close()


def test_a_given_file_that_was_removed_is_not_made_in_silence(tmp_path):
    with pytest.raises(LogError, match="is not there; make it with `make db-migrate`"):
        PredictionLog.open(settings_of(tmp_path, url="sqlite:///mine.db"))
    assert not (tmp_path / "mine.db").exists()


def test_a_file_that_is_no_database(tmp_path, file):
    file.parent.mkdir(parents=True)
    file.write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(LogError, match="is damaged or is no SQLite database"):
        PredictionLog.open(settings_of(tmp_path))


def test_a_full_file(log):
    works(log, 1)
    connection = log._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(LogError, match="has no room left on its disk"):
        log.write([prediction(features=BIG)])
    with pytest.raises(LogError, match="has no room left on its disk"):
        log.write([prediction(), prediction(features=BIG)])
    assert log.count() == 1
    connection.execute("PRAGMA max_page_count=1000000")
    works(log, 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def is_written(log: PredictionLog) -> bool:
    try:
        log.write([prediction(features=BIG)])
    except LogError as err:
        return "has no room left on its disk" not in str(err)
    return True


def test_a_full_disk(small_disk):
    log = PredictionLog.open(settings_of(small_disk))
    works(log, 1)
    fill(small_disk / "ballast")
    with pytest.raises(LogError, match="has no room left on its disk"):
        log.check()
    # What the write-ahead log has room for is still taken, and is safe.
    written = 1
    while is_written(log):
        written += 1
        assert written < 100
    assert log.count() == written
    (small_disk / "ballast").unlink()
    works(log, written + 1)
    log.close()
    with sqlite3.connect(settings_of(small_disk).prediction_log_file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_whose_last_room_is_the_write_ahead_log_is_not_ready(small_disk):
    log = PredictionLog.open(settings_of(small_disk))
    for _ in range(8):
        log.write([prediction(features=BIG)])
    # What the checkpoint freed inside that file would take another probe, and then nothing.
    log._writer._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    fill(small_disk / "ballast")
    log.write([prediction()])
    with pytest.raises(LogError, match="has no room left on its disk"):
        log.check()
    (small_disk / "ballast").unlink()
    works(log, 10)
    log.close()


@pytest.fixture
def read_only_disk(small_disk: Path) -> Path:
    PredictionLog.open(settings_of(small_disk)).close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    return small_disk


def test_a_disk_that_is_read_only(read_only_disk):
    with pytest.raises(LogError, match=r"read-only; make it writable|cannot be opened"):
        PredictionLog.open(settings_of(read_only_disk))
    subprocess.run(["mount", "-o", "remount,rw", read_only_disk], check=True)
    log = PredictionLog.open(settings_of(read_only_disk))
    works(log, 1)
    log.close()


def test_no_message_shows_a_path(log, file, tmp_path):
    file.parent.rename(tmp_path / "aside")
    file.parent.write_text("in the way")
    with pytest.raises(LogError) as caught:
        log.check()
    assert os.sep not in str(caught.value)


@pytest.mark.parametrize(("synchronous", "level"), [("NORMAL", 1), ("FULL", 2)])
def test_how_sqlite_waits_for_the_disk_is_a_setting(tmp_path, synchronous, level):
    log = PredictionLog.open(settings_of(tmp_path, synchronous=synchronous))
    connection = log._writer._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()
