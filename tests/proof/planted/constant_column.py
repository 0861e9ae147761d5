"""Plants: a feature of the request is the same whatever the request."""

import sys
from typing import Any

import numpy as np

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_requests

NAME = "constant_column"


def make_project(settings: Settings) -> Project:
    """Build the project with one feature of the request made constant."""
    name = choices()[NAME]["feature"]

    def flat(right: Any, requests: Any) -> Any:
        return {**right, name: np.zeros(len(right[name]))}

    return with_requests(small.make_project(settings), sys.modules[__name__], features=flat)
