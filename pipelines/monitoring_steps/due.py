"""Whether monitoring runs at all: a monitor that is switched off raises no alarm by itself."""

import json
from datetime import datetime
from typing import Any

from flightline.adapters.event_clock import read_clock
from flightline.adapters.prediction_log.log import PredictionLog
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
    last = datetime.fromisoformat(latest["clock"]) if latest else None
    window = project.problem.monitoring.window
    waiting = _logged(project.settings, last, clock - window)
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


def _logged(settings: Settings, start: datetime | None, end: datetime) -> int:
    if not settings.prediction_log.url.get_secret_value() and not settings.prediction_log_file.is_file():
        return 0
    log = PredictionLog.open(settings)
    try:
        return log.count(start=start, end=end, by="clock") if start is None or start < end else 0
    finally:
        log.close()
