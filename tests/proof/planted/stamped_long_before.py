"""Plants: the same as `stamped_too_early`, where it takes longest until something is known."""

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import small
from tests.proof.planted.stamped_too_early import stamp_earlier

NAME = "stamped_long_before"


def make_project(settings: Settings) -> Project:
    """Build the project with another table stamped too early."""
    return stamp_earlier(small.make_project(settings), NAME)
