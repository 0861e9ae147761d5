"""Runs commands of a copy as `make` would, and can stop all of them at once."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeAlias

from tests.proof.execution.forked import fork

TIMEOUT_SECONDS = 1200  # only what hangs: a machine that others share may take thrice as long
TIMED_OUT = 124
# A developer's own settings, and those of a git hook that calls us, must not reach the copies.
FOREIGN = ("FLIGHTLINE_", "MLFLOW_", "PREFECT_", "DVC_", "PYTEST_", "PYTHON", "GIT_DIR", "GIT_INDEX", "GIT_WORK_TREE")

Command = tuple[str, ...]
Process: TypeAlias = "subprocess.Popen[str] | ForkServerProcess"


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


def environment_of(root: Path, api_url: str, problem_package: str | None = None) -> dict[str, str]:
    """Give what the Makefile exports, for a copy, with the shared Prefect server, and the problem of a package.

    The state of Prefect's results stays the copy's own, or a copy would be given another's.
    """
    state = root / ".state"
    package = {} if problem_package is None else {"FLIGHTLINE_PROBLEM_PACKAGE": problem_package}
    return {
        **package,
        **clean_environment(),
        **read_tool_settings(root),
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": api_url,
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        "DVC_GLOBAL_CONFIG_DIR": str(state / "no_configuration"),
        "DVC_SYSTEM_CONFIG_DIR": str(state / "no_configuration"),
        "FLIGHTLINE_ROOT": str(root),
        # What .dvc/config names may be shared with others.
        "FLIGHTLINE_DVC_REMOTE_URL": str(root / ".dvcstore"),
        # The copy goes before the tree that this environment's editable install points at.
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
        "PYTHONUNBUFFERED": "1",
    }


class Processes:
    """Starts processes, each in a group of its own, and knows which ones run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Process] = set()
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
        """Run a command, ``-m module`` or ``-c code`` with arguments, to its end or to the timeout."""
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "output.txt"
            with self._lock:
                if self._is_stopping:
                    raise StoppedError
                process = fork(command, cwd, environment, file)
                self._running.add(process)
            process.join(timeout_seconds)
            is_late = process.is_alive()
            self.end(process)
            output = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            code = process.exitcode or 0
        if self._is_stopping:
            raise StoppedError
        if is_late:
            output, code = f"{output}\nstopped after {timeout_seconds} s", TIMED_OUT
        return Result(command, code, output, time.perf_counter() - start)

    def end(self, process: "Process") -> None:
        """Kill one process that this object started, and what is left of its children."""
        assert process.pid, "it was started"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own group
        process.kill()
        process.wait() if isinstance(process, subprocess.Popen) else process.join()
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """Kill every process that still runs, and start no other."""
        with self._lock:
            self._is_stopping = True
            running = list(self._running)
        for process in running:
            self.end(process)
