"""A worker that was killed in the middle of a run, started again."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import temporary_settings

from flightline.adapters.ports import free_port
from flightline.core.settings import Settings
from pipelines.common.servers.prefect_server import find_server
from pipelines.orchestration.trigger import trigger
from tests.pipelines.orchestration.running_worker import (
    Receiver,
    Working,
    processes_of,
    start_worker,
    stop_worker,
)
from tests.support.models.small_flows import PROBLEM, root_of, small_project
from tests.support.waiting import wait_until

SECONDS = 600


def kill_all(root: Path) -> None:
    """Kill the worker, its server and its runs, none of which can do anything about it."""
    for pid in processes_of(root):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(root), said=lambda: processes_of(root))


def let_leases_run_out(home: Path) -> int:
    """Put the end of each lease into the past, as five minutes would; give how many there are."""
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    leases = [file for file in (home / "concurrency_leases").glob("*.json") if file.name != "expirations.json"]
    for file in leases:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"expiration": past}))
    index = home / "concurrency_leases" / "expirations.json"
    index.write_text(json.dumps(dict.fromkeys(json.loads(index.read_text()), past)))
    return len(leases)


def taken() -> int:
    """Give how many places of the training are taken."""
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(f"training/{PROBLEM.model_name}").global_concurrency_limit.active_slots


@pytest.mark.system
def test_the_place_of_a_killed_training_is_free_after_its_lease(tmp_path: Path) -> None:
    settings, receiver = Settings(root=tmp_path), Receiver()
    process, output = start_worker(tmp_path, free_port(), receiver.url)
    working = Working(settings, process, output, receiver)
    working.hold.touch()
    trigger(small_project(settings), "training")
    wait_until(lambda: list(root_of(settings).glob("run-*")), SECONDS, output.read_text)
    kill_all(tmp_path)
    process.wait()
    working.hold.unlink()
    process, output = start_worker(tmp_path, free_port(), receiver.url)
    try:
        with temporary_settings(find_server(settings).client_settings):
            assert taken() == 1
            assert let_leases_run_out(tmp_path / ".state" / "prefect") == 1
            wait_until(lambda: taken() == 0, SECONDS, output.read_text)
            trigger(small_project(settings), "training")
            wait_until(lambda: "COMPLETED" in working.states(), SECONDS, working.states)
    finally:
        stop_worker(process)
        receiver.close()
    assert processes_of(tmp_path) == []
