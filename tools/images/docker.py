"""Docker, as the image tools and tests use it: the client, and a daemon where none runs.

A daemon that is started here belongs to this clone: its images are under .state/docker, it
listens on a socket of its own, and it ends with the block that started it. That needs root and
Debian's docker.io; everywhere else a running Docker is used.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60
# Debian's own first: its client needs no plug-in for BuildKit.
CLIENTS = ("/usr/bin/docker", "docker")


class DockerError(Exception):
    """Docker is missing, does not answer or failed; says what to do."""


@dataclass(frozen=True)
class Docker:
    """A client that talks to one daemon.

    Parameters
    ----------
    environment
        What it is given besides its own environment.
    """

    client: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def full_environment(self) -> dict[str, str]:
        """What the client runs in."""
        return os.environ | {"DOCKER_BUILDKIT": "1"} | self.environment

    def run(
        self, *arguments: str, check: bool = True, timeout_seconds: float = 600, is_shown: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of Docker.

        Parameters
        ----------
        is_shown
            Whether what it prints is seen while it runs, and not given back.

        Raises
        ------
        DockerError
            With the end of what it said, if it fails and `check` is true.
        """
        done = subprocess.run(
            [self.client, *arguments],
            env=self.full_environment,
            capture_output=not is_shown,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
        if check and done.returncode:
            reason = "" if is_shown else f": {(done.stderr or done.stdout)[-3000:].strip()}"
            raise DockerError(f"docker {' '.join(arguments[:3])} ended with {done.returncode}{reason}")
        return done

    def digest(self, image: str) -> str:
        """Give the digest by which a registry knows an image, named as repository:tag.

        Raises
        ------
        DockerError
            If it was neither pulled nor pushed under that name.
        """
        named = self.run("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image).stdout
        repository = image.rpartition(":")[0]
        pairs = [line.partition("@") for line in named.splitlines()]
        # Docker writes docker.io/library/python as python.
        found = {digest for name, _, digest in pairs if digest and f"/{repository}".endswith(f"/{name}")}
        if len(found) != 1:
            raise DockerError(f"{image} has {len(found)} digests, expected one: {named.strip()}")
        return found.pop()

    def answers(self) -> bool:
        """Say whether its daemon answers."""
        return self.run("info", check=False).returncode == 0


def find_client() -> str | None:
    """Find Docker's client, or None."""
    return next((found for name in CLIENTS if (found := shutil.which(name))), None)


@contextmanager
def docker_ready(state_dir: Path) -> Iterator[Docker]:
    """Give a Docker that answers: the one that runs, else one that ends with the block.

    Parameters
    ----------
    state_dir
        Where a daemon that is started here keeps its images.

    Raises
    ------
    DockerError
        If there is none and none can be started.
    """
    client = find_client()
    if client is None:
        raise DockerError("Docker is not installed (Debian: apt-get install docker.io)")
    running = Docker(client)
    if running.answers():
        yield running
        return
    daemon = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if daemon is None or os.geteuid() != 0:
        raise DockerError("no Docker daemon answers, and only root can start one here: start Docker, or ask as root")
    with _daemon(daemon, client, state_dir) as started:
        yield started


@contextmanager
def _daemon(daemon: str, client: str, state_dir: Path) -> Iterator[Docker]:
    """Run dockerd; its socket is in /tmp, since the path of a socket may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    docker = Docker(client, {"DOCKER_HOST": f"unix://{folder}/docker.sock"})
    command = [daemon, "--host", docker.environment["DOCKER_HOST"], "--data-root", str(state_dir / "docker")]
    command += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_it_answers(docker, process, folder / "log")
        yield docker
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_answers(docker: Docker, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if docker.answers():
            return
        time.sleep(0.2)
    raise DockerError(f"dockerd did not start: {log.read_text(errors='replace')[-1500:]}")
