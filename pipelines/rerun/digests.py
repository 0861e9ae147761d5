"""What a command follows from, as a digest: options, settings, source, lock, commit, data version, and state.

Files that it reads are known by their content; those that commands wrote by size, time and inode: whoever puts another
in their place changes these.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from flightline.adapters import provenance
from flightline.adapters.databases.sqlite_wal import row_counts
from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import follows_the_day
from flightline.adapters.feast.registry import store_files
from flightline.adapters.state.stamps import stamps
from flightline.core.errors import ClockError
from flightline.core.lineage import digest_of
from flightline.core.settings import Settings

PACKAGES = ("flightline", "pipelines", "serving")  # the service's code answers before the gate
DECIDE_NOTHING = frozenset(  # of the state: what tools cache, what was printed, and places of their own
    {
        "answers",
        "demo",
        "dvc",
        "import-linter",
        "logs",
        "matplotlib",
        "metrics",
        "mypy",
        "prefect",
        "simulations",
        "spill",
    }
)


def inputs_digest(settings: Settings, arguments: Sequence[str]) -> str:
    """Hash what a command follows from, but for state: event clock, registry of models, log, and what was made.

    Parameters
    ----------
    arguments
        As they were typed; a file among them is read.
    """
    named = [Path(argument).read_bytes().hex() for argument in arguments if Path(argument).is_file()]
    return digest_of(
        [*arguments],
        named,
        settings.model_dump_json(),
        {str(file): sha256_of(file) for file in _source_files(settings)},
        [*provenance.git_state(settings), provenance.lock_digest(settings), sys.version],
        read_data_version(settings).md5,
    )


def state_parts(settings: Settings, of: Collection[str] | None = None) -> dict[str, object] | None:
    """Tell by name what lies in the state and in data/; None if it cannot be had, or the clock is the time of day.

    Parameters
    ----------
    of
        Names in the state that are looked at alone; None for all of it but `DECIDE_NOTHING`, and data/.
    """
    if not _is_all_here(settings):
        return None
    if of is not None:
        return {name: stamps(settings.state_dir / name) for name in of}
    log = settings.prediction_log_file
    left_out = DECIDE_NOTHING.union([log.parent.name])
    parts = [part for part in sorted(settings.state_dir.iterdir()) if part.name not in left_out]
    try:
        logged = [log.stat().st_ino, row_counts(log)] if log.is_file() else None  # whoever opens it writes a probe
    except (OSError, sqlite3.Error):
        return None
    return {"/log": logged, "/data": stamps(settings.data_dir), **{part.name: stamps(part) for part in parts}}


def _is_all_here(settings: Settings) -> bool:
    elsewhere = (
        settings.mlflow_tracking_uri,
        settings.prediction_log.url.get_secret_value(),
        settings.serving.models_dir,
    )
    try:
        return not any(elsewhere) and store_files(settings) is not None and not follows_the_day(settings)
    except ClockError:
        return False


def files_below(folder: Path) -> list[Path]:
    """Find the files below a folder, but for compiled ones."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def sha256_of(file: Path) -> str:
    """Hash a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _source_files(settings: Settings) -> Iterator[Path]:
    for package in (*PACKAGES, settings.problem_package):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:  # an image of flows alone may have no service
            file = Path(spec.origin)
            yield from files_below(file.parent) if spec.submodule_search_locations else [file]
    yield from files_below(settings.feature_repo)
