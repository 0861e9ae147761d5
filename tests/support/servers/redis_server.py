"""A real Redis of the tests' own, on a free port of this machine, with a password, keeping nothing on disk.

`redis_server` is a fixture for every test. Where Redis is not installed the tests that ask for it
are skipped by name, but under CI=true they fail.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

PASSWORD = "s3cret-of-the-tests"
_INSTALL = "Redis is not installed (Debian: apt-get install redis-server)"
_PATIENCE_SECONDS = 120


class RedisServer:
    """A server in a folder; may be stopped and started again on its port, empty unless it keeps its values."""

    def __init__(self, program: str, folder: Path, *, keeps: bool = False) -> None:
        self.folder, self.port, self._program, self._keeps = folder, _free_port(), program, keeps
        self._process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """Host and port, as Feast wants them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.address}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "save": ""}
        options |= {"appendonly": "yes" if self._keeps else "no", "dir": str(self.folder)}
        command = [self._program, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        process, written = self._process, self.folder / "log"
        wait_until(lambda: process.poll() is not None or self._answers(), said=written.read_text)
        assert process.poll() is None, f"Redis did not start: {written.read_text()[-2000:]}"

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_SECONDS):
            return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_PATIENCE_SECONDS)
        self._process = None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def run_redis(folder: Path, *, keeps: bool = False) -> Iterator[RedisServer]:
    """Run a server of its own until the block ends."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(_INSTALL)
    server = RedisServer(program, folder, keeps=keeps)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server until the tests are over; leave it running."""
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
