"""Reads infra/stack/compose.yaml and runs what it describes as processes of this machine, on free ports of loopback.

Command, environment and health check of each of the project's own services are those of the
compose file and of the image's Dockerfile; only what a container has to itself is mapped:
addresses to ports, paths to folders, volumes to links.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from flightline.core.settings import Settings
from flightline.problem import make_project
from pipelines.common.servers.processes import Program

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "infra" / "stack" / "compose.yaml"
DOCKERFILES = {"flightline-flows": "pipelines/Dockerfile", "flightline-service": "serving/Dockerfile"}
# Where compose says who listens: the name on the networks, and the port there.
PORTS = {"postgres": 5432, "redis": 6379, "artifacts": 8333, "mlflow": 5000, "prefect": 4200, "runner": 8080}
PORTS |= {"service": 8000, "prometheus": 9090, "gauges": 9100, "alertmanager": 9093}
INSIDE = "/srv/flightline"
PROJECT = make_project(Settings(root=REPOSITORY, problem_package="flightline.problem"))  # the clone's own, not the toy
STATUS = f"/v1/models/{PROJECT.problem.model_name}"
PREDICT = f"{STATUS}:predict"
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([?-])([^}]*))?\})")


class MissingVariableError(Exception):
    """A variable that the compose file asks for is not set."""


def interpolate(text: str, given: Mapping[str, str]) -> str:
    """Put variables into a text as compose does: ${NAME}, ${NAME:-default}, ${NAME:?what to do}, and $$ for $."""

    def put(found: re.Match[str]) -> str:
        dollar, name, sign, rest = found.groups()
        if dollar:
            return "$"
        if value := given.get(name):
            return value
        if sign == "?":
            raise MissingVariableError(f"{name}: {rest}")
        return rest or ""

    return _VARIABLE.sub(put, text)


def read_compose(given: Mapping[str, str], file: Path = COMPOSE) -> dict[str, Any]:
    """Read the compose file with its variables put in."""

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            return interpolate(part, given)
        if isinstance(part, list):
            return [walk(item) for item in part]
        return {name: walk(item) for name, item in part.items()} if isinstance(part, dict) else part

    return walk(yaml.safe_load(file.read_text(encoding="utf-8")))


def image_environment(dockerfile: Path) -> dict[str, str]:
    """Read the variables that the last stage of a Dockerfile sets; arguments of the build are empty."""
    last = re.split(r"^FROM ", dockerfile.read_text(encoding="utf-8").replace("\\\n", " "), flags=re.MULTILINE)[-1]
    lines = re.findall(r"^ENV (.+)$", last, re.MULTILINE)
    pairs = [word.split("=", 1) for line in lines for word in shlex.split(line)]
    return {name: re.sub(r"\$\{\w+\}", "", value) for name, value in pairs if name not in {"PATH", "PYTHONPATH"}}


@dataclass(frozen=True)
class Composed:
    """The stack's description, and where its parts are on this machine.

    Parameters
    ----------
    folder
        Of the tests: each service has a root in it, each volume a folder.
    ports
        By the names of PORTS.
    variables
        What stack.env would hold.
    """

    folder: Path
    ports: Mapping[str, int]
    variables: Mapping[str, str]

    @cached_property
    def services(self) -> dict[str, Any]:
        """Everything that compose would start, variables put in."""
        return read_compose(self.variables)["services"]

    def root(self, service: str) -> Path:
        """Give the folder that stands for the container's /srv/flightline, filled as its image is."""
        root = self.folder / service
        if not root.exists():
            fill_root(root)
            (root / "tmp").mkdir()
            for volume in self._described(service).get("volumes", []):
                source, target = volume.split(":")[:2]
                if target == f"{INSIDE}/.state":
                    (self.folder / "volumes" / source).mkdir(parents=True, exist_ok=True)
                    (root / ".state").symlink_to(self.folder / "volumes" / source)
        return root

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """Give the whole environment of a service's process: its image's, compose's, and what a test adds."""
        described = self._described(service)
        image = described["image"].split(":")[0]
        given = image_environment(REPOSITORY / DOCKERFILES[image]) | (described.get("environment") or {})
        mapped = {name: self._mapped(service, str(value)) for name, value in given.items()}
        base = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}",
            "NO_PROXY": "127.0.0.1",
            # No compiled code is written beside what other tests import.
            "PYTHONDONTWRITEBYTECODE": "1",
            # The image is built of one commit; this root is no repository.
            "FLIGHTLINE_COMMIT": "c0ffee",
            "FLIGHTLINE_PROBLEM_PACKAGE": PROJECT.settings.problem_package,
        }
        return {**mapped, **base, **self._own_port(service, mapped), **more}

    def command(self, service: str) -> list[str]:
        """Give the whole command of a service: entrypoint and command, or that of its image."""
        described = self._described(service)
        words = [*(described.get("entrypoint") or []), *(described.get("command") or ["python", "-m", "serving"])]
        return [self._mapped(service, word) for word in words]

    def program(self, service: str, **more: str) -> Program:
        """Describe a service's process for `pipelines.common.servers.processes.running`."""
        return Program(service, tuple(self.command(service)), folder=self.root(service),
                       environment=self.environment(service, **more))  # fmt: skip

    def run(self, service: str, *command: str, check: bool = True, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command with a service's environment, as `compose exec` does; without one, its own."""
        root = self.root(service)
        inside = root / ".state" / "work"
        done = subprocess.run(
            command or self.command(service),
            cwd=inside if command and inside.is_dir() else root,
            env=self.environment(service, **more),
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{service} {command}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done

    def is_healthy(self, service: str) -> bool:
        """Ask what compose asks."""
        test = self._described(service)["healthcheck"]["test"]
        assert test[0] == "CMD"
        command = [self._mapped(service, word) for word in test[1:]]
        done = subprocess.run(
            command,
            cwd=self.root(service),
            env=self.environment(service),
            capture_output=True,
            check=False,
            timeout=600,
        )
        return done.returncode == 0

    def _described(self, service: str) -> dict[str, Any]:
        return self.services[service]

    def _own_port(self, service: str, mapped: Mapping[str, str]) -> dict[str, str]:
        if service == "service":
            return {"FLIGHTLINE_SERVING__PORT": str(self.ports["service"])}
        return {"PREFECT_RUNNER_SERVER_PORT": str(self.ports["runner"])} if service == "worker" else {}

    def _mapped(self, service: str, text: str) -> str:
        """Map what is a container's own to this machine, in one pass, so that nothing is mapped twice."""
        root, parts = self.root(service), {}
        for name, port in PORTS.items():
            if text == str(port):
                return str(self.ports[name])
            parts |= {f"{host}:{port}": f"127.0.0.1:{self.ports[name]}" for host in (name, "127.0.0.1", "localhost")}
        parts |= {"0.0.0.0": "127.0.0.1", INSIDE: str(root), "/run/flightline": str(self.folder / "stack")}
        if text == "/tmp" or text.startswith("/tmp/"):
            return str(root) + text
        if text == "postgres":
            return "127.0.0.1"  # a host that stands alone
        pattern = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
        return re.sub(pattern, lambda found: parts[found.group()], text)


def fill_root(root: Path) -> None:
    """Copy what the image of the flows holds besides code; the service's holds feature_repo/ alone of it."""
    for name in ("feature_repo", "locks"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".dvc").mkdir()
    for name in ("data.dvc", ".dvcignore", ".dvc/config"):
        shutil.copy(REPOSITORY / name, root / name)
