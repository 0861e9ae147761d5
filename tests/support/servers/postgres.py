"""A real PostgreSQL of the tests' own: a private cluster on a free port of this machine.

`postgres_server` is a fixture for every test. Where PostgreSQL is not installed the tests that
ask for it are skipped by name, but under CI=true they fail.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from tests.support.waiting import wait_until

PASSWORD = "s3cret-of-the-tests"
_INSTALL = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
_STOP_SECONDS = 120


class PostgresServer:
    """A cluster in a folder; may be stopped, killed and started again on its port."""

    def __init__(self, binaries: Path, folder: Path, fsync: str) -> None:
        self.binaries, self.folder, self.fsync, self.port = binaries, folder, fsync, _free_port()
        # PostgreSQL refuses to run as root.
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen | None = None

    def init(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._as:
            for path in (self.folder, password):
                shutil.chown(path, "postgres", "postgres")
        command = [self.binaries / "initdb", "-D", self.folder / "data", "-U", "tester", "--auth=scram-sha-256"]
        command += [f"--pwfile={password}", "--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **self._as)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": self.fsync,
        }
        command = [self.binaries / "postgres", "-D", self.folder / "data"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._as)
        process, log = self._process, self.folder / "log"
        wait_until(lambda: process.poll() is not None or self._answers(), said=log.read_text)
        assert process.poll() is None, f"PostgreSQL did not start: {log.read_text()[-2000:]}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=60).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT in order, SIGQUIT at once, so that the next start has to recover."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=_STOP_SECONDS)
        self._process = None

    def destroy(self) -> None:
        """End it at once and remove all that it kept; `init` and `start` make it anew, empty."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder / "data")

    def url(self, database: str) -> str:
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def find_postgres() -> Path | None:
    """Find the folder of initdb and postgres, or None if this machine cannot run them."""
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return None
    # Debian keeps them off the PATH; a link on it does not find the other files.
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [Path(found) for found in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def go_without(environment: Mapping[str, str]) -> NoReturn:
    """Skip the test that needs PostgreSQL; in CI nobody would see that, so there it fails."""
    if environment.get("CI") == "true":
        pytest.fail(_INSTALL)
    pytest.skip(_INSTALL)


def run_postgres(fsync: str = "off") -> Iterator[PostgresServer]:
    """Start a cluster, give it, end it and remove it; without fsync it survives all but a power cut."""
    binaries = find_postgres()
    assert binaries is not None, _INSTALL
    # Not below pytest's own folder, which the user postgres may not enter.
    folder = Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
    server = PostgresServer(binaries, folder, fsync)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; ask it for a database with `new_database()`, and leave it running."""
    if find_postgres() is None:
        go_without(os.environ)
    yield from run_postgres()
