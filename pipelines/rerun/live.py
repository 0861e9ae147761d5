"""What is live, in plain values: what `make status` prints.

Only what the registries of models and of features say needs MLflow and Feast, which take seconds to import; it is asked
again only if their files have changed.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import changed_first_clock, read_clock
from flightline.adapters.model_store.served_model import read_refusal
from flightline.core.errors import ClockError, LogError
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.monitoring_steps.due import monitoring_status
from pipelines.rerun.answers import answer_again
from pipelines.steps.behind import find_behind, loaded_until, months_beyond


def status(project: Project) -> dict[str, Any]:
    """Describe data, clock, champion, challenger, the last verdict and what monitoring said, in plain values."""
    refusal = read_refusal(project.settings.serving_models_dir)
    registered = _unless_kept(project.settings, "mlflow", lambda: _registered(project))
    return {
        "model": project.problem.model_name,
        "data_version": read_data_version(project.settings).md5,
        "feature_service": project.problem.feature_service,
        "clock": _clock(project.settings),
        "behind_clock": _behind(project),
        "champion": registered["champion"],
        "refused_by_service": refusal.model_dump() if refusal else None,
        "challenger": registered["challenger"],
        "last_verdict": registered["last_verdict"],
        "monitoring": _monitoring(project),
        "last_champion_move": registered["last_champion_move"],
        "unrecorded_champion_move": registered["unrecorded_champion_move"],
    }


def _unless_kept(settings: Settings, part: str, ask: Callable[[], Any]) -> Any:
    """Ask what follows from one part of the state, or take the answer of before if that part is as it was."""
    return json.loads(answer_again(settings, f"status-{part}", lambda: json.dumps(ask()), reads=[part])[0])


def _registered(project: Project) -> dict[str, Any]:
    from pipelines.commands.champion import registry_status

    return registry_status(project)


def _loaded(settings: Settings) -> datetime | None:
    def ask() -> str | None:
        return moment.isoformat() if (moment := loaded_until(settings)) else None

    found = _unless_kept(settings, "feast", ask)
    return datetime.fromisoformat(found) if found else None


def _clock(settings: Settings) -> str | None:
    try:
        return read_clock(settings).isoformat()
    except ClockError:
        return None


def _behind(project: Project) -> dict[str, Any] | None:
    """Say how far what follows the clock is, and what has no effect on it; None while there is no clock."""
    try:
        return {
            **find_behind(project, _loaded),
            "data": months_beyond(project.settings, read_clock(project.settings)),
            "first_clock": changed_first_clock(project.settings, project.problem.first_clock),
        }
    except ClockError:
        return None


def _monitoring(project: Project) -> dict[str, Any] | None:
    try:
        return monitoring_status(project)
    except (ClockError, LogError) as err:
        return {"overdue": str(err)}
