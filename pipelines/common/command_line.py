"""Runs a pipeline from the command line, so that its error can be read.

Prefect reports an exception four times, with its traceback. Those of this project say what
to do; here they reach the terminal once. Prefect's server keeps its full record.
"""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flightline.adapters.pipes import outlive_reader
from flightline.core.errors import FlightlineError, StartError

if TYPE_CHECKING:
    from prefect import Flow  # which not every command needs

SERVER_SECONDS = 30.0
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


def run_command(run: Callable[[], object]) -> int:
    """Run a pipeline; on an error of this project print its message on stderr.

    Parameters
    ----------
    run
        Takes nothing, for example ``lambda: ingest(folder)``. Any other exception passes
        through: it is a bug, and its traceback is wanted.

    Returns
    -------
    int
        The exit code: 0, or 1 after an error of this project.

    Examples
    --------
    >>> run_command(lambda: None)
    0
    """
    outlive_reader()
    quiet = _OwnErrorsOnce()
    handlers = logging.getLogger().handlers[:]  # Prefect's terminal output; its server's is elsewhere
    for handler in handlers:
        handler.addFilter(quiet)
    try:
        _check_server()
        run()
    except FlightlineError as err:
        sys.stdout.flush()
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return 1
    finally:
        for handler in handlers:
            handler.removeFilter(quiet)
    return 0


def _check_server() -> None:
    """Demand that a Prefect server that was named is reached: Prefect says so late, and in a hundred lines."""
    settings = sys.modules.get("prefect.settings")  # not every command needs Prefect
    url = settings.get_current_settings().api.url if settings else None
    if not url:
        return
    import httpx

    try:
        httpx.get(f"{url}/health", timeout=SERVER_SECONDS)
    except httpx.TransportError as err:
        raise StartError(f"no Prefect server answers at PREFECT_API_URL={url} ({err}): start it, or name none") from err


P = ParamSpec("P")
R = TypeVar("R")


def by_hand(flow: "Flow[P, R]") -> "Flow[P, R]":
    """Give a flow as a person runs it: it fails at once, and prints to the terminal alone."""
    return flow.with_options(retries=0, log_prints=False)


class _OwnErrorsOnce(logging.Filter):
    """Drop Prefect's reports of a failure: the error itself reaches the terminal anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to show a record."""
        if record.name not in _RUN_LOGGERS:
            return True
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, FlightlineError) and not record.getMessage().startswith("Finished in state Failed")
