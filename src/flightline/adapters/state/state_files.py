"""The files that the tools keep under .state: what each holds, how to make it anew, and which of them is damaged."""

import errno
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flightline.core.errors import StateError, causes
from flightline.core.settings import Settings

FULL = ("No space left on device", "Disk quota exceeded", "disk is full")  # as the system, a quota and SQLite say it
PARQUET = b"PAR1"  # begins and ends each file
FULL_BYTES = 1_000_000  # less than any tool can go on with


def _is_json(file: Path, _: bool) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True


def _is_sqlite(file: Path, is_thorough: bool) -> bool:
    question = "PRAGMA quick_check(1)" if is_thorough else "PRAGMA schema_version"
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute(question).fetchone()
    except sqlite3.OperationalError:  # locked, or not to be opened: that is no damage
        return True
    except sqlite3.DatabaseError:
        return False
    return not is_thorough or answer == "ok"


def _is_parquet(file: Path, _: bool) -> bool:
    with file.open("rb") as content:
        head = content.read(len(PARQUET))
        content.seek(max(0, file.stat().st_size - len(PARQUET)))
        return head == content.read() == PARQUET


def _is_registry(file: Path, is_thorough: bool) -> bool:
    if not is_thorough:  # Feast takes seconds to import
        return True
    from flightline.adapters.feast.registry import is_registry

    return is_registry(file)


@dataclass(frozen=True)
class StateFile:
    """A file, or several of a kind.

    Parameters
    ----------
    path
        Below .state; may be a pattern.
    holds, remedy
        For people.
    is_whole
        From the file, and whether to look at all of it, to whether it can be read.
    """

    path: str
    holds: str
    remedy: str
    is_whole: Callable[[Path, bool], bool] = _is_sqlite


STATE_FILES = (
    StateFile("prefect/prefect.db", "Prefect's record of runs", "remove it: the next run begins a new record"),
    StateFile(
        "simulations/prefect/prefect.db",
        "Prefect's record of simulations",
        "remove it: the next simulation begins a new record",
    ),
    StateFile(
        "mlflow/mlflow.db",
        "MLflow's runs, model versions and aliases",
        "put a copy of it back; without one, remove .state/mlflow and run `make train`",
    ),
    StateFile(
        "prediction_log/predictions.db",
        "the logged predictions and their labels",
        "put a copy of it back; without one, move it away, and an empty log is made",
    ),
    StateFile(
        "feast/registry.db",
        "what Feast knows of the features",
        "remove it and run `make train`, which declares them again",
        _is_registry,
    ),
    StateFile(
        "feast/online.db",
        "the newest feature values",
        "remove it and run `make train`, which materialises them again",
    ),
    *(
        StateFile(f"{folder}/**/*.{kind}", "what a step made", "remove its folder: the next run makes it again", check)
        for folder in ("features", "training_sets", "evaluations")
        for kind, check in (("parquet", _is_parquet), ("json", _is_json))
    ),
    StateFile("labels/*.json", "how far the labels are", "remove it and run `make labels`", _is_json),
    StateFile("optuna/studies.db", "the trials of `make tune`", "remove it: the next search begins anew"),
    StateFile("monitoring/**/*.json", "what monitoring came to", "remove it and run `make monitor`", _is_json),
    StateFile("dvc/repo/**/*.db", "DVC's notes about files", "remove .state/dvc: DVC makes it again"),
    StateFile(
        "clock.json",
        "the event clock",
        "remove it: `make train` sets the clock to its first moment",
        _is_json,
    ),
    StateFile(
        "api_keys.json",
        "the digests of the API keys",
        "remove it and issue new keys: make api-key NAME=team",
        _is_json,
    ),
    StateFile(
        "serving/**/*.json",
        "which model is served, and what of it was signed",
        "remove .state/serving: the model sync fetches it again",
        _is_json,
    ),
)


def damaged_files(settings: Settings, *, is_thorough: bool) -> Iterator[str]:
    """Name each damaged file of the state, with what it held and how to make it anew.

    Parameters
    ----------
    is_thorough
        Whether to read databases to their end, and not their head alone.
    """
    for entry in STATE_FILES:
        for file in sorted(settings.state_dir.glob(entry.path)):
            if file.is_file() and not entry.is_whole(file, is_thorough):
                name = file.relative_to(settings.root)
                yield f"{name} is damaged; it held {entry.holds}: {entry.remedy}"


def cause_in_state(settings: Settings, error: BaseException, *, is_thorough: bool) -> StateError | None:
    """Find out whether an error comes of the state itself: no room on its disk, or a damaged file.

    Parameters
    ----------
    is_thorough
        As for `damaged_files`.

    Returns
    -------
    StateError or None
        What to do about it; None if the state is not the cause.
    """
    if _is_full(settings, error):
        return StateError(
            f"no room is left on the disk of {settings.state_dir}: make some, and run the command again; "
            "it goes on from what was finished"
        )
    damage = next(damaged_files(settings, is_thorough=is_thorough), None)
    return StateError(damage) if damage else None


def _is_full(settings: Settings, error: BaseException) -> bool:
    if settings.state_dir.is_dir() and shutil.disk_usage(settings.state_dir).free < FULL_BYTES:
        return True  # whatever the tool has made of it
    return any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT))
        or any(words in str(each) for words in FULL)
        for each in causes(error)
    )
