"""Runs a pipeline from the command line, so that its error can be read.

Prefect reports an exception four times, with its traceback. Those of this project say what
to do; here they reach the terminal once. Prefect's server keeps its full record.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.state.state_files import cause_in_state
from flightline.core.environment import read_settings
from flightline.core.errors import FlightlineError, SettingsError, StartError, causes
from flightline.core.settings import Settings

SERVER_SECONDS = 30.0
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
DECLARATIONS = "feature_repo"
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


def run_command(run: Callable[[], Any]) -> int:
    """Run a pipeline; on Ctrl-C, an error of this project, its state or the problem's code say so on stderr.

    Parameters
    ----------
    run
        Takes nothing, for example ``lambda: ingest(folder)``. Any other exception passes
        through: it is a bug, and its traceback is wanted.

    Returns
    -------
    int
        The exit code: 0, 1 after an error of this project, its state or the problem, or 130 after Ctrl-C.

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
    except SettingsError as err:  # settings cannot be asked for what follows
        _release(err)
        return _end(f"SettingsError: {err}", 1)
    except Exception as err:
        _release(err)
        is_own = isinstance(err, FlightlineError)
        shown = cause_in_state(read_settings(), err, is_thorough=not is_own) or err
        if isinstance(shown, FlightlineError):
            return _end(f"{type(shown).__name__}: {shown}", 1)
        if of_problem := explain_problem(err, read_settings()):
            return _end(of_problem, 1)
        raise
    finally:
        for handler in handlers:
            handler.removeFilter(quiet)
    return 0


def _release(error: BaseException) -> None:
    """Let go of the variables of an error's frames: Prefect keeps the error, and DuckDB reports its own as leaked."""
    for each in causes(error):
        traceback.clear_frames(each.__traceback__)


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


def explain_problem(error: BaseException, settings: Settings) -> str | None:
    """Give an error's own words and the lines of the problem that led to it; None if none did.

    Parameters
    ----------
    error
        That nobody raised on purpose; those that it came from are looked at too.
    settings
        Name the problem's package.

    Returns
    -------
    str or None
        The kind of error and its message, then file, line, function and code of each place, the innermost last.
    """
    folders = [settings.root / DECLARATIONS, *_places(settings.problem_package)]
    for each in causes(error):
        frames = [frame for frame in traceback.extract_tb(each.__traceback__) if _is_in(frame.filename, folders)]
        places = [f"{_shown(f.filename, settings)}:{f.lineno}, in {f.name}: {f.line}" for f in frames]
        if isinstance(each, SyntaxError) and each.filename and _is_in(each.filename, folders):
            places.append(f"{_shown(each.filename, settings)}:{each.lineno}: {(each.text or '').strip()}")
        if places:
            said = each.msg if isinstance(each, SyntaxError) else str(each)
            return "\n  ".join([f"{type(each).__name__}: {said}".removesuffix(": "), *dict.fromkeys(places)])
    return None


def _places(package: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)]


def _is_in(file: str, places: list[Path]) -> bool:
    return any(Path(file).resolve().is_relative_to(place.resolve()) for place in places)


def _shown(file: str, settings: Settings) -> str:
    path, root = Path(file).resolve(), settings.root.resolve()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
