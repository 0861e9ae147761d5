"""Registers Feast's declarations where a registry is new: `python -m pipelines.commands.declarations`. No Prefect.

The stack runs it once, before anything reads features. A registry that knows the feature service
already is left alone: a changed meaning comes with a training, whose model fits it.
"""

import sys

from flightline.adapters.feast import feature_store as feast_store
from flightline.core.problem_spec import Problem
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from pipelines.common.command_line import run_command


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
