"""Plants: the rows of a feature table are stamped when what they tell of begins, not when it is known."""

import sys
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
    lag = ibis.interval(seconds=int(chosen["seconds"]))

    def build(right: Any, groups: Any) -> Any:
        table = right(groups)
        return table.mutate(event_timestamp=table.event_timestamp - lag)

    return with_table(project, chosen["table"], build, sys.modules[__name__])
