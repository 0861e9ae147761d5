"""Registers Feast's declarations where a registry is new: `python -m pipelines.commands.declarations`. No Prefect.

The stack runs it once, before anything reads features. A registry that knows the feature service
already is left alone: a changed meaning comes with a training, whose model fits it.
"""

import sys

from flightline.adapters.feast import feature_store as feast_store
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command


def declare(project: Project) -> None:
    """Register what feature_repo/ declares, if the problem's feature service is not registered yet."""
    service = project.problem.feature_service
    if feast_store.is_registered(project.settings, service):
        print(f"declarations: {service} is registered")
        return
    print(f"declarations: {len(feast_store.apply(project.settings))} feature views registered for {service}")


def main() -> int:
    """Register the declarations of this project."""
    return run_command(lambda: declare(open_project()))


if __name__ == "__main__":
    sys.exit(main())
