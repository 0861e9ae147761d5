"""A real SSH server of the tests' own: Debian's sshd on a free port, with a host key and a key that may log in."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen, run

import pytest

from tests.support.servers.service_process import free_port
from tests.support.waiting import wait_until

SSHD = Path("/usr/sbin/sshd")


@dataclass(frozen=True)
class SshServer:
    """Where it is, and homes of somebody whose key is known there and of somebody who has none."""

    url: str
    home: Path
    home_without_key: Path


@contextmanager
def run_ssh(folder: Path) -> Iterator[SshServer]:
    """Run one that lets this user in, until the block ends."""
    if not SSHD.exists():
        no = "sshd is not installed (Debian: apt-get install openssh-server)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(no)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it wants to be confined; its service would make it
    port, homes = free_port(), (folder / "home", folder / "home_without_key")
    for home in homes:
        (home / ".ssh").mkdir(parents=True, mode=0o700)
    host, key = folder / "host_key", homes[0] / ".ssh" / "id_ed25519"
    for made in (host, key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made)], check=True)
    for home in homes:
        known = host.with_suffix(".pub").read_text()
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}")
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": host,
        "AuthorizedKeysFile": key.with_suffix(".pub"),
        "StrictModes": "no",  # the folder of a test may lie where others write
        "PidFile": "none",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    config, log = folder / "sshd_config", folder / "log"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    with log.open("wb") as stream:
        process = Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=stream, stderr=stream)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), said=log.read_text)
        assert process.poll() is None, f"sshd did not start: {log.read_text()[-2000:]}"
        yield SshServer(f"ssh://{getpass.getuser()}@127.0.0.1:{port}", *homes)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        return connection.recv(4) == b"SSH-"
