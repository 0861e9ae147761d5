"""Containers of the tests' own, run as hardened as the docs say, and volumes with what a service needs."""

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.middleware.api_keys import digest_of
from tests.support.servers.service_process import Service, free_port
from tests.support.waiting import wait_until
from tools.images.docker import Docker

KEY = "fl_of-the-tests"
STATE = "/srv/flightline/.state"
# What docs/operations.md tells to run with.
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--pids-limit", "200", "--memory", "1g"),
)
KEYS = ("--env", f'FLIGHTLINE_SERVING__API_KEYS={{"tests": "{digest_of(KEY)}"}}')
# The toy problem, which no image holds.
_TESTS = Path(__file__).parents[1]
TOY = ("--env", "FLIGHTLINE_PROBLEM_PACKAGE=tests.toy_problem")
for _name in ("__init__.py", "toy_problem.py"):
    TOY += ("--volume", f"{_TESTS / _name}:/srv/flightline/tests/{_name}:ro")


@dataclass
class Container:
    """A container that was started, and how to ask the service in it."""

    docker: Docker
    name: str
    service: Service

    def inspect(self, what: str) -> str:
        """Give one field, as `docker inspect --format` names it."""
        return self.docker.run("inspect", "--format", what, self.name).stdout.strip()

    def logs(self) -> str:
        done = self.docker.run("logs", self.name)
        return done.stdout + done.stderr

    def execute(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside."""
        return self.docker.run("exec", self.name, *command, check=False)

    def wait_until_ready(self) -> None:
        """Wait until predictions can be had."""
        wait_until(lambda: self.service.ask("/health/ready").status == 200, said=self.logs)


@contextmanager
def container(
    docker: Docker,
    image: str,
    *options: str,
    command: Sequence[str] = (),
    hardening: Sequence[str] = HARDENED,
    inner_port: int = 8000,
) -> Iterator[Container]:
    """Run a container until the block ends."""
    name, port = f"tests-{uuid.uuid4().hex[:12]}", free_port()
    publish = ("--publish", f"127.0.0.1:{port}:{inner_port}")
    docker.run("run", "--detach", "--name", name, *hardening, *TOY, *publish, *options, image, *command)
    try:
        yield Container(docker, name, Service(port, None, None, KEY))
    finally:
        docker.run("rm", "--force", "--volumes", name, check=False)


@contextmanager
def volume(docker: Docker, image: str, root: Path, *names: str) -> Iterator[str]:
    """Make a volume that holds parts of a root's .state, as the user of the image writes it."""
    made = docker.run("volume", "create").stdout.strip()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            archive.add(root / ".state" / name, arcname=name)
    command = [docker.client, "run", "--rm", "--interactive", "--volume", f"{made}:{STATE}", image]
    try:
        subprocess.run(
            [*command, "tar", "--extract", "--directory", STATE],
            input=packed.getvalue(),
            env=docker.full_environment,
            check=True,
        )
        yield made
    finally:
        docker.run("volume", "rm", "--force", made, check=False)


@contextmanager
def network(docker: Docker) -> Iterator[str]:
    """Make a network until the block ends."""
    name = f"tests-{uuid.uuid4().hex[:12]}"
    docker.run("network", "create", name)
    try:
        yield name
    finally:
        docker.run("network", "rm", name, check=False)
