"""What the last training with the same options was made of, what it made and what it came to. No Prefect, no model."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flightline.adapters.databases.sqlite_wal import fold_wal
from flightline.adapters.feast.registry import store_files
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.state.stamps import stamps
from flightline.core.lineage import digest_of
from flightline.core.settings import Settings
from flightline.promotion.evidence import Gathered
from pipelines.common.progress import Line
from pipelines.promotion_steps.verdicts import VERDICT_FILE, verdict_folder
from pipelines.rerun.digests import inputs_digest, sha256_of
from pipelines.steps.summary import TrainingResult


@dataclass(frozen=True)
class LastTraining:
    """A training that came to an end.

    Parameters
    ----------
    inputs
        See `inputs_digest`; the same before it and after it.
    made
        See `made_digest`.
    lines
        What its stages said.
    tags
        Of its model version.
    lower_is_better
        Which metrics.
    """

    inputs: str
    made: str
    lines: tuple[Line, ...]
    tags: Mapping[str, str]
    lower_is_better: frozenset[str]
    result: TrainingResult
    gathered: Gathered


def made_digest(settings: Settings, result: TrainingResult) -> str | None:
    """Hash what a training made and the next one would make again; None if it lies elsewhere than in files here."""
    stores = store_files(settings)
    if stores is None:
        return None
    feast_registry, online_store = stores
    fold_wal(online_store)
    journal = online_store.with_name(f"{online_store.name}-wal")
    contents = [sha256_of(file) for file in (feast_registry, online_store, journal) if _is_filled(file)]
    tables = (settings.features_dir / "current").resolve()
    folders = (tables, result.training_set.folder, result.model.file.parent, result.evaluation.folder)
    return digest_of(contents, [stamps(folder) for folder in folders])


def keep(
    settings: Settings,
    arguments: Sequence[str],
    before: str,
    lines: Sequence[Line],
    tags: Mapping[str, str],
    lower_is_better: Set[str],
    result: TrainingResult,
) -> None:
    """Note a training, unless what it follows from has changed meanwhile or was not in files of this machine.

    Parameters
    ----------
    before
        `inputs_digest` from before it began.
    """
    made = made_digest(settings, result)
    if made is None or inputs_digest(settings, arguments) != before:
        return
    folder = verdict_folder(settings, result.registered.version, result.champion)
    gathered = TypeAdapter(Gathered).validate_json((folder / VERDICT_FILE).read_bytes())
    last = LastTraining(before, made, tuple(lines), tags, frozenset(lower_is_better), result, gathered)
    plain = asdict(last) | {"lower_is_better": sorted(lower_is_better)}
    atomic_write_text(_file(settings, arguments), json.dumps(plain, default=str) + "\n")


def find_last(settings: Settings, arguments: Sequence[str]) -> LastTraining | None:
    """Give the last training with the same options, if all that it follows from and all that it made is as it was."""
    try:
        last = TypeAdapter(LastTraining).validate_json(_file(settings, arguments).read_bytes())
    except (OSError, ValidationError):
        return None
    is_unchanged = last.inputs == inputs_digest(settings, arguments) and last.made == made_digest(settings, last.result)
    return last if is_unchanged else None


def _file(settings: Settings, arguments: Sequence[str]) -> Path:
    return settings.state_dir / "trainings" / f"{digest_of([*arguments])[:16]}.json"


def _is_filled(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0
