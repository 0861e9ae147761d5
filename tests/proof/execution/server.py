"""One Prefect server for all copies: a server of its own would cost each run ten seconds."""

import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.proof.execution.commands import Processes, clean_environment, read_tool_settings

READY_SECONDS = 600


@contextmanager
def prefect_server(processes: Processes, folder: Path, root: Path) -> Iterator[str]:
    """Start a Prefect server on a free port of this machine, and end it afterwards.

    Parameters
    ----------
    folder
        For its database and log.
    root
        Where tools.env lies.

    Yields
    ------
    str
        PREFECT_API_URL; it need not answer yet, see `wait_until_ready`.
    """
    folder.mkdir()
    port = free_port()
    environment = {**clean_environment(), **read_tool_settings(root), "PREFECT_HOME": str(folder)}
    # Its background services schedule and watch deployments; a proof has none.
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-services"]
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        process = processes.start(command, folder, environment, log.fileno())
        try:
            yield f"http://127.0.0.1:{port}/api"
        finally:
            processes.end(process)


def free_port() -> int:
    """Find a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(api_url: str, folder: Path) -> None:
    """Wait for the server's first answer.

    Raises
    ------
    TimeoutError
        With the end of its log.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with direct.open(f"{api_url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    log = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
    raise TimeoutError(f"the Prefect server did not answer within {READY_SECONDS} s:\n{log[-2000:]}")
