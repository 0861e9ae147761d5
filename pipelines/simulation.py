"""Lives through real days: `python -m pipelines.simulation --from ... --to ...`.

The clock moves, features are materialised into an online store of the simulation's own, a real
service is asked over HTTP at each prediction time, labels arrive, and at the end the monitor
runs and every prediction is rebuilt (`pipelines/parity.py`).
"""

import argparse
import io
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from prefect import flow

from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.event_clock import set_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.ports import free_port
from flightline.core.clock import parse_moment
from flightline.core.project import Project, open_project
from flightline.monitoring.labels import LABELLED, LabelCounts
from flightline.monitoring.replay_plan import Plan, arrivals_between
from pipelines import labels
from pipelines.common.command_line import run_command
from pipelines.common.progress import bar, stage
from pipelines.common.servers.by_hand import by_hand
from pipelines.monitoring import in_words, run_monitoring
from pipelines.monitoring_steps.champion import find_champion
from pipelines.parity import print_parity
from pipelines.replay.root import BringModel, fetch_champion, make_root
from pipelines.replay.service import Client, running_service
from pipelines.replay.staleness_cost import print_staleness_cost
from pipelines.steps.features import find_examples
from pipelines.steps.preparation import pull

DAY_LETTERS = len("2013-12-27")


@dataclass(frozen=True)
class SimulatedDay:
    """What a day came to.

    Parameters
    ----------
    start, end
        By the event clock.
    predictions
        Answered in it.
    labels
        What is known by its end of every instance asked about since the simulation began.
    seconds
        It took, by the time of day.
    """

    start: datetime
    end: datetime
    predictions: int
    labels: LabelCounts
    seconds: float

    @property
    def labelled(self) -> int:
        """Instances with a label by its end."""
        return self.labels.outcomes.get(LABELLED, 0)

    def __str__(self) -> str:
        figures = f"{self.predictions:,} predictions, {self.labelled:,} labels so far ({self.seconds:.1f} s)"
        return f"{self.start:%Y-%m-%d}      {figures}"


def live_through(simulated: Project, plan: Plan, client: Client) -> Iterator[tuple[datetime, int]]:
    """Move the clock to the plan's end; after each step give where it stands and how many were answered."""
    settings = simulated.settings
    examples = pd.read_parquet(
        settings.features_dir / "current" / "examples" / "examples.parquet",
        columns=[*simulated.request_fields, "event_timestamp", "example_id"],
    )
    known_until = plan.start
    for start, end in plan.steps():
        set_clock(settings, start)
        if start > known_until:
            client.close()  # it may take longer than an idle connection is kept
            feast_store.materialise_since(settings, known_until, start)
            known_until = start
        client.wait_until_materialised(start)
        answered = 0
        for moment, asked in arrivals_between(examples, start, end):
            set_clock(settings, moment)
            answered += client.predict(simulated.requests_of(asked))
        yield end, answered


def record_labels(simulated: Project, data: DataVersion, clock: datetime) -> LabelCounts:
    """Let the labels arrive that are known by the clock."""
    set_clock(simulated.settings, clock)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # a line a day says enough
        warnings.simplefilter("ignore", DeprecationWarning)  # Feast shows those of other packages
        file = find_examples(simulated, data, clock)
    return labels.join_labels(simulated, file, clock, data.md5)


def run_days(simulated: Project, plan: Plan, client: Client, data: DataVersion) -> Iterator[SimulatedDay]:
    """Live through the plan, and give each day as it ends."""
    day, answered, began = plan.start, 0, time.perf_counter()
    for clock, count in live_through(simulated, plan, client):
        answered += count
        if clock == plan.day_end(day):
            counts = record_labels(simulated, data, clock)
            yield SimulatedDay(day, clock, answered, counts, time.perf_counter() - began)
            day, answered, began = clock, 0, time.perf_counter()


def run_simulation(
    project: Project, plan: Plan, data: DataVersion, bring_model: BringModel = fetch_champion
) -> tuple[Project, list[SimulatedDay]]:
    """Tell the story of a simulation up to its last label; call it inside a flow."""
    with stage("root") as progress:
        simulated = make_root(project, plan, free_port(), bring_model)
        root = simulated.settings.root.relative_to(project.settings.root)
        progress.say(f"{root}, materialised as of {plan.start:%Y-%m-%d %H:%M} UTC")
    days = []
    with bar("days") as advance, running_service(simulated.settings, project.problem.model_name) as client:
        for day in run_days(simulated, plan, client, data):
            print(day, flush=True)
            days.append(day)
            advance(len(days), (plan.end - plan.start).days)
    return simulated, days


@flow(name="simulation", validate_parameters=False)
def simulation(plan: Plan) -> list[SimulatedDay]:
    """Live through real days with the champion, judge them, and rebuild every prediction."""
    project = open_project()
    data = pull(project)
    find_champion(project)  # or the monitor would find out at the very end that it has no reference
    simulated, days = run_simulation(project, plan, data)
    print_days(days)
    monitored = run_monitoring(simulated)
    print(f"{'monitor':14}  {in_words(monitored)}", flush=True)
    print_staleness_cost(simulated)
    print_parity(simulated)
    return days


def print_days(days: list[SimulatedDay]) -> None:
    """Print what all days came to."""
    asked, seconds, labels = sum(day.predictions for day in days), sum(day.seconds for day in days), days[-1].labels
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(labels.outcomes.items()))
    known = f"{outcomes or 'no outcome'} by the clock, {labels.waiting:,} not known yet"
    print(f"{'all':14}  {asked:,} predictions over HTTP: {known} ({seconds:.1f} s)")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    parser = argparse.ArgumentParser(description=simulation.__doc__)
    parser.add_argument("--from", dest="start", required=True, help="a day, or a moment such as 2013-12-27T06:00:00Z")
    parser.add_argument("--to", dest="end", required=True, help="the day or moment before which to stop")
    parser.add_argument("--step", type=float, default=60, help="minutes between two materialisations")
    options = parser.parse_args(arguments)
    return run_command(lambda: by_hand(simulation)(plan_of(options.start, options.end, options.step)))


def plan_of(start: str, end: str, step_minutes: float) -> Plan:
    """Read a plan from the command line; a day stands for its midnight, UTC."""
    begin, stop = (parse_moment(f"{text}T00:00:00Z" if len(text) == DAY_LETTERS else text) for text in (start, end))
    return Plan(begin, stop, timedelta(minutes=step_minutes))


if __name__ == "__main__":
    sys.exit(main())
