"""A Spark cluster on this machine, to try things on: `make spark-up`, `make spark-down` (docs/scale.md).

python -m tools.spark_cluster up    starts a standalone master and two workers, all on 127.0.0.1
python -m tools.spark_cluster down  ends them, with the executors they started

pyspark brings no script that starts them, so its spark-class does. What runs is noted in .state/spark/cluster.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil

from flightline.adapters.engines.spark import check_java, check_packages
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.ports import check_port, free_port
from flightline.core.environment import read_settings
from flightline.core.errors import FlightlineError, StartError
from flightline.core.settings import Settings

HOST, WORKERS = "127.0.0.1", 2
WAIT_SECONDS, STOP_SECONDS, LOOK_SECONDS, SHOWN_LINES = 120.0, 20.0, 0.2, 10
_DEPLOY = "org.apache.spark.deploy"
_FREE = ("--port", "0", "--webui-port", "0")
# On loopback alone; a taken port is an error, not the next one; jobs come by the master's own port only.
_ENVIRONMENT = {
    "SPARK_LOCAL_IP": HOST,
    "SPARK_DAEMON_MEMORY": "512m",
    "SPARK_DAEMON_JAVA_OPTS": "-Dspark.master.rest.enabled=false",
    "SPARK_MASTER_OPTS": "-Dspark.port.maxRetries=0",
}


@dataclass
class Cluster:
    """A master and its workers, and the folder of what they write.

    Parameters
    ----------
    folder
        Of logs, of what workers and executors write, and of the note; all of it goes with the cluster.
    master
        For FLIGHTLINE_SPARK__MASTER.
    page
        The master's, for people; with /json/, for programs.
    processes
        What was started.
    arguments
        With which: by these and its id a process is known again, for ids come again.
    """

    folder: Path
    master: str
    page: str
    processes: dict[str, psutil.Process] = field(default_factory=dict)
    arguments: dict[str, list[str]] = field(default_factory=dict)

    @property
    def note(self) -> Path:
        """The file by which it is found again."""
        return self.folder / "cluster.json"

    def keep(self) -> None:
        """Note what runs."""
        started = {name: [process.pid, self.arguments[name]] for name, process in self.processes.items()}
        said = {"master": self.master, "page": self.page, "processes": started}
        atomic_write_text(self.note, json.dumps(said) + "\n")

    def log(self, name: str) -> Path:
        """Say where a process writes."""
        return self.folder / f"{name}.log"

    def start(self, name: str, *arguments: str) -> None:
        """Start a program of Spark's, in a session of its own, so that Ctrl-C here is not one there."""
        program = Path(os.environ.get("SPARK_HOME") or str(files("pyspark"))) / "bin" / "spark-class"
        if not program.is_file():
            raise StartError(f"there is no {program}: correct or unset SPARK_HOME")
        own = {"SPARK_LOCAL_DIRS": str(self.folder / "local"), **_ENVIRONMENT}
        with self.log(name).open("wb") as stream:
            process = psutil.Popen(
                [str(program), *arguments], env={**os.environ, **own}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.processes[name], self.arguments[name] = process, list(arguments)
        self.keep()

    def wait(self, condition: Callable[[dict[str, Any]], bool], expected: str) -> None:
        """Wait until the master says that something holds.

        Raises
        ------
        StartError
            If a process ends before, or it takes too long.
        """
        end = time.monotonic() + WAIT_SECONDS
        while not ((state := state_of(self.page)) and condition(state)):
            for name, process in self.processes.items():
                if not is_at_work(process):
                    raise StartError(f"Spark's {name} ended; its last lines:\n{self._last_lines(name)}")
            if time.monotonic() > end:
                raise StartError(f"Spark's {expected} not up within {WAIT_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def _last_lines(self, name: str) -> str:
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        return "\n".join(f"    {line}" for line in lines)

    def end(self) -> None:
        """End each process and its children, the workers first, and remove what they wrote."""
        for process in reversed(self.processes.values()):
            family = [process, *_children(process)]
            for signal in (psutil.Process.terminate, psutil.Process.kill):
                _send(signal, family)
        shutil.rmtree(self.folder)


def is_at_work(process: psutil.Process) -> bool:
    """Say whether a process has not ended, even if nobody has asked for its exit code."""
    if isinstance(process, psutil.Popen):
        return process.poll() is None
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def state_of(page: str) -> dict[str, Any] | None:
    """Give what a master says of its workers and applications; None if it does not answer."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{page}/json/", timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def living_workers(state: dict[str, Any]) -> int:
    """Count the workers that the master counts on."""
    return sum(worker["state"] == "ALIVE" for worker in state["workers"])


def find_cluster(settings: Settings) -> Cluster | None:
    """Find what `up` noted; of its processes, those that are at work."""
    folder = settings.state_dir / "spark" / "cluster"
    try:
        noted = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    cluster = Cluster(folder, noted["master"], noted["page"])
    for name, (pid, arguments) in noted["processes"].items():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            if process.cmdline()[-len(arguments) :] == arguments and is_at_work(process):
                cluster.processes[name], cluster.arguments[name] = process, arguments
    return cluster


def up(settings: Settings) -> Cluster:
    """Start the cluster, and wait until its master counts on both workers.

    Raises
    ------
    EngineError
        If pyspark or Java is missing.
    StartError
        If it runs already, a port is taken, or a process does not come up; then none is left.
    """
    check_packages()
    check_java()
    if (found := find_cluster(settings)) is not None:
        if found.processes:
            raise StartError(f"a Spark cluster runs already, at {found.master}: `make spark-down` ends it")
        found.end()
    port, page_port = _master_port(settings), free_port()
    folder = settings.state_dir / "spark" / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, f"spark://{HOST}:{port}", f"http://{HOST}:{page_port}")
    with _all_or_none(cluster):
        ports = ("--port", str(port), "--webui-port", str(page_port))
        cluster.start("master", f"{_DEPLOY}.master.Master", "--host", HOST, *ports)
        cluster.wait(lambda state: True, "master is")
        cores = ("--cores", str(max(1, settings.threads // WORKERS)))
        for number in range(1, WORKERS + 1):
            place = ("--work-dir", str(folder / f"worker-{number}"))
            command = (f"{_DEPLOY}.worker.Worker", "--host", HOST, *_FREE, *cores, *place, cluster.master)
            cluster.start(f"worker-{number}", *command)
        cluster.wait(lambda state: living_workers(state) == WORKERS, f"{WORKERS} workers are")
    return cluster


def down(settings: Settings) -> str:
    """End what `up` started, if it runs, and say what was done."""
    if (found := find_cluster(settings)) is None:
        return "no Spark cluster of this clone runs"
    state = state_of(found.page) or {}
    found.end()
    waiting = "".join(
        f"\n{application['name']} was at work there and now waits for it: end that, too (Ctrl-C)"
        for application in state.get("activeapps", [])
    )
    return f"Spark at {found.master} is ended{waiting}"


def _master_port(settings: Settings) -> int:
    """Take the port that FLIGHTLINE_SPARK__MASTER names on this machine, or a free one."""
    if (named := re.fullmatch(rf"spark://{HOST}:(\d+)", settings.spark.master)) is None:
        return free_port()
    check_port("Spark's master", HOST, int(named[1]), "FLIGHTLINE_SPARK__MASTER")
    return int(named[1])


@contextmanager
def _all_or_none(cluster: Cluster) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C, too
        cluster.end()
        raise


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _send(signal: Callable[[psutil.Process], None], family: list[psutil.Process]) -> None:
    """Send a signal to those at work, and give them time to end."""
    for process in family:
        if is_at_work(process):
            with suppress(psutil.NoSuchProcess):
                signal(process)
    end = time.monotonic() + STOP_SECONDS
    while any(map(is_at_work, family)) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and start or end the cluster."""
    outlive_reader()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    command = parser.parse_args(arguments).command
    try:
        settings = read_settings()
        if command == "up":
            cluster = up(settings)
            print(f"Spark is up, with {WORKERS} workers: {cluster.page} (make spark-down ends it). Next:")
            print(f"FLIGHTLINE_ENGINE=spark FLIGHTLINE_SPARK__MASTER={cluster.master} make train")
        else:
            print(down(settings))
    except FlightlineError as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
