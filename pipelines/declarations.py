"""Registers Feast's declarations where a registry is new: `python -m pipelines.declarations`. No Prefect.

The stack runs it once, before anything reads features. A registry that knows the feature service
already is left alone: a changed meaning comes with a training, whose model fits it.
"""

import sys

from flightline.adapters import feast_store
from flightline.problem import PROBLEM
from flightline.settings import Settings
from flightline.specification import Problem
from pipelines.command import run_command


def declare(settings: Settings, problem: Problem) -> None:
    """Register what feature_repo/ declares, if the problem's feature service is not registered yet."""
    if feast_store.is_registered(settings, problem.feature_service):
        print(f"declarations: {problem.feature_service} is registered")
        return
    print(f"declarations: {len(feast_store.apply(settings))} feature views registered for {problem.feature_service}")


def main() -> int:
    """Register the declarations of this project."""
    return run_command(lambda: declare(Settings(), PROBLEM))


if __name__ == "__main__":
    sys.exit(main())
