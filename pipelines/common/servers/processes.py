"""Servers of other tools, started beside each other and stopped as a whole. No Prefect.

Each runs in a process group of its own, so that it ends with all that it started, and writes
its output into a file of its own, whose last lines are shown when it dies.
"""

import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from flightline.adapters.ports import check_port
from flightline.core.errors import StartError

HOST = "127.0.0.1"
LOOK_SECONDS, ANSWER_SECONDS, STOP_SECONDS, SHOWN_LINES = 0.2, 5.0, 20.0, 15


@dataclass(frozen=True)
class Program:
    """A server to start.

    Parameters
    ----------
    name
        For people, and of its log file.
    port
        Of 127.0.0.1, where it is to listen; None if it does not.
    port_setting
        The environment variable that moves it.
    path
        What must be answered with a status below 400 before it counts as up.
    environment
        Variables besides those of this process.
    is_shown
        Whether its output goes to the terminal, not into a file.
    ends_its_own
        Whether it is stopped as by Ctrl-C, and ends what it started by itself, as Prefect's runner does.
    """

    name: str
    command: tuple[str, ...]
    port: int | None = None
    port_setting: str = ""
    path: str = "/"
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    is_shown: bool = False
    ends_its_own: bool = False

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class Running:
    """A program that was started."""

    program: Program
    process: subprocess.Popen
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether its process has not ended."""
        return self.process.poll() is None

    @property
    def is_up(self) -> bool:
        """Whether it is alive and, if it listens, answers."""
        return self.is_alive and (self.program.port is None or answers(self.program.url + self.program.path))

    def last_words(self) -> str:
        """Say how it ended, with the last lines of its log."""
        if self.program.is_shown:
            return f"{self.program.name} ended with exit code {self.process.returncode}; what it said stands above"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
        return f"{self.program.name} ended with exit code {self.process.returncode}; the end of {self.log}:\n{shown}"


def open_client(seconds: float) -> httpx.Client:
    """Open a client for servers of this machine: plain HTTP, never through a proxy, whatever the environment says."""
    # It trusts no certificate at all: loading those of the machine takes 50 ms, and `answers` is called often.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(timeout=seconds, trust_env=False, follow_redirects=True, verify=nobody)


def answers(url: str, seconds: float = ANSWER_SECONDS) -> bool:
    """Say whether a server of this machine answers an address without an error."""
    try:
        with open_client(seconds) as client:
            return not client.get(url).is_error
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


@contextmanager
def running(programs: Sequence[Program], logs: Path, seconds: float) -> Iterator[list[Running]]:
    """Start programs together, and stop each with all it started when the block ends, however it ends.

    Parameters
    ----------
    programs
        Whose ports must be free.
    logs
        Folder of their log files; made if it is not there.
    seconds
        For all of them to be up.

    Yields
    ------
    list
        One for each program, all up.

    Raises
    ------
    StartError
        If a port is taken, a program ends, or one is not up in time; then none is left.
    """
    for program in programs:
        if program.port is not None:
            check_port(program.name, HOST, program.port, program.port_setting)
    logs.mkdir(parents=True, exist_ok=True)
    started: list[Running] = []
    try:
        for program in programs:
            started.append(_start(program, logs))
        _wait_until_up(started, seconds)
        yield started
    finally:
        stop(started)


def stop(started: Sequence[Running]) -> None:
    """Stop programs, the last one first, and wait until their groups are empty."""
    for one in reversed(started):
        if one.program.ends_its_own and one.is_alive:
            one.process.send_signal(signal.SIGINT)
        else:
            _signal(one, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for one in reversed(started):
        while _is_group_alive(one) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        _signal(one, signal.SIGKILL)
        one.process.wait()


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """End the block on SIGTERM and the loss of the terminal as on Ctrl-C; a second one does not disturb the end."""

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(program: Program, logs: Path) -> Running:
    log = logs / f"{program.name.lower()}.log"
    with Path(os.devnull if program.is_shown else log).open("wb") as stream:
        process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            env={**os.environ, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=None if program.is_shown else stream,
            stderr=None if program.is_shown else subprocess.STDOUT,
            start_new_session=True,
        )
    return Running(program, process, log)


def _wait_until_up(started: Sequence[Running], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    waiting = list(started)
    while waiting:
        for one in started:
            if not one.is_alive:
                raise StartError(one.last_words())
        waiting = [one for one in waiting if not one.is_up]
        if waiting and time.monotonic() > deadline:
            names = ", ".join(f"{one.program.name} (log: {one.log})" for one in waiting)
            raise StartError(f"no answer within {seconds:.0f} s: {names}; FLIGHTLINE_PAGES__START_SECONDS gives more")
        time.sleep(LOOK_SECONDS)


def _signal(one: Running, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of it has ended
        os.killpg(one.process.pid, number)


def _is_group_alive(one: Running) -> bool:
    one.process.poll()  # a child that has ended but was not asked for still counts as one of its group
    try:
        os.killpg(one.process.pid, 0)
    except ProcessLookupError:
        return False
    return True
