"""Prefect's server of this clone: where it is, and how it starts. No flow."""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, get_current_settings
from prefect.settings.legacy import Setting

from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.settings import Settings
from pipelines.common.servers.own_origin import HOSTS
from pipelines.common.servers.processes import Program, Running, answers

HEALTH = "/api/health"
# Who holds a deployment's one place, on disk: in memory, the default, a server that ends takes the knowledge along, the
# place stays taken in its database, and the deployment never runs again.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
SERVER = "Prefect"


@dataclass(frozen=True)
class Server:
    """A server that is there already.

    Parameters
    ----------
    api_url
        For PREFECT_API_URL.
    pid
        Of the process that started it for this clone; None if it is one of PREFECT_API_URL.
    auth_string
        For PREFECT_API_AUTH_STRING; None if the server wants none.
    """

    api_url: str
    pid: int | None = None
    auth_string: str | None = field(default=None, repr=False)

    @property
    def client_settings(self) -> dict[Setting, str]:
        """What a client needs, for `temporary_settings`; by the settings' names they are its environment."""
        own = {PREFECT_API_URL: self.api_url, PREFECT_API_AUTH_STRING: self.auth_string}
        return {setting: value for setting, value in own.items() if value is not None}

    @property
    def is_gone(self) -> bool:
        """Whether a server of this clone has ended; one from elsewhere may come back."""
        return self.pid is not None and not _is_alive(self.pid)


def auth_file(settings: Settings) -> Path:
    """Say where lies what the server of this clone, and its pages, ask for."""
    return settings.state_dir / "prefect_auth"


def auth_string(settings: Settings) -> str:
    """Give what the server of this clone asks for; the first call makes it, for the owner of the clone alone."""
    file = auth_file(settings)
    if not file.is_file():
        with atomic_write(file) as unfinished:
            unfinished.touch(mode=0o600)
            unfinished.write_text(f"admin:{secrets.token_urlsafe(24)}", encoding="utf-8")
    return file.read_text(encoding="utf-8")


def server_program(settings: Settings) -> Program:
    """Describe the server of this clone, on loopback, with the database in PREFECT_HOME, closed to other sites."""
    port = settings.pages.prefect_port
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    environment = {
        # Where messages to people link to, and whom its pages ask: by default those of port 4200, whatever the port.
        "PREFECT_UI_URL": url,
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_API_AUTH_STRING": auth_string(settings),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}:{port}" for host in HOSTS),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    return Program(SERVER, command, port, "FLIGHTLINE_PAGES__PREFECT_PORT", HEALTH, environment=environment | LEASES)


def find_server(settings: Settings) -> Server | None:
    """Find the server to use: the one PREFECT_API_URL names, else the one that runs for this clone, if one does."""
    named = get_current_settings().api
    if named.url:
        return Server(str(named.url), auth_string=named.auth_string.get_secret_value() if named.auth_string else None)
    try:
        noted = json.loads(_note(settings).read_text(encoding="utf-8"))
        server = Server(str(noted["api_url"]), int(noted["pid"]), auth_string(settings))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_there = not server.is_gone and answers(server.api_url + "/health")
    return server if is_there else None


@contextmanager
def noted(settings: Settings, running: Running) -> Iterator[Server]:
    """Let the other commands of this clone find a server while the block runs."""
    note = _note(settings)
    server = Server(f"{running.program.url}/api", running.process.pid, auth_string(settings))
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"api_url": server.api_url, "pid": server.pid}), encoding="utf-8")
    try:
        yield server
    finally:
        note.unlink(missing_ok=True)


def _note(settings: Settings) -> Path:
    return settings.state_dir / "prefect_server.json"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
