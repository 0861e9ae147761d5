"""Runs the flows when they are due, beside a Prefect server: `python -m pipelines.orchestration.worker`; no flow.

With PREFECT_API_URL set it uses that server; else the one that runs for this clone already
(`make ui`), else one of its own, on loopback.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flightline.core.environment import read_settings
from flightline.core.errors import StartError
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.servers.prefect_server import Server, find_server, noted, server_program
from pipelines.common.servers.processes import LOOK_SECONDS, Program, Running, ending_on_signals, running

SERVE = "pipelines.orchestration.deployments"


def work(settings: Settings, module: str = SERVE) -> None:
    """Serve the flows until stopped.

    Parameters
    ----------
    settings
        Where the server listens and its log goes.
    module
        What registers and serves the deployments.

    Raises
    ------
    StartError
        If the server does not start, or it or the serving process ends by itself.
    """
    with ending_on_signals():
        try:
            with _server(settings) as (server, own):
                program = Program(
                    "worker",
                    (sys.executable, "-m", module),
                    # What the flows print belongs to their runs, on Prefect's pages.
                    environment={
                        **{setting.name: value for setting, value in server.client_settings.items()},
                        "PREFECT_LOGGING_LEVEL": "INFO",
                    },
                    is_shown=True,
                    ends_its_own=True,
                )
                with running([program], settings.state_dir / "logs", settings.pages.start_seconds) as served:
                    _wait_for_end(server, [*own, *served])
        except KeyboardInterrupt:
            print("worker: stopped", flush=True)


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[Server, list[Running]]]:
    found = find_server(settings)
    if found is not None:
        print(f"worker: uses the Prefect server at {found.api_url}", flush=True)
        yield found, []
        return
    program = server_program(settings)
    print(f"worker: starting a Prefect server at {program.url}", flush=True)
    with (
        running([program], settings.state_dir / "logs", settings.pages.start_seconds) as own,
        noted(settings, own[0]) as server,
    ):
        yield server, own


def _wait_for_end(server: Server, watched: list[Running]) -> None:
    while True:
        for one in watched:
            if not one.is_alive:
                raise StartError(one.last_words())
        if server.is_gone:
            raise StartError(f"the Prefect server at {server.api_url}, which something else started, has ended")
        time.sleep(LOOK_SECONDS)


def main() -> int:
    """Read the settings and work until stopped."""
    return run_command(lambda: work(read_settings()))


if __name__ == "__main__":
    sys.exit(main())
