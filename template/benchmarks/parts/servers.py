"""Starts servers for a benchmark, and environments for those that are not this project's."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 120
ROOT = Path(__file__).parents[3]


@dataclass
class Server:
    """A server that runs."""

    url: str
    process: subprocess.Popen
    seconds: float

    def megabytes(self) -> float:
        """Give the resident memory of the largest process of its group."""
        said = subprocess.run(
            ["ps", "-o", "rss=", "-g", str(os.getpgid(self.process.pid))], capture_output=True, text=True, check=False
        )
        own = [int(line) for line in said.stdout.split()] or [0]
        return max(own) / 1024

    def processor_seconds(self) -> float:
        """Give the processor time that it and all that it started have used, those that have ended since among them."""
        own = psutil.Process(self.process.pid)
        used = 0.0
        for process in (own, *own.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system + times.children_user + times.children_system
        return used


def environment(folder: Path, *packages: str) -> Path:
    """Make a virtual environment with packages, in the versions that this one has if it does; give its Python."""
    from importlib.metadata import PackageNotFoundError, version

    python = folder / "bin" / "python"
    if not python.exists():
        uv = os.environ.get("UV", "uv")
        print(f"making an environment with {', '.join(packages)}", flush=True)
        wanted = []
        for name in packages:
            try:
                wanted.append(f"{name}=={version(name)}")
            except PackageNotFoundError:
                wanted.append(name)
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder.resolve())], check=True
        )
        compiled = os.environ | {"UV_COMPILE_BYTECODE": "1", "VIRTUAL_ENV": str(folder.resolve())}
        subprocess.run([uv, "pip", "install", "--quiet", *wanted], check=True, env=compiled)
    return python


@contextmanager
def started(
    command: Sequence[str], variables: Mapping[str, str], port_variable: str | None, health: str
) -> Iterator[Server]:
    """Run a server in a process group of its own until the block ends; yields when `health` answers 200."""
    port = str(_free_port())
    environ = os.environ | {"OMP_NUM_THREADS": "1"} | dict(variables)
    if port_variable:
        environ[port_variable] = port
    begun = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere:
        process = subprocess.Popen(
            [part.replace("{port}", port) for part in command],
            cwd=ROOT, env=environ, stdout=nowhere, stderr=nowhere, start_new_session=True,
        )  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", process, 0.0)
    try:
        _wait(server, health)
        server.seconds = time.perf_counter() - begun
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(server: Server, health: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(server.url + health, timeout=5):
            return
        time.sleep(0.05)
    raise SystemExit(f"{' '.join(map(str, server.process.args))} did not start within {START_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
