"""Plants: the rows of a feature table are stamped when what they tell of begins, not when it is known."""

import sys
from datetime import timedelta
from typing import Any

import ibis

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_table

NAME = "stamped_too_early"


def make_project(settings: Settings) -> Project:
    """Build the project with one table stamped too early."""
    return stamp_earlier(small.make_project(settings), NAME)


def stamp_earlier(project: Project, fault: str) -> Project:
    """Move the event timestamps of the table chosen for a fault."""
    chosen = choices()[fault]
    lag = timedelta(seconds=chosen["seconds"])

    def build(right: Any, groups: Any) -> Any:
        table = right(groups)
        return table.mutate(event_timestamp=table.event_timestamp - ibis.literal(lag))

    return with_table(project, chosen["table"], build, sys.modules[__name__])
