"""Starts a deployed flow now, on the running worker: `python -m pipelines.orchestration.trigger --flow training`."""

import argparse
import sys
from typing import Any

from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import temporary_settings

from flightline.core.errors import StartError
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.servers.prefect_server import find_server


def trigger(project: Project, flow: str) -> None:
    """Ask Prefect for a run of a deployment, now.

    Raises
    ------
    StartError
        If no server is there, or nothing of that name is deployed.
    """
    server = find_server(project.settings)
    if server is None:
        raise StartError(
            "no worker is running for this clone: start it with `make worker`, or name another's server: "
            "make trigger PREFECT_API_URL=..."
        )
    name = f"{flow}/{project.problem.model_name}"
    with temporary_settings(server.client_settings):
        try:
            run: Any = run_deployment(name, timeout=0)  # typed as a coroutine too, which it is only inside a loop
        except ObjectNotFound as err:
            with get_client(sync_client=True) as client:
                flows = {found.id: found.name for found in client.read_flows()}
                known = [
                    flows[one.flow_id] for one in client.read_deployments() if one.name == project.problem.model_name
                ]
            raise StartError(
                f"{name} is not deployed; expected FLOW to be one of: {', '.join(sorted(known)) or 'none'}. "
                "`make worker` deploys them"
            ) from err
    print(f"{name}: run {run.name} asked for; see {server.api_url.removesuffix('/api')}/runs/flow-run/{run.id}")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and start the flow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--flow", required=True, help="materialise, labels, monitoring, canary, data-check, retention or training"
    )
    flow = parser.parse_args(arguments).flow
    return run_command(lambda: trigger(open_project(), flow))


if __name__ == "__main__":
    sys.exit(main())
