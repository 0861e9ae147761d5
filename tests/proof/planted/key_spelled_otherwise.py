"""Plants: a key is spelled otherwise in requests than in the feature tables, so that nothing joins."""

import sys
from typing import Any

import numpy as np

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_requests

NAME = "key_spelled_otherwise"


def make_project(settings: Settings) -> Project:
    """Build the project with another spelling of one key in requests."""
    key = choices()[NAME]["key"]

    def respelled(right: Any, requests: Any) -> Any:
        values = right[key] if key in right else requests[key]
        spelled = [value if value is None else f"{value} " for value in values]
        return {**right, key: np.array(spelled, dtype=object)}

    return with_requests(small.make_project(settings), sys.modules[__name__], keys=respelled)
