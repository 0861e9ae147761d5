"""Real uvicorn processes of the service, on hand-made features and a tiny model, and a client that sees all bytes.

python -m tests.support.servers.service_process     serves where the environment says, as `python -m serving` does
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from flightline.adapters.event_clock import set_clock
from flightline.core.project import open_project
from flightline.core.settings import Settings
from tests.support.small_service import NOON, put_model
from tests.support.waiting import wait_in_loop, wait_until

REPOSITORY = Path(__file__).parents[3]
START_SECONDS, ANSWER_SECONDS = 600, 120
APP = "tests.support.servers.service_process:create_small_app"


def main() -> None:
    """Do what serving/__main__.py does, but for the application."""
    import uvicorn

    from serving.telemetry.metrics_folder import shared_metrics

    settings = Settings()
    with shared_metrics(settings.metrics_root):
        from serving.middleware.auth import check_start
        from serving.model_sync import model_sync_running
        from serving.server import end_cleanly_on_sigterm, prepare_worker, server_options
        from serving.supervisor import replace_killed_workers_at_once

        end_cleanly_on_sigterm()
        replace_killed_workers_at_once()
        prepare_worker(settings)
        check_start(settings)
        with model_sync_running(settings):
            uvicorn.run(APP, factory=True, workers=settings.serving.workers, **server_options(settings))


def create_small_app():
    """Make the service without a store; a request's x-test-hold holds it (see `held`), its x-test-bug makes it fail."""
    from fastapi import Request

    from serving.api.dependencies import get_clock, get_clock_if_set
    from serving.app import create_app
    from serving.server import prepare_worker
    from tests.support.small_service import HandMadeFeatures

    project = open_project()
    prepare_worker(project.settings)
    app = create_app(project, lambda _: HandMadeFeatures())

    async def hindered_clock(request: Request) -> datetime:
        if name := request.headers.get("x-test-hold"):
            hold = project.settings.root / name
            (hold.parent / f"{name}-{uuid4().hex}").touch()
            await wait_in_loop(lambda: not hold.exists())
        if "x-test-bug" in request.headers:
            raise RuntimeError("the password is in /srv/flightline/secret.txt")
        return NOON

    app.dependency_overrides[get_clock] = app.dependency_overrides[get_clock_if_set] = hindered_clock
    return app


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Service:
    """A service that runs, and how to ask it."""

    port: int
    process: subprocess.Popen
    log: Path
    key: str | None = None

    def ask(self, path: str, body: object = None, method: str | None = None, **headers: str) -> Answer:
        """Ask on a connection of its own; `x_y` in `headers` is written x-y."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given = {"authorization": f"Bearer {self.key}"} | given
        content = None if body is None else json.dumps(body)
        if content:
            given["content-type"] = "application/json"
        try:
            connection.request(method or ("POST" if content else "GET"), path, content, given)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Say whether all workers predict: each keeps what it found for a second, and any of them may answer."""
        return all(self.ask("/health/ready").status == 200 for _ in range(12))

    def connect(self) -> socket.socket:
        """Open a connection to send bytes on as they are."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)

    def send(self, content: bytes) -> bytes:
        """Send bytes as they are and give all that comes until the connection is closed."""
        with self.connect() as connection:
            connection.sendall(content)
            return read_all(connection)

    @contextmanager
    def held(self) -> Iterator[str]:
        """Give a name; requests that have it in their x-test-hold are answered after the block."""
        hold = self.log.parent / f"hold-{uuid4().hex}"
        hold.touch()
        try:
            yield hold.name
        finally:
            hold.unlink()

    def count_held(self, name: str) -> int:
        """Count the requests that have got as far as to be held."""
        return len(list(self.log.parent.glob(f"{name}-*")))

    def metrics(self) -> dict[str, float]:
        """Give every sample of /metrics, by name and labels as they are written there."""
        answer = self.ask("/metrics")
        text = answer.body.decode()
        assert answer.status == 200, text
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def workers(self) -> set[int]:
        """Give the process ids of the workers that have written a metric."""
        folders = list((self.log.parent / ".state" / "metrics").iterdir())
        found = (
            {int(file.stem.rsplit("_", 1)[1]) for file in folders[0].glob("gauge_livesum_*.db")} if folders else set()
        )
        return found - {self.process.pid}

    def kill(self) -> None:
        """Kill all of its processes at once, as a machine that dies does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=ANSWER_SECONDS)

    def stop(self) -> int:
        """Tell it to stop as an orchestrator does, and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=ANSWER_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment_of(root: Path, **settings: object) -> dict[str, str]:
    """Give the environment of a service in a root; `workers=2` is FLIGHTLINE_SERVING__WORKERS.

    Upper-case names are as they are; the problem is the toy one.
    """
    given = {
        name if name.isupper() else f"FLIGHTLINE_SERVING__{name.upper()}": str(value)
        for name, value in settings.items()
    }
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}", "OMP_NUM_THREADS": "1"}
    own = {"FLIGHTLINE_ROOT": str(root), "FLIGHTLINE_PROBLEM_PACKAGE": "tests.toy_problem", "NO_PROXY": "127.0.0.1"}
    return base | own | given


@contextmanager
def running(
    root: Path,
    key: str | None = None,
    module: str = "tests.support.servers.service_process",
    clock: datetime = NOON,
    **settings: object,
) -> Iterator[Service]:
    """Run the service until the block ends; yields when each worker answers. `module="serving"` is the real one."""
    set_clock(Settings(root=root), clock)
    if not Settings(root=root).serving_models_dir.exists():
        put_model(Settings(root=root), "3")
    port, log = free_port(), root / "service.log"
    # The model sync takes seconds to start; the real service has one unless it is told otherwise.
    environment = environment_of(root, **({"port": port, "watch": module == "serving"} | settings))
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=REPOSITORY,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # so that `kill` reaches all of it and nothing else
        )
    service = Service(port, process, log, key)
    try:
        _wait_until_up(service, int(str(settings.get("workers", 1))))
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                service.kill()


def _wait_until_up(service: Service, workers: int) -> None:
    def said() -> str:
        return service.log.read_text(errors="replace")

    def is_up() -> bool:
        if service.process.poll() is not None:
            return True
        return said().count("Application startup complete") >= workers and bool(service.ask("/health/live"))

    wait_until(is_up, START_SECONDS, said)
    assert service.process.poll() is None, f"the service did not come up:\n{said()[-3000:]}"


if __name__ == "__main__":
    main()
