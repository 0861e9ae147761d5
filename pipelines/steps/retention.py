"""Old predictions leave the log for parquet files."""

from datetime import UTC, datetime, timedelta

from flightline.adapters.prediction_log.retention import archive
from flightline.core.settings import Settings
from pipelines.common.progress import stage


def export(settings: Settings, before: datetime, now: datetime) -> int:
    """Move whole days of old predictions into parquet files; return how many rows left the log."""
    deleted = 0
    with stage("prediction log") as progress:
        for day in archive(settings, before, now):
            deleted += day.deleted
            progress.note(
                f"{day.file.name}: {day.rows:,} rows, {day.exported:,} new; {day.deleted:,} deleted from the log"
            )
        progress.say(f"{deleted:,} rows logged before {before:%Y-%m-%d %H:%M} UTC moved to parquet")
    return deleted


def before_of(days: int, now: datetime) -> datetime:
    """Give the midnight (UTC) so many whole days before today's.

    Examples
    --------
    >>> before_of(90, datetime(2026, 4, 1, 15, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00+00:00'
    """
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
