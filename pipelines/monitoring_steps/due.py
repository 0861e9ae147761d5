"""Whether monitoring runs at all: a monitor that is switched off raises no alarm by itself."""

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from flightline.adapters.event_clock import read_clock
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.prediction_record import INSTANT
from flightline.core.project import Project
from flightline.core.settings import Settings

LATEST = "latest_decision.json"


def monitoring_status(project: Project) -> dict[str, Any]:
    """Give the latest decision, and how many predictions it has not seen for longer than a window.

    Returns
    -------
    dict
        decision, clock and summary of the latest run (None if there was none); `overdue` says what is wrong, or
        is None.

    Raises
    ------
    ClockError
        If there is no clock.
    LogError
        If the log cannot be read.
    """
    file = project.settings.state_dir / "monitoring" / LATEST
    latest = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    clock = read_clock(project.settings)
    window = project.problem.monitoring.window
    ran_at = datetime.fromtimestamp(file.stat().st_mtime, UTC) if latest else None
    last = datetime.fromisoformat(latest["clock"]) if latest else None
    waiting = _waiting(project.settings, last, ran_at, clock - window)
    ran = f"last ran at {latest['clock']}" if latest else "never ran"
    overdue = (
        f"{waiting:,} predictions have waited for the monitor for more than {window.days} days: it "
        f"{ran}; run `make monitor`, and mend what should run it"
        if waiting
        else None
    )
    return {
        "decision": latest["decision"]["action"] if latest else None,
        "summary": latest["decision"]["summary"] if latest else None,
        "clock": latest["clock"] if latest else None,
        "overdue": overdue,
    }


def _waiting(settings: Settings, last: datetime | None, ran_at: datetime | None, end: datetime) -> int:
    """Count what was predicted before a moment and after the latest run: where the clock stands still, logged after."""
    if not settings.prediction_log.url.get_secret_value() and not settings.prediction_log_file.is_file():
        return 0
    with closing(PredictionLog.open(settings)) as log:
        if last is None:
            return log.count(end=end, by="clock")
        if last >= end:
            return 0
        later = last + INSTANT
        return log.count(start=later, end=end, by="clock") + log.count(
            start=last, end=later, by="clock", logged_from=ran_at
        )
