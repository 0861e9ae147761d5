"""Containers of a task as its definition says, on Docker in place of Fargate."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3

from tools.docker import Docker, DockerError

AUTHORITY = "/stand-in/authority.pem"


@dataclass
class Place:
    """Where tasks run.

    Parameters
    ----------
    docker
        The daemon.
    network
        Its network, whose gateway is this machine.
    environment
        What every container gets beside its own: the emulator's address and keys.
    hosts
        By name that tasks know, the address it leads to.
    authority
        File of the certificate authority that containers trust.
    """

    docker: Docker
    network: str
    environment: Mapping[str, str]
    hosts: dict[str, str] = field(default_factory=dict)
    authority: str = ""


@dataclass
class RunningTask:
    """Containers of one task, the first of which has the address."""

    place: Place
    definition: dict[str, Any]
    names: list[str]
    volumes: list[str]
    address: str

    def inspect(self, what: str) -> str:
        """Give one field of the first container, as `docker inspect --format` names it."""
        return self.place.docker.run("inspect", "--format", what, self.names[0], check=False).stdout.strip()

    def logs(self) -> list[str]:
        """Give what the first container printed, errors last."""
        done = self.place.docker.run("logs", self.names[0], check=False)
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]

    def wait_until_healthy(self, seconds: float) -> str:
        """Wait until its health check passes; give why it does not, or nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.inspect("{{.State.Running}}") != "true":
                tail = " | ".join(self.logs()[-5:])
                return f"essential container exited with {self.inspect('{{.State.ExitCode}}')}: {tail}"
            if self._is_healthy():
                return ""
            time.sleep(0.5)
        return "failed its health checks: " + " | ".join(self.logs()[-5:])

    def _is_healthy(self) -> bool:
        first = self.definition["containerDefinitions"][0]
        if check := first.get("healthCheck"):
            return self.place.docker.run("exec", self.names[0], *check["command"][1:], check=False).returncode == 0
        if not first.get("portMappings"):
            return True
        try:
            # What the target groups ask for.
            with urllib.request.urlopen(f"http://{self.address}:8000/health/live", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def wait_for_end(self) -> tuple[int, list[str]]:
        """Wait until it has ended; give the exit code and what it printed."""
        code = int(self.place.docker.run("wait", self.names[0], timeout_seconds=1800).stdout)
        return code, self.logs()

    def stop(self) -> None:
        """End it as ECS does, with time to finish, and remove it."""
        docker = self.place.docker
        for name in reversed(self.names):
            docker.run("stop", "--time", "20", name, check=False)
        for name in reversed(self.names):
            docker.run("rm", "--force", "--volumes", name, check=False)
        for name in self.volumes:
            docker.run("volume", "rm", "--force", name, check=False)


def start_task(
    place: Place,
    definition: dict[str, Any],
    aliases: Sequence[str] = (),
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunningTask:
    """Start the containers of a task definition.

    Raises
    ------
    DockerError
        If one cannot be started; then none is left.
    """
    stem = f"{definition['family']}-{uuid.uuid4().hex[:8]}"
    made = RunningTask(place, definition, [], [], "")
    for container in definition["containerDefinitions"]:
        name = f"{stem}-{container['name']}"
        # Containers of a task share one network, and their folders.
        network = ["--network", f"container:{made.names[0]}"] if made.names else _network(place, aliases)
        options = [*network, *_hardening(container), *_mounts(made, stem, container), *_environment(place, container)]
        given = (overrides or {}).get(container["name"], {})
        command = given.get("command", container.get("command", []))
        entry = container.get("entryPoint", [])
        if entry:
            options += ["--entrypoint", entry[0]]
        demand_declared(place.docker, container)
        made.names.append(name)
        try:
            place.docker.run("run", "--detach", "--name", name, *options, container["image"], *entry[1:], *command)
        except DockerError as err:
            told = made.logs()[-5:]
            made.stop()
            raise DockerError(f"{err}: {' | '.join(told)}") from err
    made.address = made.inspect(f'{{{{(index .NetworkSettings.Networks "{place.network}").IPAddress}}}}')
    return made


def _network(place: Place, aliases: Sequence[str]) -> list[str]:
    hosts = [part for host, address in place.hosts.items() for part in ("--add-host", f"{host}:{address}")]
    return ["--network", place.network, *hosts, *(part for alias in aliases for part in ("--network-alias", alias))]


def _hardening(container: Mapping[str, Any]) -> list[str]:
    told = ["--user", container["user"], "--security-opt", "no-new-privileges"]
    told += ["--read-only"] if container.get("readonlyRootFilesystem") else []
    told += [part for name in container["linuxParameters"]["capabilities"]["drop"] for part in ("--cap-drop", name)]
    told += ["--init"] if container["linuxParameters"].get("initProcessEnabled") else []
    return told if container["essential"] else [*told, "--restart", "unless-stopped"]


def _mounts(made: RunningTask, stem: str, container: Mapping[str, Any]) -> list[str]:
    told = []
    for mount in container.get("mountPoints", []):
        name = f"{stem}-{mount['sourceVolume']}"
        if name not in made.volumes:
            made.volumes.append(name)
        told += ["--volume", f"{name}:{mount['containerPath']}"]
    return told


def demand_declared(docker: Docker, container: Mapping[str, Any]) -> None:
    """Demand that the image declares each mounted folder; on Fargate it would be root's otherwise."""
    if docker.run("image", "inspect", container["image"], check=False).returncode:
        docker.run("pull", "--quiet", container["image"])
    told = docker.run("image", "inspect", "--format", "{{json .Config.Volumes}}", container["image"]).stdout
    declared = set(json.loads(told) or {})
    missing = {mount["containerPath"] for mount in container.get("mountPoints", [])} - declared
    assert not missing, f"{container['image']} does not declare {sorted(missing)} as VOLUME: Fargate gives it to root"


def _environment(place: Place, container: Mapping[str, Any]) -> list[str]:
    told = {pair["name"]: pair["value"] for pair in container.get("environment", [])}
    told |= {pair["name"]: secret(pair["valueFrom"]) for pair in container.get("secrets", [])}
    told |= place.environment
    added = ["--volume", f"{place.authority}:{AUTHORITY}:ro"] if place.authority else []
    return [*added, *(part for name, value in told.items() for part in ("--env", f"{name}={value}"))]


def secret(place: str) -> str:
    """Read a secret as ECS does: ARN, then a key in it, then two empty parts."""
    parts = place.split(":")
    text = boto3.client("secretsmanager").get_secret_value(SecretId=":".join(parts[:7]))["SecretString"]
    return str(json.loads(text)[parts[7]]) if len(parts) > 7 else str(text)
