"""Lives the data's year again to see when to retrain: `make replay`, or `python -m pipelines.retraining`.

Runs after `make train`, on the champion's training set and settings; nothing is fetched, registered or served.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from flightline.adapters.mlflow import registry
from flightline.core.clock import parse_moment
from flightline.core.project import Project, open_project
from flightline.retraining.comparison import compare_policies, default_price
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.monitoring_steps.champion import find_champion, find_judged, training_set_dir
from pipelines.retraining.filling import fill_matrix, retraining_dir
from pipelines.retraining.findings import findings
from pipelines.retraining.plan import YearPlan, parameters_of_run, plan_year
from pipelines.retraining.report import LivedYear, write_report


def make_plan(project: Project, first: datetime | None = None) -> tuple[YearPlan, str]:
    """Take training set and settings from the champion; gives its version too.

    Raises
    ------
    RegistryError
        If there is no champion, or its training set is not at hand.
    """
    champion, training_set = find_champion(project)
    judged = find_judged(project, champion)
    parameters = parameters_of_run(registry.parameters_of_version(project.settings, judged))
    folder = training_set_dir(project.settings, training_set)
    return plan_year(project.problem, training_set, folder, parameters, first), str(champion.version)


def replay(project: Project, price: float | None, seed: int, first: datetime | None = None) -> Path:
    """Fill the matrix, compare every policy on it, write the page, and print what was found.

    Parameters
    ----------
    price
        Of a training, in units of summed loss; None: a hundredth of a week's loss of the first model.
    seed
        Of the learned policy.
    first
        A day (UTC) of the first week; None: see `plan_year`.
    """
    with stage("plan") as progress:
        plan, version = make_plan(project, first)
        settings = ", ".join(f"{name}={value}" for name, value in plan.parameters.settings)
        progress.say(
            f"{plan.weeks} weeks from {plan.cuts[-1 - plan.weeks]:%Y-%m-%d} to {plan.cuts[-1]:%Y-%m-%d}; as version "
            f"{version}: {plan.parameters.model} ({settings or 'default settings'})"
        )
    matrix, verdicts = fill_matrix(project, plan)
    with stage("policies") as progress:
        cost = default_price(matrix) if price is None else price
        compared = compare_policies(matrix, cost, seed)
        progress.say(f"{len(compared.judged)} policies, a training at {cost:,.2f} of summed loss")
    with stage("page") as progress:
        folder = retraining_dir(project.settings) / f"{matrix.weeks[0]:%Y%m%d}-{plan.cuts[-1]:%Y%m%d}"
        page = write_report(LivedYear(project.problem, plan, version, matrix, verdicts, compared), folder)
        progress.say("page, picture, CSV and JSON written")
    for sentence in findings(matrix, compared):
        print(f"  - {sentence}")
    print(f"page: {page}")
    return page


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and replay."""
    parser = argparse.ArgumentParser(description="Live the data's year again to see when to retrain.")
    parser.add_argument("--cost", type=float, help="the price of a training in units of summed loss")
    parser.add_argument("--seed", type=int, default=0, help="of the learned policy")
    parser.add_argument("--from", dest="first", help="a day of the first week, such as 2013-05-01")
    options = parser.parse_args(arguments)
    first = parse_moment(f"{options.first}T00:00:00Z").astimezone(UTC) if options.first else None
    return run_command(lambda: replay(open_project(), options.cost, options.seed, first))


if __name__ == "__main__":
    sys.exit(main())
