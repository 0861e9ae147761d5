"""A worker of those flows: `python -m tests.pipelines.small_worker work`, and `tell` for an event without a flow."""

import sys
from dataclasses import replace

from flightline.monitoring import Action, MonitoringDecision
from flightline.settings import Settings
from pipelines import deployments, worker
from pipelines.announcements import announce_decision, announce_new_data
from pipelines.command import run_command
from tests.pipelines.small_flows import FLOWS, PROBLEM

MODULE = "tests.pipelines.small_worker"


def tell(event: str, model: str) -> None:
    """Tell of an event, as a flow does at its end: `python -m tests.pipelines.small_worker tell retrain MODEL`."""
    about = replace(PROBLEM, model_name=model)
    if event == "new-data":
        announce_new_data(about, "first.dir", "second.dir")
    else:
        announce_decision(about, MonitoringDecision(Action(event), f"{event}: told", ("the loss rose",), 2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["tell"]:
        tell(*sys.argv[2:])
    elif sys.argv[1:] == ["work"]:
        sys.exit(run_command(lambda: worker.work(Settings(), module=MODULE)))
    else:
        deployments.serve(Settings(), PROBLEM, FLOWS)
