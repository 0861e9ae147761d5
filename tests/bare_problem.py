"""The toy problem with as little as a problem may have: no text feature, nothing of the request, no time ahead."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np

from flightline.core.project import Project, RequestCode
from flightline.core.settings import Settings
from tests import toy_problem


def no_features(_: object) -> Mapping[str, np.ndarray]:
    """Give nothing that follows from a request."""
    return {}


def make_project(settings: Settings) -> Project:
    """Build the project."""
    toy = toy_problem.make_project(settings)
    problem = replace(toy.problem, model_name="bare", prediction_horizon=timedelta(0), slices=())
    return replace(
        toy, problem=problem, requests=RequestCode(toy_problem.request_keys, no_features, toy.requests.modules)
    )
