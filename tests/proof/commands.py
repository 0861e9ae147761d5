"""Runs commands of a copy as `make` would, and can stop all of them at once."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 300
TIMED_OUT = 124
# A developer's own settings, and those of a git hook that calls us, must not reach the copies.
FOREIGN = ("FLIGHTLINE_", "MLFLOW_", "PREFECT_", "DVC_", "PYTEST_", "PYTHON", "GIT_DIR", "GIT_INDEX", "GIT_WORK_TREE")

Command = tuple[str, ...]


class StoppedError(Exception):
    """The proof was stopped; no further command is started."""


@dataclass(frozen=True)
class Result:
    """How a command ended; `output` is what it printed, errors included."""

    command: Command
    exit_code: int
    output: str
    seconds: float


def read_tool_settings(root: Path) -> dict[str, str]:
    """Read tools.env, as the Makefile does."""
    lines = (root / "tools.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def clean_environment() -> dict[str, str]:
    """Give this process's environment without what would lead elsewhere than to a copy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    local = ",".join(filter(None, [kept.get("NO_PROXY"), "127.0.0.1,localhost"]))
    return {**kept, "NO_PROXY": local, "no_proxy": local, "OMP_NUM_THREADS": "1"}


def environment_of(root: Path, api_url: str) -> dict[str, str]:
    """Give what the Makefile exports, for a copy, with the shared Prefect server.

    The state of Prefect's results stays the copy's own, or a copy would be given another's.
    """
    state = root / ".state"
    return {
        **clean_environment(),
        **read_tool_settings(root),
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": api_url,
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        "DVC_GLOBAL_CONFIG_DIR": str(state / "no_configuration"),
        "DVC_SYSTEM_CONFIG_DIR": str(state / "no_configuration"),
        "FLIGHTLINE_ROOT": str(root),
        # The copy goes before the tree that this environment's editable install points at.
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
        "PYTHONUNBUFFERED": "1",
    }


class Processes:
    """Starts processes, each in a group of its own, and knows which ones run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_stopping = False

    def start(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], output: int
    ) -> "subprocess.Popen[str]":
        """Start this Python with arguments; `output` is a file descriptor or subprocess.PIPE.

        Raises
        ------
        StoppedError
            If `stop` was called.
        """
        with self._lock:
            if self._is_stopping:
                raise StoppedError
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def run(
        self, command: Command, cwd: Path, environment: Mapping[str, str], timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Result:
        """Run this Python with arguments to its end, or to the timeout."""
        start = time.perf_counter()
        process = self.start(command, cwd, environment, subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=timeout_seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            self.end(process)
            output, _ = process.communicate()
            output, code = f"{output}\nstopped after {timeout_seconds} s", TIMED_OUT
        with self._lock:
            self._running.discard(process)
            if self._is_stopping:
                raise StoppedError
        return Result(command, code, output, time.perf_counter() - start)

    def end(self, process: "subprocess.Popen[str]") -> None:
        """Kill one process that this object started, with its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own group
        process.wait()
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """Kill every process that still runs, and start no other."""
        with self._lock:
            self._is_stopping = True
            running = list(self._running)
        for process in running:
            self.end(process)
