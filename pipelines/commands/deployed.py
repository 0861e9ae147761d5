"""What a deployment asks for inside the private network: `python -m pipelines.commands.deployed apply | parity`.

A one-off task of the flows' image runs it, since only tasks reach the feature store, the registry
and the prediction log. No Prefect: a server that is not well yet must not hold a deployment up.
"""

import argparse
import sys
from datetime import datetime

import pandas as pd

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.event_clock import ensure_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.core.environment import read_settings
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.replay.parity import check_parity, demand_parity
from pipelines.steps import features


def register_features(settings: Settings) -> None:
    """Register the declarations of this image; a declaration that is unchanged stays as it is."""
    with stage("apply") as progress:
        progress.say(f"{len(feast_store.apply(settings))} feature views registered")


def build_tables(project: Project) -> None:
    """Make the feature tables of the data version that this image names, as of the clock, on this task's disk."""
    clock = ensure_clock(project.settings, project.problem.first_clock)
    data = dvc_data.pull(project)
    with stage("features") as progress:
        code = (project.raw_tables, project.features, project.key_names)
        made_of = (project.settings, project.problem, *code, data, clock, progress)
        # The plain function: as a task it would want Prefect's server.
        tables = features.build_features.function(features.build_features.key(*made_of), *made_of)
        feast_store.activate(project.settings, tables.folder)
        progress.say(f"{sum(tables.rows.values()):,} rows as of {clock:%Y-%m-%d %H:%M} UTC")


def compare_live(project: Project, since: datetime) -> None:
    """Rebuild the predictions that were logged from a moment on, and refuse any mismatch.

    Raises
    ------
    LogError
        If none was logged, so that nothing was compared.
    ParityError
        Naming what differs.
    """
    build_tables(project)
    with stage("parity") as progress:
        report = check_parity(project, since)
        progress.say(str(report))
    demand_parity(report)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="register the feature declarations")
    parity = commands.add_parser("parity", help="compare live predictions with what the feature tables say")
    parity.add_argument("--since", type=pd.Timestamp, required=True, help="logged from then on, with a time zone")
    options = parser.parse_args(arguments)
    if options.command == "apply":
        return run_command(lambda: register_features(read_settings()))
    return run_command(lambda: compare_live(open_project(), options.since.to_pydatetime()))


if __name__ == "__main__":
    sys.exit(main())
