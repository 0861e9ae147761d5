"""Sends the running service a real request: `python -m pipelines.commands.request`.

A service that wants an API key is given the one in FLIGHTLINE_API_KEY.
"""

import json
import os
import sys

import httpx

from flightline.adapters.event_clock import read_clock
from flightline.adapters.upcoming import upcoming_instances
from flightline.core.errors import FeatureError, RequestError
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.servers.processes import open_client

TIMEOUT_SECONDS = 30
KEY_VARIABLE = "FLIGHTLINE_API_KEY"


def next_instance(project: Project) -> dict[str, object]:
    """Take the first example whose prediction time is not before the clock.

    Of events that nobody knows ahead there is none: then EXAMPLE of the problem, if its event is not past.

    Raises
    ------
    FeatureError
        If there is neither.
    """
    clock = read_clock(project.settings)
    try:
        coming = upcoming_instances(project, clock, 1)
    except FileNotFoundError as err:
        raise FeatureError("there are no examples yet; run `make train` first") from err
    if coming:
        return coming[0]
    example = project.schemas.instance.model_validate(project.schemas.example)
    if project.prediction_time_of(example) >= clock:
        return dict(project.schemas.example)
    raise FeatureError(
        "no example lies after the event clock, nor does EXAMPLE of problem/api_schema.py; ingest newer data or set "
        "the clock back"
    )


def predict(project: Project, instance: dict[str, object]) -> dict[str, object]:
    """Ask the service about one instance.

    Raises
    ------
    RequestError
        If it does not answer, or refuses.
    """
    serving = project.settings.serving
    url = f"http://{serving.host}:{serving.port}/v1/models/{project.problem.model_name}:predict"
    key = os.environ.get(KEY_VARIABLE, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with open_client(TIMEOUT_SECONDS) as client:
            response = client.post(url, json={"instances": [instance]}, headers=headers)
    except httpx.HTTPError as err:
        raise RequestError(f"no service answers on {url} ({err}); start it in another terminal: make serve") from err
    if response.is_success:
        return dict(response.json())
    is_without_key = response.status_code == httpx.codes.UNAUTHORIZED
    remedy = f"; set {KEY_VARIABLE} to a key that `make api-key` issued" if is_without_key else ""
    raise RequestError(f"the service refused with {response.status_code}: {response.text}{remedy}")


def _show(project: Project) -> None:
    instance = next_instance(project)
    print("request:", json.dumps(instance))
    print("answer:", json.dumps(predict(project, instance), indent=2))


if __name__ == "__main__":
    sys.exit(run_command(lambda: _show(open_project())))
