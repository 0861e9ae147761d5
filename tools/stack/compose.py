"""Starts and stops the stack by compose: `make stack-up`, `make stack-down`.

python -m tools.stack.compose up    writes .state/stack.env if it is missing, builds missing images, starts everything
python -m tools.stack.compose down  stops everything; --volumes removes what it keeps, too
python -m tools.stack.compose do ...  any other command of compose: ps, logs service, exec worker ...
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.ports import check_port
from flightline.core.errors import StartError
from flightline.core.settings import Settings
from tools.images.build import FLOWS, ROOT, SERVICE, build, ensure_base
from tools.images.docker import Docker, DockerError, find_client
from tools.stack.secrets import ALERTS_URL, FILE, ensure_secrets, read_environment

COMPOSE = ROOT / "infra" / "stack" / "compose.yaml"
PROJECT = "flightline"
WAIT_SECONDS = 300
_STATE = (
    "{{.Name}}|{{.State.Status}}|{{.State.ExitCode}}|{{.HostConfig.RestartPolicy.Name}}|"
    "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"
)
PAGES = {
    "service": ("STACK_SERVICE_PORT", "8000", "/docs"),
    "MLflow": ("STACK_MLFLOW_PORT", "5000", "/"),
    "Prefect": ("STACK_PREFECT_PORT", "4200", "/"),
    "Prometheus": ("STACK_PROMETHEUS_PORT", "9090", "/targets"),
    "Alertmanager": ("STACK_ALERTMANAGER_PORT", "9093", "/"),
    "Grafana": ("STACK_GRAFANA_PORT", "3000", "/"),
}


@dataclass(frozen=True)
class Compose:
    """Docker's compose, whichever this machine has, with the stack's file and passwords.

    Parameters
    ----------
    program
        ``docker compose``, or ``docker-compose``, which is older.
    environment_file
        With the passwords.
    project
        Prefix of the names of containers, networks and volumes.
    files
        The stack's own, and what is laid over it.
    """

    docker: Docker
    program: tuple[str, ...]
    environment_file: Path
    project: str = PROJECT
    files: tuple[Path, ...] = (COMPOSE,)

    def command(self, *arguments: str) -> list[str]:
        """Give the whole command line."""
        named = [part for file in self.files for part in ("--file", str(file))]
        options = ("--project-name", self.project, "--env-file", str(self.environment_file))
        return [*self.program, *options, *named, *arguments]

    @property
    def is_running(self) -> bool:
        """Whether a container of it runs."""
        listed = subprocess.run(
            self.command("ps", "--quiet"), env=self.docker.full_environment, capture_output=True, text=True, check=False
        )
        return bool(listed.stdout.strip())

    def run(self, *arguments: str) -> int:
        """Run a command before the eyes of who asked for it; give its exit code."""
        return subprocess.run(self.command(*arguments), env=self.docker.full_environment, check=False).returncode


def find_docker() -> Docker:
    """Find the Docker that runs; the stack outlives this command, so none is started for it.

    Raises
    ------
    DockerError
        If none answers.
    """
    client = find_client()
    if client is None or not Docker(client).answers():
        raise DockerError("no Docker daemon answers: install Docker if it is not there, and start it")
    return Docker(client)


def find_compose(docker: Docker) -> tuple[str, ...]:
    """Find Docker's compose on this machine.

    Raises
    ------
    DockerError
        If it has none.
    """
    if docker.run("compose", "version", check=False).returncode == 0:
        return (docker.client, "compose")
    older = shutil.which("docker-compose")
    if older is None:
        raise DockerError("compose is not installed (docker-compose-plugin of Docker, or docker-compose of Debian)")
    return (older,)


def ensure_images(docker: Docker) -> None:
    """Build the project's images that are not there."""
    for image in (SERVICE, FLOWS):
        if docker.run("image", "inspect", image.name, check=False).returncode:
            print(f"stack: building {image.name}, which is not there yet", flush=True)
            ensure_base(docker)
            build(docker, image)


def not_ready(compose: Compose) -> dict[str, str]:
    """Give the containers that are not yet healthy or, if they run once, ended well, with what they are instead.

    Raises
    ------
    DockerError
        If one that runs once has failed.
    """
    docker = compose.docker
    command = compose.command("ps", "--all", "--quiet")
    listed = subprocess.run(command, env=docker.full_environment, capture_output=True, text=True, check=True)
    found = {}
    for line in docker.run("inspect", "--format", _STATE, *listed.stdout.split()).stdout.splitlines():
        name, status, code, policy, health = line.split("|")
        runs_once = policy == "no"
        if runs_once and status == "exited" and code != "0":
            raise DockerError(f"{name.strip('/')} ended with {code}; make stack DO='logs NAME' shows what it said")
        is_right = status == "exited" if runs_once else health in {"healthy", "none"} and status == "running"
        if not is_right:
            found[name.strip("/")] = f"{status}, {health}"
    return found


def check_ports(environment_file: Path) -> None:
    """Demand, before images are built, that nobody else listens where the stack's pages will be.

    Raises
    ------
    StartError
        Naming the variable of .state/stack.env that chooses another port.
    """
    given = {**read_environment(environment_file), **os.environ}
    for name, (variable, port, _) in PAGES.items():
        check_port(name, "127.0.0.1", int(given.get(variable, port)), variable)


def start(compose: Compose, *options: str) -> None:
    """Start the stack and wait until all of it is up.

    Raises
    ------
    DockerError
        If a part does not come up in time.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    if compose.run("up", "--detach", "--remove-orphans", *options):
        raise DockerError("not all of it could be started; make stack DO=ps, and DO='logs NAME', say more")
    while left := not_ready(compose):
        if time.monotonic() > deadline:
            raise DockerError(f"not up within {WAIT_SECONDS} s: {left}; make stack DO='logs NAME' shows what one says")
        time.sleep(1)


def show(compose: Compose) -> None:
    """Say where its pages are, and what to do first."""
    given = {**read_environment(compose.environment_file), **os.environ}
    for name, (variable, port, path) in PAGES.items():
        print(f"  {name:12} http://127.0.0.1:{given.get(variable, port)}{path}")
    print(f"passwords: {compose.environment_file}, user admin")
    print(f"API key: {compose.environment_file.parent}/stack/api_key")
    if not given.get(ALERTS_URL):
        print(
            f"NOBODY IS TOLD OF ALERTS: write {ALERTS_URL}=https://... into {compose.environment_file}, and start again"
        )
    print('first training: make stack DO="exec worker python -m pipelines.orchestration.trigger --flow training"')


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="The stack of infra/stack/compose.yaml.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("up", help="start everything")
    commands.add_parser("down", help="stop everything").add_argument("--volumes", action="store_true")
    commands.add_parser("do", help="a command of compose").add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def obey(options: argparse.Namespace, state_dir: Path) -> int:
    """Do what the command line says; give the exit code.

    Parameters
    ----------
    state_dir
        Where the passwords are, or go.

    Raises
    ------
    DockerError
        If there is no stack yet, no Docker, or a part of it does not start.
    StartError
        If a port is taken.
    """
    environment_file = state_dir / FILE
    if options.what == "up":
        for name in ensure_secrets(state_dir):
            print(f"stack: made {name}")
    elif not environment_file.is_file():
        raise DockerError(f"{environment_file} is missing: there is no stack yet; `make stack-up` makes and starts it")
    docker = find_docker()
    compose = Compose(docker, find_compose(docker), environment_file)
    if options.what == "up":
        if not compose.is_running:
            check_ports(environment_file)
        ensure_images(docker)
        start(compose)
        show(compose)
        return 0
    if options.what == "down":
        return compose.run("down", "--remove-orphans", *(["--volumes"] if options.volumes else []))
    return compose.run(*options.arguments)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do it."""
    try:
        return obey(parse(arguments), Settings(root=ROOT).state_dir)
    except (DockerError, StartError, ValueError) as err:
        print(f"stack: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
