"""A worker of those flows: `python -m tests.pipelines.orchestration.small_worker work | tell EVENT MODEL`."""

import sys
from dataclasses import replace

from flightline.core.settings import Settings
from flightline.monitoring.decision import Action
from pipelines.common.command_line import run_command
from pipelines.common.events import announce_decision, announce_new_data
from pipelines.orchestration import deployments, worker
from tests.support.models.small_flows import FLOWS, PROBLEM, small_project

MODULE = "tests.pipelines.orchestration.small_worker"


def tell(event: str, model: str) -> None:
    """Send an event, as a flow does at its end: `small_worker tell retrain MODEL`."""
    about = replace(PROBLEM, model_name=model)
    if event == "new-data":
        announce_new_data(about, "first.dir", "second.dir")
    else:
        announce_decision(about, Action(event), f"{event}: told", ["the loss rose"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["tell"]:
        tell(*sys.argv[2:])
    elif sys.argv[1:] == ["work"]:
        sys.exit(run_command(lambda: worker.work(Settings(), module=MODULE)))
    else:
        deployments.serve(small_project(Settings()), FLOWS)
