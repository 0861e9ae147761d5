"""Runs a pipeline from the command line, so that its error can be read.

Prefect reports an exception four times, with its traceback. Those of this project say what
to do; here they reach the terminal once. Prefect's server keeps its full record.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.state_files import cause_in_state
from flightline.core.errors import FlightlineError, StartError
from flightline.core.settings import Settings

SERVER_SECONDS = 30.0
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


def run_command(run: Callable[[], Any]) -> int:
    """Run a pipeline; on Ctrl-C, an error of this project, or one that its state explains print a line on stderr.

    Parameters
    ----------
    run
        Takes nothing, for example ``lambda: ingest(folder)``. Any other exception passes
        through: it is a bug, and its traceback is wanted.

    Returns
    -------
    int
        The exit code: 0, 1 after an error of this project or its state, or 130 after Ctrl-C.

    Examples
    --------
    >>> run_command(lambda: None)
    0
    """
    outlive_reader()
    quiet = _ErrorsOnce()
    handlers = logging.getLogger().handlers[:]  # Prefect's terminal output; its server's is elsewhere
    for handler in handlers:
        handler.addFilter(quiet)
    try:
        _check_server()
        run()
    except KeyboardInterrupt as err:
        _release(err)
        return _end("stopped: nothing is half-written, and the next run goes on from what was finished", INTERRUPTED)
    except Exception as err:
        _release(err)
        is_own = isinstance(err, FlightlineError)
        shown = cause_in_state(Settings(), err, is_thorough=not is_own) or err
        if not isinstance(shown, FlightlineError):
            raise
        return _end(f"{type(shown).__name__}: {shown}", 1)
    finally:
        for handler in handlers:
            handler.removeFilter(quiet)
    return 0


def _release(error: BaseException | None) -> None:
    """Let go of the variables of an error's frames: Prefect keeps the error, and DuckDB reports its own as leaked."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _end(line: str, code: int) -> int:
    sys.stdout.flush()
    print(line, file=sys.stderr)
    return code


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


class _ErrorsOnce(logging.Filter):
    """Drop Prefect's reports of a failure: the error itself reaches the terminal anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to show a record."""
        return record.name not in _RUN_LOGGERS or record.levelno < logging.ERROR
