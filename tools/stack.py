"""Starts and stops the stack by compose: `make stack-up`, `make stack-down`.

python -m tools.stack up            writes .state/stack.env if it is not there, builds missing images, starts everything
python -m tools.stack down          stops everything; --volumes removes what it keeps, too
python -m tools.stack do ARGUMENTS  any other command of compose: ps, logs service, exec worker ...
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flightline.settings import Settings
from tools.base_image import ensure_base
from tools.docker import Docker, DockerError, docker_ready
from tools.image import FLOWS, ROOT, SERVICE, build
from tools.stack_secrets import FILE, ensure_secrets, read_environment

COMPOSE = ROOT / "infra" / "stack" / "compose.yaml"
PROJECT = "flightline"
WAIT_SECONDS = 300
PAGES = {
    "service": ("STACK_SERVICE_PORT", "8000", "/docs"),
    "MLflow": ("STACK_MLFLOW_PORT", "5000", "/"),
    "Prefect": ("STACK_PREFECT_PORT", "4200", "/"),
    "Prometheus": ("STACK_PROMETHEUS_PORT", "9090", "/targets"),
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

    @property
    def can_wait(self) -> bool:
        """Whether it can wait until all containers are healthy."""
        return len(self.program) > 1

    def command(self, *arguments: str) -> list[str]:
        """Give the whole command line."""
        named = [part for file in self.files for part in ("--file", str(file))]
        return (
            [*self.program, "--project-name", self.project, "--env-file", str(self.environment_file)]
            + named
            + [*arguments]
        )

    def run(self, *arguments: str) -> int:
        """Run a command before the eyes of who asked for it; give its exit code."""
        return subprocess.run(self.command(*arguments), env=self.docker.full_environment, check=False).returncode


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
        raise DockerError(
            "compose is not installed (Docker's package docker-compose-plugin, or Debian's docker-compose)"
        )
    return (older,)


def ensure_images(docker: Docker) -> None:
    """Build the project's images that are not there."""
    for image in (SERVICE, FLOWS):
        if docker.run("image", "inspect", image.name, check=False).returncode:
            print(f"stack: building {image.name}, which is not there yet", flush=True)
            ensure_base(docker)
            build(docker, image)


def start(compose: Compose, services: Sequence[str] = ()) -> int:
    """Start the stack, or some services of it with what they depend on, and say where its pages are."""
    waiting = ["--wait", "--wait-timeout", str(WAIT_SECONDS)] if compose.can_wait else []
    code = compose.run("up", "--detach", "--remove-orphans", *waiting, *services)
    if code:
        print(
            "stack: not all of it came up; `make stack DO=ps` and `make stack DO='logs NAME'` say more", file=sys.stderr
        )
        return code
    given = {**read_environment(compose.environment_file), **os.environ}
    for name, (variable, port, path) in PAGES.items():
        print(f"  {name:10} http://127.0.0.1:{given.get(variable, port)}{path}")
    print(
        f"passwords: {compose.environment_file} (users: admin); API key: {compose.environment_file.parent}/stack/api_key"
    )
    print('first training: make stack DO="exec worker python -m pipelines.trigger --flow training"')
    return 0


def _do(options: argparse.Namespace, state_dir: Path) -> int:
    environment_file = state_dir / FILE
    if options.what == "up":
        for name in ensure_secrets(state_dir):
            print(f"stack: made {name}")
    elif not environment_file.is_file():
        raise DockerError(f"{environment_file} is missing: there is no stack yet; `make stack-up` makes and starts it")
    with docker_ready(state_dir) as docker:
        compose = Compose(docker, find_compose(docker), environment_file)
        if options.what == "up":
            ensure_images(docker)
            return start(compose)
        if options.what == "down":
            return compose.run("down", "--remove-orphans", *(["--volumes"] if options.volumes else []))
        return compose.run(*options.arguments)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="The stack of infra/stack/compose.yaml.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("up", help="start everything")
    commands.add_parser("down", help="stop everything").add_argument("--volumes", action="store_true")
    commands.add_parser("do", help="a command of compose").add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        return _do(options, Settings(root=ROOT).state_dir)
    except DockerError as err:
        print(f"stack: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
