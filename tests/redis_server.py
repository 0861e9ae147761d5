"""A real Redis of the tests' own, on a free port of this machine, with a password, keeping nothing on disk.

`redis_server` is a fixture for every test. Where Redis is not installed the tests that ask for it
are skipped by name, but under CI=true they fail.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

PASSWORD = "s3cret-of-the-tests"
_INSTALL = "Redis is not installed (Debian: apt-get install redis-server)"
_START_SECONDS = 20


@dataclass(frozen=True)
class RedisServer:
    """Where it listens."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.address}/0"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server until the tests are over."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(_INSTALL)
    server = RedisServer(_free_port())
    folder = tmp_path_factory.mktemp("redis")
    options = {"port": server.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "appendonly": "no", "save": ""}
    command = [program, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(server: RedisServer, process: subprocess.Popen, log) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"Redis did not start: {log.read_text()[-2000:]}")
