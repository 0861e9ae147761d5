"""What runs on the worker, for a deployment, which ends it: `python -m pipelines.orchestration.running`."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException

from flightline.core.problem_spec import Problem
from flightline.core.project import open_project
from pipelines.common.command_line import run_command

POLL_SECONDS = 5.0


def running_flows(problem: Problem) -> list[str]:
    """Name the runs of this model's deployments that the worker has begun, the oldest first."""
    begun = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=begun)),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[problem.model_name])),
        )
        flows = {found.id: found.name for found in client.read_flows()}
    return [
        f"{flows.get(run.flow_id, 'a flow')} ({run.name}, for {_minutes(run.start_time)} minutes)"
        for run in sorted(runs, key=lambda run: run.start_time or datetime.now(UTC))
    ]


def wait_for_flows(problem: Problem, seconds: float, sleep: Callable[[float], None] = time.sleep) -> str:
    """Wait until no flow runs, or the time is over; say in one line what a deployment ends.

    A server that does not answer holds no deployment up.
    """
    until = time.monotonic() + seconds
    try:
        while runs := running_flows(problem):
            if time.monotonic() >= until:
                return f"ends after {seconds:.0f} s of waiting: {', '.join(runs)}"
            print(f"waits for {', '.join(runs)}", flush=True)
            sleep(POLL_SECONDS)
    except (HTTPError, PrefectException, OSError) as err:
        return f"Prefect does not say what runs ({type(err).__name__}); what does is ended"
    return "no flow runs"


def _minutes(since: datetime | None) -> int:
    return int((datetime.now(UTC) - since).total_seconds() // 60) if since else 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="how long a running flow is waited for at most")
    seconds = parser.parse_args(arguments).seconds
    return run_command(lambda: print(wait_for_flows(open_project().problem, seconds)))


if __name__ == "__main__":
    sys.exit(main())
