"""A worker in processes of its own for tests, the webhook it alerts, and how to see that nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from flightline.core.settings import ScheduleSettings, Settings
from pipelines.common.servers.prefect_server import find_server
from tests.pipelines.orchestration.small_worker import MODULE
from tests.support.models.small_flows import FLOWS, PROBLEM, root_of
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 600
RARELY = "0 0 29 2 *"  # what a schedule starts in the middle of a test would be counted by it
SCHEDULES = ScheduleSettings(**dict.fromkeys(FLOWS, RARELY))


class Receiver:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        received = self.received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self._server.server_port}/alerts"

    def titles(self) -> list[str]:
        return [one["title"] for one in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Working:
    """A running worker and what belongs to it."""

    settings: Settings
    process: subprocess.Popen
    output: Path
    receiver: Receiver

    @property
    def hold(self) -> Path:
        return root_of(self.settings) / "hold"

    def tell(self, event: str, model: str = PROBLEM.model_name) -> None:
        """Tell of an event as a deployed run would, in a process of its own, which ends when the server has it."""
        server = find_server(self.settings)
        assert server is not None
        client = {setting.name: value for setting, value in server.client_settings.items()}
        deployed = {"PREFECT__RUNTIME__DEPLOYMENT__ID": "told", "NO_PROXY": "127.0.0.1"}
        subprocess.run(
            [sys.executable, "-m", MODULE, "tell", event, model], cwd=REPOSITORY, check=True, timeout=600,
            env=os.environ | client | deployed,
        )  # fmt: skip

    def trainings(self) -> list[FlowRun]:
        """Runs that were started by something, not those a schedule has ahead."""
        with get_client(sync_client=True) as client:
            flows = {found.id: found.name for found in client.read_flows()}
            runs = client.read_flow_runs(limit=200)
        return [run for run in runs if flows[run.flow_id] == "training" and not run.auto_scheduled]

    def states(self) -> list[str]:
        return sorted(run.state.type.value for run in self.trainings())


def processes_of(root: Path) -> list[int]:
    """Find every process that was started for a root, by its environment."""
    wanted = f"FLIGHTLINE_ROOT={root}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended, or is another user's
    return [pid for pid in found if pid != os.getpid()]


def environment_of(root: Path, port: int, alerts: str) -> dict[str, str]:
    return os.environ | {
        "FLIGHTLINE_ROOT": str(root),
        "FLIGHTLINE_PAGES__PREFECT_PORT": str(port),
        "FLIGHTLINE_ALERTS__URL": alerts,
        **{f"FLIGHTLINE_SCHEDULES__{flow.upper()}": RARELY for flow in FLOWS},
        "PREFECT_HOME": str(root / ".state" / "prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1",
    }


def start_worker(root: Path, port: int, alerts: str) -> tuple[subprocess.Popen, Path]:
    (root / ".state" / "prefect").mkdir(parents=True, exist_ok=True)
    output = root / "worker.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "work"], cwd=REPOSITORY, env=environment_of(root, port, alerts),
            stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    wait_until(
        lambda: "start one now" in output.read_text() or process.poll() is not None, START_SECONDS, output.read_text
    )
    assert process.poll() is None, output.read_text()
    return process, output


def stop_worker(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(timeout=600)
