"""Keeps the prediction log in order: `python -m pipelines.commands.prediction_log migrate | export`. No Prefect.

Each is one step that may be broken off and run again, so by hand a flow would add nothing but its
server's start; by a schedule the second is the flow `retention`.
"""

import argparse
import sys
from datetime import UTC, date, datetime

from flightline.adapters.prediction_log import schema
from flightline.core.environment import read_settings
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.steps.retention import before_of, export


def migrate(settings: Settings) -> None:
    """Bring the log's schema to the one of this code."""
    before = schema.current_revision(settings)
    after = schema.migrate(settings)
    place = schema.place_of(schema.log_url(settings))
    print(f"prediction log: {place}, schema {after}" + (f", was {before or 'none'}" if before != after else ""))


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
    which.add_argument(
        "--before", type=_midnight, metavar="DATE", help="days before this one (UTC), as 2026-01-31, needed or not"
    )
    which.add_argument("--days", type=_days, help="days to keep besides today; the setting retention_days if absent")
    options = parser.parse_args(arguments)
    if options.command == "migrate":
        return run_command(lambda: migrate(read_settings()))
    return run_command(lambda: _export(open_project(), options.before, options.days))


def _export(project: Project, before: datetime | None, days: int | None) -> None:
    now = datetime.now(UTC)  # a day's age is by the time of day; what monitoring reads of it, by the event clock
    if before is not None:
        export(project, before, now, keeps_needed=False)
    else:
        export(project, before_of(days or project.settings.prediction_log.retention_days, now), now)


if __name__ == "__main__":
    sys.exit(main())
