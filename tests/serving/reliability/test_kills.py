"""A prediction that was acknowledged is in the log, whatever is killed, and the service comes back."""

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.support.servers.service_process import running
from tests.support.servers.service_scenarios import WORKERS, all_ready, kill_service, kill_workers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
TIMES = 2


def test_a_killed_worker_loses_no_acknowledged_prediction(tmp_path: Path) -> None:
    figures = kill_workers(tmp_path, TIMES)
    assert figures.lost == 0
    assert figures.acknowledged > 0
    # Those at work in the worker, and those on connections it had taken.
    assert sum(figures.failed.values()) <= 2 * 4 * TIMES
    assert not [why for why in figures.failed if why[:1].isdigit()]


def test_a_killed_service_takes_no_acknowledged_prediction_with_it(tmp_path: Path) -> None:
    figures = kill_service(tmp_path, TIMES)
    assert figures.lost == 0
    assert figures.acknowledged > 0
    assert figures.times == len(figures.seconds) == TIMES


def test_a_worker_killed_while_it_stands_still_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, workers=WORKERS) as service:
        killed = min(service.workers())
        os.kill(killed, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: all_ready(service) and killed not in service.workers(), said="it is replaced")


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with running(tmp_path, workers=WORKERS, watch=True) as service:
        supervisor = psutil.Process(service.process.pid)
        wait_until(lambda: any("model_sync" in " ".join(one.cmdline()) for one in supervisor.children()))
        started = supervisor.children(recursive=True)
        try:
            os.kill(service.process.pid, signal.SIGKILL)
            service.process.wait()
            wait_until(lambda: not any(map(is_at_work, started)), 120, said="workers and model sync end")
            with socket.socket() as port:
                port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
                port.bind(("127.0.0.1", service.port))
        finally:
            for left in filter(is_at_work, started):
                left.kill()


def is_at_work(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
