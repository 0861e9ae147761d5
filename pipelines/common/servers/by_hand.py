"""Runs a flow from the command line, on the Prefect server of this clone or one that lives as long as the run.

Prefect starts one by itself too, but as a part of the terminal's job: Ctrl-C ends it before the end of the run is
noted, and what it has to say of a full disk fills the terminal. And it waits two minutes for one that has died.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from prefect import Flow
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.adapters.ports import free_port
from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.common.servers.prefect_server import find_server
from pipelines.common.servers.processes import HOST, Program, ending_on_signals, running

DRAIN_SECONDS = 5.0
SENDERS = (APILogWorker, EventsWorker)


P = ParamSpec("P")
R = TypeVar("R")


def by_hand(flow: Flow[P, R], *, starts_server: bool = True) -> Callable[P, R]:
    """Give a flow as a person runs it, for `run_command`: it fails at once, and prints to the terminal alone.

    Its server is started when it is called, so that wrong arguments are refused before. SIGTERM and the loss of the
    terminal end it as Ctrl-C does.

    Parameters
    ----------
    starts_server
        Whether a server is started where none is. If not, the flow's function is called, all of whose tasks must be
        steps (`step.py`, `cached_step.py`); Prefect then knows nothing of the run.
    """
    plain = flow.with_options(retries=0, log_prints=False)

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        settings = read_settings()
        with ending_on_signals():
            if not starts_server and find_server(settings) is None:
                return flow.fn(*args, **kwargs)
            with own_server(settings):
                return plain(*args, **kwargs)

    return run


@contextmanager
def own_server(settings: Settings) -> Iterator[None]:
    """Run a Prefect server for the block, with the database in PREFECT_HOME, unless one is named or is up."""
    if (found := find_server(settings)) is not None:
        with temporary_settings(found.client_settings):
            yield
        return
    program = server_of_run(free_port())
    with (
        running([program], settings.state_dir / "logs", settings.pages.start_seconds),
        temporary_settings({PREFECT_API_URL: f"{program.url}/api"}),
    ):
        for sender in SENDERS:  # each would say how much is left to send, from Ctrl-C on
            logging.getLogger(sender.__name__).setLevel(logging.ERROR)
        try:
            yield
        finally:  # what is still to be sent, while somebody listens
            for sender in SENDERS:
                sender.drain_all(timeout=DRAIN_SECONDS)


def server_of_run(port: int) -> Program:
    """Describe the server, as Prefect's own `SubprocessASGIServer` starts it: no pages, no schedules."""
    command = (
        sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app",
        "--host", HOST, "--port", str(port), "--log-level", "error", "--lifespan", "on",
    )  # fmt: skip
    alone = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    return Program("Prefect-of-run", command, port, path="/api/health", environment=alone)
