"""Keeps the prediction log in order: `python -m pipelines.commands.prediction_log migrate | export`. No Prefect.

Each is one step that may be broken off and run again, so a flow would add nothing but its
server's start; what runs on a schedule can call the command.
"""

import argparse
import sys
from datetime import UTC, date, datetime, timedelta

from flightline.adapters.prediction_log import retention, schema
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage


def migrate(settings: Settings) -> None:
    """Bring the log's schema to the one of this code."""
    before = schema.current_revision(settings)
    after = schema.migrate(settings)
    place = schema.place_of(schema.log_url(settings))
    print(f"prediction log: {place}, schema {after}" + (f", was {before or 'none'}" if before != after else ""))


def export(settings: Settings, before: datetime, now: datetime) -> int:
    """Move whole days of old predictions into parquet files; return how many rows left the log."""
    deleted = 0
    with stage("prediction log") as progress:
        for day in retention.archive(settings, before, now):
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


def _midnight(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise ValueError(f"got {days} days, expected 1 or more")
    return days


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the schema to the one of this code")
    out = commands.add_parser("export", help="move old predictions into parquet files")
    which = out.add_mutually_exclusive_group()
    which.add_argument("--before", type=_midnight, metavar="DATE", help="days before this one (UTC), as 2026-01-31")
    which.add_argument("--days", type=_days, help="days to keep besides today; the setting retention_days if absent")
    options = parser.parse_args(arguments)
    settings = Settings()
    if options.command == "migrate":
        return run_command(lambda: migrate(settings))
    now = datetime.now(UTC)  # retention is about the time of day: a set event clock does not age rows
    before = options.before or before_of(options.days or settings.prediction_log.retention_days, now)
    return run_command(lambda: export(settings, before, now))


if __name__ == "__main__":
    sys.exit(main())
