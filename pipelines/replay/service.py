"""A real service in a process of its own, for a simulation, and its one client."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from flightline.core.clock import parse_moment
from flightline.core.errors import RequestError, StartError
from flightline.core.settings import Settings
from pipelines.common.servers.processes import open_client

START_SECONDS, FOLLOW_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 90.0, 60.0, 40.0, 60.0
LOOK_SECONDS = 0.05
READY_SECONDS = 60.0  # from its first answer on
CODE = Path(__file__).parents[2]


class Client:
    """Asks one service over a connection that is kept."""

    def __init__(self, settings: Settings, model_name: str):
        self._address = f"{settings.serving.host}:{settings.serving.port}"
        self._most = settings.serving.max_instances
        self._path = f"/v1/models/{model_name}"
        self._client = open_client(ANSWER_SECONDS)

    def predict(self, instances: list[dict[str, Any]]) -> int:
        """Ask about instances, as many in one request as are allowed; give how many were answered.

        Raises
        ------
        RequestError
            If the service does not answer, or refuses.
        """
        answered = 0
        for first in range(0, len(instances), self._most):
            body = {"instances": instances[first : first + self._most]}
            answered += len(self._ask(f"{self._path}:predict", body)["predictions"])
        return answered

    def status(self) -> dict[str, Any]:
        """Give what is served now."""
        return self._ask(self._path)

    def wait_until_materialised(self, moment: datetime) -> None:
        """Wait until the service reads what was materialised up to a moment.

        Raises
        ------
        RequestError
            If it does not within a minute.
        """
        deadline = time.monotonic() + FOLLOW_SECONDS
        while time.monotonic() < deadline:
            status = self.status()
            watermarks = {parse_moment(text) for text in status["watermarks"].values()}
            if status["ready"] and watermarks == {moment}:
                return
            time.sleep(LOOK_SECONDS)
        raise RequestError(f"the service did not follow to {moment.isoformat()} in {FOLLOW_SECONDS:.0f} s: {status}")

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        self._client.close()
        self._client = open_client(ANSWER_SECONDS)

    def _ask(self, path: str, body: object = None) -> dict[str, Any]:
        try:
            response = self._client.request("POST" if body else "GET", f"http://{self._address}{path}", json=body)
        except httpx.HTTPError as err:
            raise RequestError(f"no service answers on {self._address} ({err})") from err
        if response.status_code != httpx.codes.OK:
            raise RequestError(f"the service refused with {response.status_code}: {response.text[:1000]}")
        return dict(response.json())


@contextmanager
def running_service(settings: Settings, model_name: str) -> Iterator[Client]:
    """Run `python -m serving` in the root of the settings until the block ends, however it ends.

    Raises
    ------
    StartError
        If it is not ready within a minute and a half, with the end of its log.
    """
    log = settings.root / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving"], cwd=CODE, env=environment_of(settings), stdout=stream, stderr=stream
        )
    client = Client(settings, model_name)
    try:
        _wait_until_ready(client, process, log)
        yield client
    finally:
        client.close()
        stop(process)


def environment_of(settings: Settings) -> dict[str, str]:
    """Give a child process this environment, with these settings in place of all of the project's."""
    serving = settings.serving
    own = {
        "ROOT": settings.root,
        "CLOCK": settings.clock,
        "PROFILE": settings.profile,
        "PROBLEM_PACKAGE": settings.problem_package,
        "SIGNING__PUBLIC_KEY": settings.signing.public_key,
        "SERVING__HOST": serving.host,
        "SERVING__PORT": serving.port,
        "SERVING__WATCH": serving.watch,
        "SERVING__POLL_SECONDS": serving.poll_seconds,
        "SERVING__KEEP_ALIVE_SECONDS": serving.keep_alive_seconds,
    }
    prefix = str(Settings.model_config["env_prefix"])
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(prefix)}
    return others | {f"{prefix}{name}": str(value) for name, value in own.items()} | {"OMP_NUM_THREADS": "1"}


def stop(process: subprocess.Popen[Any]) -> None:
    """Tell a process to end, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(client: Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline, why = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            status = client.status()
        except RequestError:
            time.sleep(LOOK_SECONDS)
            continue
        if status["ready"]:
            return
        if not why:  # a busy machine is slow to start it; once it answers, it is soon ready
            deadline = time.monotonic() + READY_SECONDS
        why = str(status["reason"])
        time.sleep(LOOK_SECONDS)
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise StartError(
        f"the service of the simulation did not come up ({why or 'it never answered'}); its log ends with:\n{end}"
    )
