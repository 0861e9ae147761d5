"""Where the event clock stands, what is behind it, and moving it: `python -m pipelines.commands.clock --to MOMENT`."""

import argparse
import sys
from datetime import timedelta
from typing import Any

from flightline.adapters.event_clock import REAL, changed_first_clock, follows_the_day, move_clock, read_clock
from flightline.core.clock import parse_moment
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.steps.behind import REMEDIES, find_behind, months_beyond


def move(project: Project, to: str) -> None:
    """Move the clock to an ISO 8601 moment, or let it follow the time of day (`real`).

    Raises
    ------
    ClockError
        As `move_clock`, and if that is no moment.
    """
    move_clock(project.settings, None if to == REAL else parse_moment(to), project.problem.first_clock)


def describe(project: Project) -> str:
    """Say where the clock stands, and how far what follows it is.

    Raises
    ------
    ClockError
        If there is no clock.
    """
    settings = project.settings
    clock = read_clock(settings)
    how = "the time of day" if follows_the_day(settings) else "set"
    lines = [f"{'event clock':14}  {clock:%Y-%m-%d %H:%M:%S} UTC, {how}"]
    lines += [f"{name.replace('_', ' '):14}  {_say(name, part)}" for name, part in find_behind(project).items()]
    notes = (months_beyond(settings, clock), changed_first_clock(settings, project.problem.first_clock))
    return "\n".join([*lines, *(f"{'note':14}  {note}" for note in notes if note)])


def _say(name: str, part: dict[str, Any]) -> str:
    if part["as_of"] is None:
        return f"not known yet: `{REMEDIES[name]}`"
    seconds = part["seconds"]
    faults = [f"{timedelta(seconds=abs(seconds))} {'behind' if seconds > 0 else 'ahead'}"] if seconds else []
    faults += ["of another data version"] if part["is_other_data"] else []
    return f"as of {part['as_of'][:19].replace('T', ' ')} UTC, " + (
        f"{', '.join(faults)}: `{REMEDIES[name]}`" if faults else "as the clock"
    )


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, move the clock if that is asked, and print where it stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", default="", help="a moment such as 2014-01-31T12:00Z, or `real`: the time of day")
    to = parser.parse_args(arguments).to

    def run() -> None:
        project = open_project()
        if to:
            move(project, to)
        print(describe(project))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
