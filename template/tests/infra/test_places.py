"""Prefect's server and worker end in the middle of a flow, as in a deployment, and start again as their tasks say."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.core.settings import Settings
from pipelines.orchestration.trigger import trigger
from template.tests.infra.emulated.cloud import Cloud, free_port, running
from tests.pipelines.orchestration.running_worker import Receiver, Working, start_worker, stop_worker
from tests.pipelines.orchestration.test_worker_again import SECONDS, kill_all, let_leases_run_out, taken
from tests.support.models.small_flows import root_of, small_project
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@contextmanager
def server(cloud: Cloud, kept: Path, disk: Path, port: int, **more: str) -> Iterator[None]:
    """Run Prefect's server as its task says, with a disk of its own and the folder that outlives it."""
    found = cloud.client("ecs").describe_task_definition(taskDefinition="flightline-staging-prefect")["taskDefinition"]
    (container,) = found["containerDefinitions"]
    volumes = {one["name"]: one.get("efsVolumeConfiguration") for one in found["volumes"]}
    (mount,) = (one for one in container["mountPoints"] if volumes[one["sourceVolume"]])
    folders = {mount["containerPath"]: kept, "/tmp": disk}  # the first outlives the task
    environment = {
        pair["name"]: _moved(pair["value"], folders)
        for pair in container["environment"]
        if not pair["name"].startswith("PREFECT_SERVER_DATABASE")
    }
    # A database that outlives the server, as RDS does.
    environment |= {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{kept}/database.db", "HOME": str(disk)}
    command = [*container["command"]]
    command[command.index("--host") + 1], command[command.index("--port") + 1] = "127.0.0.1", str(port)
    disk.mkdir()
    program = Path(sys.executable).with_name("prefect")
    with running([program, *command[1:]], disk / "log", f"http://127.0.0.1:{port}/api/health", **environment | more):
        yield


def _moved(value: str, folders: Mapping[str, Path]) -> str:
    return next((value.replace(name, str(to), 1) for name, to in folders.items() if value.startswith(name)), value)


def test_a_place_is_free_again_after_server_and_worker_ended_in_a_flow(cloud, tmp_path, monkeypatch) -> None:
    kept, root, receiver, port = tmp_path / "kept", tmp_path / "root", Receiver(), free_port()
    kept.mkdir()
    root.mkdir()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    settings = Settings(root=root)
    with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}):
        with server(cloud, kept, tmp_path / "first", port, FLIGHTLINE_ROOT=str(root)):
            process, output = start_worker(root, port, receiver.url)
            working = Working(settings, process, output, receiver)
            working.hold.touch()
            trigger(small_project(settings), "training")
            wait_until(lambda: list(root_of(settings).glob("run-*")), SECONDS, output.read_text)
            kill_all(root)  # the server bears the root in its environment too
            process.wait()
        working.hold.unlink()
        with server(cloud, kept, tmp_path / "second", port):
            process, output = start_worker(root, port, receiver.url)
            try:
                assert taken() == 1
                assert let_leases_run_out(kept / "prefect") == 1, json.dumps([str(one) for one in kept.rglob("*")])
                wait_until(lambda: taken() == 0, SECONDS, output.read_text)
                trigger(small_project(settings), "training")
                wait_until(lambda: "COMPLETED" in working.states(), SECONDS, working.states)
            finally:
                stop_worker(process)
                receiver.close()
