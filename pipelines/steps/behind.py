"""What is behind the event clock: features, online store, labels, and data of months it has not reached."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import read_clock
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.common.artifacts import MADE_OF_FILE

LATEST_LABELS = "latest.json"
REMEDIES = {"features": "make materialise", "online_store": "make materialise", "labels": "make labels"}


def loaded_until(settings: Settings) -> datetime | None:
    """Say up to when the online store is loaded; None if it is not, or nothing is registered yet. Imports Feast."""
    from flightline.adapters.feast import feature_store as feast_store

    try:
        return feast_store.loaded_until(settings)
    except FeatureError:
        return None


def find_behind(
    project: Project, loaded: Callable[[Settings], datetime | None] = loaded_until
) -> dict[str, dict[str, Any]]:
    """Say of each part that follows the clock as of when it is.

    Parameters
    ----------
    loaded
        Gives up to when the online store is loaded.

    Returns
    -------
    dict
        By features, online_store and labels: `as_of` (None: never, or not known), `seconds` it is behind the clock
        (None likewise; negative: ahead), and `is_other_data`, whether it is of another version than data.dvc names
        (None: not known).

    Raises
    ------
    ClockError
        If there is no clock.
    """
    settings = project.settings
    made_of = _note(settings.features_dir / "current" / MADE_OF_FILE)
    labels = _note(settings.state_dir / "labels" / LATEST_LABELS)
    parts = {"features": made_of, "online_store": (loaded(settings), None), "labels": labels}
    clock, named = read_clock(settings), read_data_version(settings).md5
    return {
        name: {
            "as_of": as_of.isoformat() if as_of else None,
            "seconds": int((clock - as_of).total_seconds()) if as_of else None,
            "is_other_data": None if md5 is None else md5 != named,
        }
        for name, (as_of, md5) in parts.items()
    }


def _note(file: Path) -> tuple[datetime | None, str | None]:
    if not file.is_file():
        return None, None
    found = json.loads(file.read_text(encoding="utf-8"))
    return datetime.fromisoformat(found["clock"]), found["data_md5"]


def months_beyond(settings: Settings, clock: datetime) -> str | None:
    """Say that data/ has files of months that the clock has not reached; None if it has none."""
    months = {file.stem: file for file in sorted(settings.data_dir.glob("*/*.csv"))}
    beyond = [name for name in sorted(months) if re.fullmatch(r"\d{4}-\d\d", name) and _begin(name) >= clock]
    if not beyond:
        return None
    span = beyond[0] if len(beyond) == 1 else f"{beyond[0]} to {beyond[-1]}"
    return (
        f"data/ holds {span}, of which the event clock, at {clock:%Y-%m-%d %H:%M} UTC, knows nothing yet: no feature, "
        "label or model holds any of it; move it by `make clock TO=...`"
    )


def _begin(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
