"""Rebuilds logged predictions from the feature tables and compares: `python -m pipelines.parity`."""

import argparse
import sys
from pathlib import Path

from flightline.core.errors import LogError
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.replay.parity import check_parity, demand_parity
from pipelines.replay.root import simulated_settings
from pipelines.replay.staleness_cost import print_staleness_cost


def print_parity(project: Project) -> None:
    """Compare every logged prediction of a root, print the result, and refuse a mismatch."""
    with stage("parity") as progress:
        report = check_parity(project)
        progress.say(str(report))
    demand_parity(report)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="of a simulation; without it, the project's own log")
    root = parser.parse_args(arguments).root
    return run_command(lambda: _run(root))


def _run(root: Path | None) -> None:

    project = open_project()
    if root is not None:
        if not (root / ".state").is_dir():
            raise LogError(f"{root} holds no simulation; those of `make simulate` are folders of .state/simulations")
        settings = project.settings
        project = project.at(simulated_settings(settings, root.resolve(), settings.serving.port))
    print_staleness_cost(project)
    print_parity(project)


if __name__ == "__main__":
    sys.exit(main())
