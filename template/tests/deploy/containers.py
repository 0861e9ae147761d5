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

from tools.images.docker import Docker, DockerError

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
    """Containers of one task.

    Parameters
    ----------
    place
        Where they run.
    definition
        Of the task; its first container is the one that is asked for.
    stem
        What Docker's names of its containers and volumes begin with.
    names
        Of those that were started, in that order.
    """

    place: Place
    definition: dict[str, Any]
    stem: str
    names: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def container(self, name: str) -> str:
        """Give Docker's name of a container of the task."""
        return f"{self.stem}-{name}"

    @property
    def first(self) -> str:
        """Docker's name of the first container of the definition."""
        return self.container(self.definition["containerDefinitions"][0]["name"])

    @property
    def address(self) -> str:
        """Where the task is found in its network."""
        what = f'{{{{(index .NetworkSettings.Networks "{self.place.network}").IPAddress}}}}'
        return self.inspect(what, self.names[0])

    def inspect(self, what: str, name: str = "") -> str:
        """Give one field of a container, or of the first, as `docker inspect --format` names it."""
        return self.place.docker.run("inspect", "--format", what, name or self.first, check=False).stdout.strip()

    def logs(self) -> list[str]:
        """Give what the first container printed, errors last."""
        done = self.place.docker.run("logs", self.first, check=False)
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

    def passes(self, container: Mapping[str, Any]) -> bool:
        """Run a container's own health check."""
        command = container["healthCheck"]["command"][1:]
        return self.place.docker.run("exec", self.container(container["name"]), *command, check=False).returncode == 0

    def _is_healthy(self) -> bool:
        first = self.definition["containerDefinitions"][0]
        if first.get("healthCheck"):
            return self.passes(first)
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
        code = int(self.place.docker.run("wait", self.first, timeout_seconds=1800).stdout)
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
    made = RunningTask(place, definition, f"{definition['family']}-{uuid.uuid4().hex[:8]}")
    containers = definition["containerDefinitions"]
    try:
        if len(containers) > 1:
            _hold_network(made, containers[0]["image"], aliases)
        for container in sorted(containers, key=lambda one: len(one.get("dependsOn", []))):
            for other in container.get("dependsOn", []):
                (awaited,) = (one for one in containers if one["name"] == other["containerName"])
                _wait_for(made, awaited)
            _start(made, container, aliases, (overrides or {}).get(container["name"], {}))
    except DockerError as err:
        told = made.logs()[-5:]
        made.stop()
        raise DockerError(f"{err}: {' | '.join(told)}") from err
    return made


def _hold_network(made: RunningTask, image: str, aliases: Sequence[str]) -> None:
    """Start what only holds the network that the containers of a task share, so that each may come and go."""
    name = made.container("network")
    made.names.append(name)
    # With an init: a sleep as the first process would not hear that it shall end.
    options = ["--detach", "--init", "--name", name, *_network(made.place, aliases), "--entrypoint", "sleep"]
    made.place.docker.run("run", *options, image, "infinity")


def _wait_for(made: RunningTask, container: Mapping[str, Any]) -> None:
    end = time.monotonic() + container["startTimeout"]
    while not made.passes(container):
        if time.monotonic() > end:
            raise DockerError(f"{container['name']} was not healthy within {container['startTimeout']} s")
        time.sleep(0.5)


def _start(
    made: RunningTask, container: Mapping[str, Any], aliases: Sequence[str], given: Mapping[str, Sequence[str]]
) -> None:
    name = made.container(container["name"])
    network = ["--network", f"container:{made.names[0]}"] if made.names else _network(made.place, aliases)
    options = [*network, *_hardening(container), *_mounts(made, container), *_environment(made.place, container)]
    command = given.get("command", container.get("command", []))
    entry = container.get("entryPoint", [])
    if entry:
        options += ["--entrypoint", entry[0]]
    demand_declared(made.place.docker, container)
    made.names.append(name)
    made.place.docker.run("run", "--detach", "--name", name, *options, container["image"], *entry[1:], *command)


def _network(place: Place, aliases: Sequence[str]) -> list[str]:
    hosts = [part for host, address in place.hosts.items() for part in ("--add-host", f"{host}:{address}")]
    return ["--network", place.network, *hosts, *(part for alias in aliases for part in ("--network-alias", alias))]


def _hardening(container: Mapping[str, Any]) -> list[str]:
    told = ["--user", container["user"], "--security-opt", "no-new-privileges"]
    told += ["--read-only"] if container.get("readonlyRootFilesystem") else []
    told += [part for name in container["linuxParameters"]["capabilities"]["drop"] for part in ("--cap-drop", name)]
    told += ["--init"] if container["linuxParameters"].get("initProcessEnabled") else []
    return told if container["essential"] else [*told, "--restart", "unless-stopped"]


def _mounts(made: RunningTask, container: Mapping[str, Any]) -> list[str]:
    """Mount what a task shares: on its own disk, or a folder of EFS, which is a volume that outlives it."""
    folders = {one["name"]: one.get("efsVolumeConfiguration") for one in made.definition.get("volumes", [])}
    told = []
    for mount in container.get("mountPoints", []):
        folder = folders.get(mount["sourceVolume"])
        name = made.container(mount["sourceVolume"])
        if folder:
            name = f"efs-{folder['authorizationConfig']['accessPointId']}"
        elif name not in made.volumes:
            made.volumes.append(name)
        told += ["--volume", f"{name}:{mount['containerPath']}{':ro' if mount.get('readOnly') else ''}"]
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
