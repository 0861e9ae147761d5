"""Several workers at once, and workers that are killed: no row is lost, doubled or half there."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import prediction, settings_of
from tests.support.own_process import exit_code_of

PROJECT = Path(__file__).parents[3]
pytestmark = pytest.mark.system

KILLS = 6
ROWS_BEFORE_KILL = 40


def start(settings: Settings, *options: object) -> subprocess.Popen:
    environment = os.environ | {"LOG_URL": settings.prediction_log.url.get_secret_value()}
    command = [sys.executable, "-m", "tests.adapters.prediction_log.child", settings.root, *options]
    return subprocess.Popen([*map(str, command)], cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)


def kill_after(child: subprocess.Popen, rows: int) -> list[str]:
    """Kill a writer after so many acknowledged rows, and give the ids of all it acknowledged."""
    first = [child.stdout.readline().strip() for _ in range(rows)]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    # A last line may be cut short by the kill.
    return first + [line for line in rest if len(line) == 32]


def test_workers_lose_and_double_nothing(settings):
    children = [start(settings, "--rows", 300, "--at-once", at_once) for at_once in (1, 3, 10)]
    acknowledged = [line for child in children for line in child.communicate()[0].split()]
    assert [child.returncode for child in children] == [0, 0, 0]
    log = PredictionLog.open(settings)
    written = log.read(columns=["prediction_id"])["prediction_id"].tolist()
    log.close()
    assert len(written) == len(set(written)) == 900
    assert set(written) == set(acknowledged)


def test_workers_that_start_at_once_make_the_default_file_together(tmp_path):
    settings = settings_of(tmp_path)
    children = [start(settings, "--rows", 20) for _ in range(5)]
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0] * 5
    assert PredictionLog.open(settings).count() == 100


def test_what_was_acknowledged_survives_kill_9(settings):
    acknowledged: set[str] = set()
    for turn in range(KILLS):
        # The kill is to find a thread that moves the journal.
        child = start(settings, "--at-once", (1, 5)[turn % 2], "--checkpoint-every", 3)
        acknowledged |= set(kill_after(child, ROWS_BEFORE_KILL))
        log = PredictionLog.open(settings)
        written = log.read(columns=["prediction_id"])["prediction_id"].tolist()
        log.close()
        assert acknowledged - set(written) == set()
        assert len(written) == len(set(written))
    assert len(acknowledged) >= KILLS * ROWS_BEFORE_KILL
    if settings.prediction_log.url.get_secret_value().startswith("sqlite"):
        with sqlite3.connect(settings.root / "given.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_request_is_there_whole_or_not_at_all_after_kill_9(settings):
    kill_after(start(settings, "--at-once", 40), 40)
    log = PredictionLog.open(settings)
    assert log.count() % 40 == 0
    log.close()


def test_the_kill_finds_out_a_log_that_acknowledges_too_early(settings):
    lost = set()
    for _ in range(3):
        acknowledged = set(kill_after(start(settings, "--break"), ROWS_BEFORE_KILL))
        log = PredictionLog.open(settings)
        lost |= acknowledged - set(log.read(columns=["prediction_id"])["prediction_id"])
        log.close()
    assert lost


def write_in_fork(log: PredictionLog, rows: int) -> None:
    for _ in range(rows):
        log.write([prediction()])


def held_by(log: PredictionLog) -> object:
    return getattr(log._writer, "_connection", None) or log._writer._engine


def write_over_another(log: PredictionLog, rows: int) -> None:
    inherited = held_by(log)
    write_in_fork(log, rows)
    if held_by(log) is inherited:
        os._exit(3)


def fork_and_write(settings: Settings) -> None:
    """Write to a log from its own process and, at the same time, from two that were forked with it open."""
    log = PredictionLog.open(settings)
    write_in_fork(log, 20)
    forked = [multiprocessing.get_context("fork").Process(target=write_over_another, args=(log, 50)) for _ in range(2)]
    for process in forked:
        process.start()
    write_in_fork(log, 50)
    for process in forked:
        process.join()
    assert [process.exitcode for process in forked] == [0, 0]
    write_in_fork(log, 1)
    log.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_worker_writes_over_a_connection_of_its_own(settings):
    # In a process of its own: what other tests have imported must not be forked along.
    assert exit_code_of(fork_and_write, settings) == 0
    log = PredictionLog.open(settings)
    assert log.count() == 171
    log.close()


def test_threads_may_share_a_log(log):
    threads = [threading.Thread(target=write_in_fork, args=(log, 50)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.count() == 200


def check_until(done: threading.Event, log: PredictionLog) -> None:
    while not done.is_set():
        log.check()


def check_and_close(settings: Settings) -> None:
    log = PredictionLog.open(settings)
    for _ in range(200):
        done = threading.Event()
        thread = threading.Thread(target=check_until, args=(done, log))
        thread.start()
        log.close()
        done.set()
        thread.join()


def test_a_file_is_closed_after_whoever_writes_to_it(tmp_path: Path) -> None:
    assert exit_code_of(check_and_close, settings_of(tmp_path)) == 0
