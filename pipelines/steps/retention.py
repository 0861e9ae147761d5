"""Old predictions leave the log for parquet files."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from flightline.adapters.event_clock import read_clock
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.retention import archive
from flightline.core.project import Project
from flightline.core.windows import asked_since
from flightline.monitoring.decision import windows_until
from pipelines.common.progress import stage


def export(project: Project, before: datetime, now: datetime, *, keeps_needed: bool = True) -> int:
    """Move whole days of old predictions into parquet files; return how many rows left the log.

    Parameters
    ----------
    before
        Days that ended at or before this moment go (UTC-aware, by the time of day).
    now
        The time of day (UTC-aware).
    keeps_needed
        Whether a day stays, and those after it, if monitoring reads one of its predictions: then labels that are still
        to come find theirs too. Otherwise it is only said.
    """
    deleted = 0
    with stage("prediction log") as progress:
        since = asked_since(windows_until(read_clock(project.settings), project.problem.monitoring)[0])
        with closing(PredictionLog.open(project.settings)) as log:
            needed = log.first_logged(before, clock_since=since)
        end = before_of(0, needed) if needed and keeps_needed else before
        for day in archive(project.settings, end, now):
            deleted += day.deleted
            progress.note(
                f"{day.file.name}: {day.rows:,} rows, {day.exported:,} new; {day.deleted:,} deleted from the log"
            )
        progress.say(f"{deleted:,} rows logged before {end:%Y-%m-%d %H:%M} UTC moved to parquet")
        if needed:
            what = f"those up to {before:%Y-%m-%d} stay" if keeps_needed else f"from {needed:%Y-%m-%d} on too early"
            progress.say(f"{what}: monitoring reads what was predicted since {since:%Y-%m-%d} by the event clock")
    return deleted


def before_of(days: int, now: datetime) -> datetime:
    """Give the midnight (UTC) so many whole days before today's.

    Examples
    --------
    >>> before_of(90, datetime(2026, 4, 1, 15, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00+00:00'
    """
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
