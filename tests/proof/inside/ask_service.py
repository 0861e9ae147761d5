"""Runs inside a copy: starts its service, asks it, and says in one line each what it found.

    python -m tests.proof.inside.ask_service [--host HOST]

With a host it only starts the service there, without keys, and says what came of that. Asks
about the last example of the data, moved to where its prediction time is the event clock.
Exits with 1 if the service did not answer the prediction.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from flightline.adapters.event_clock import read_clock
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from tests.proof.execution.server import free_port

START_SECONDS = 600
STALE = "stale"
DAY = timedelta(days=1)
DATE_LETTERS = len("2020-01-31")
LONGEST_CALENDAR = 32  # days


def model_url(project: Project) -> str:
    """Name the path of the model."""
    return f"/v1/models/{project.problem.model_name}"


@contextmanager
def service(settings: Settings, log: Path, **changes: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the service of this tree with its model sync, and give it with its address."""
    port = str(free_port())
    given = {"FLIGHTLINE_SERVING__PORT": port, **changes}
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "serving"]
        process = subprocess.Popen(command, env=os.environ | given, cwd=settings.root, stdout=stream, stderr=stream)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=600)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(url: str, body: Mapping[str, object] | None = None) -> tuple[int, dict]:
    """Ask, and give status and answer; 0 if nobody answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    try:
        with direct.open(request, timeout=600) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)
    except OSError:
        return 0, {}


def wait_for_status(process: "subprocess.Popen[bytes]", url: str, log: Path) -> dict:
    """Wait until the service can predict, or says which model it refuses, or why nothing is written."""
    deadline = time.monotonic() + START_SECONDS
    status: dict[str, Any] = {}
    while time.monotonic() < deadline and process.poll() is None:
        _, status = ask(url)
        # The model sync comes after the service: only then is it known whether the champion is in place.
        if status.get("refused") or (status and "is champion and is in place" in log.read_text(errors="replace")):
            return status
        time.sleep(0.2)
    raise SystemExit(f"the service did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def last_instance(project: Project) -> dict[str, object]:
    """Give the last example as a request, moved by whole days to where the clock has not passed its prediction time.

    And on to a day that requests may be about: a calendar may have only Mondays, or the first of each month.
    """
    examples = pd.read_parquet(project.settings.features_dir / "current" / "examples" / "examples.parquet")
    last = examples.sort_values(["event_timestamp", "example_id"]).tail(1)
    (instance,) = project.requests_of(last)
    late = read_clock(project.settings) - last["event_timestamp"].iloc[0]
    field = project.schemas.event_time_field
    date, hour = str(instance[field])[:DATE_LETTERS], str(instance[field])[DATE_LETTERS:]
    moved = pd.Timestamp(date) + max(ceil(late / DAY), 0) * DAY
    days = [moved + number * DAY for number in range(LONGEST_CALENDAR)]
    requests = [instance | {field: f"{day:%Y-%m-%d}{hour}"} for day in days]
    return next((request for request in requests if is_request(project, request)), requests[0])


def is_request(project: Project, request: Mapping[str, object]) -> bool:
    """Tell whether the service would take a request."""
    try:
        project.schemas.instance.model_validate_json(json.dumps(request))
    except ValidationError:
        return False
    return True


def describe_answer(project: Project, answer: Mapping[str, dict]) -> str:
    """Say what a prediction rests on, by the answer and by what was logged with it."""
    (prediction,) = answer["predictions"]
    log = PredictionLog(project.settings)
    rows = log.read(ids=[prediction["prediction_id"]])
    log.close()
    (row,) = rows.to_dict("records")
    of_store = [name for name in store_features(project) if name not in project.request_fields]
    used = sum(row["features"].get(name) is not None for name in of_store)
    stale = sum(reason == STALE for reason in prediction["missing_features"].values())
    return (
        f"ANSWERED: version {answer['model']['version']}, logged; {used} value(s) of the online store used, "
        f"{stale} view(s) named stale"
    )


def store_features(project: Project) -> list[str]:
    """Name the features that the online store gives."""
    from flightline.adapters.feast.online_features import OnlineFeatures

    features = OnlineFeatures.open(project.settings, project.problem.feature_service)
    features.close()
    return list(features.names)


def ask_about_a_prediction(project: Project, log: Path) -> int:
    """Start the service, say which model it refuses if it does, and ask it for one prediction."""
    with service(project.settings, log) as (process, address):
        url = f"{address}{model_url(project)}"
        status = wait_for_status(process, url, log)
        if status["refused"]:
            print(f"REFUSED: version {status['refused']['version']}: {status['refused']['reason']}")
        ready, health = ask(f"{address}/health/ready")
        print("READY" if ready == 200 else f"NOT READY {ready}: {health.get('reason')}")
        code, answer = ask(f"{url}:predict", {"instances": [last_instance(project)]})
        if code != 200:
            print(f"NOT ANSWERED {code}: {answer.get('error')}")
            return 1
        print(describe_answer(project, answer))
    return 0


def start_at(settings: Settings, log: Path, host: str) -> int:
    """Start the service at an address without keys; say why it did not, or that it did."""
    changes = {"FLIGHTLINE_SERVING__HOST": host, "FLIGHTLINE_SERVING__WATCH": "false"}
    with service(settings, log, **changes) as (process, _):
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if "Uvicorn running" in log.read_text(errors="replace"):
                print(f"STARTED: at {host} without a key")
                return 0
            time.sleep(0.05)
    print(log.read_text(errors="replace"))
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="only start there")
    host = parser.parse_args().host
    project = open_project()
    log = project.settings.state_dir / "service.log"
    return start_at(project.settings, log, host) if host else ask_about_a_prediction(project, log)


if __name__ == "__main__":
    sys.exit(main())
