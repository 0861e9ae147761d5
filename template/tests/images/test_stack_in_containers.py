"""The stack in containers: it comes up by the file of `make stack-up`, trains, serves, and keeps what it should."""

import json
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest

from flightline.problem.api_schema import EXAMPLE
from flightline.problem.config import PROBLEM
from template.tests.images.stack_containers import STARTED, ComposedStack, composed
from tests.stack.servers import at_prefect, finish_run, run_of, wait_until

STATUS = f"/v1/models/{PROBLEM.model_name}"
PREDICT = f"{STATUS}:predict"
OWN = [name for name in STARTED if name != "prometheus"]


@pytest.fixture(scope="module")
def stack(docker, service_image, flows_image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedStack]:
    with composed(docker, tmp_path_factory.mktemp("composed")) as made:
        yield made


@pytest.fixture(scope="module")
def trained(stack: ComposedStack) -> ComposedStack:
    with at_prefect(stack.url("prefect"), stack.variables["STACK_PREFECT_PASSWORD"]):
        finish_run(run_of("training", model="logistic_regression"), lambda: stack.log("worker"), 400)
    wait_until(stack.service.is_ready, 600, lambda: stack.log("model-sync"))
    return stack


def test_all_of_it_is_up_and_the_service_waits_for_a_model(stack: ComposedStack) -> None:
    assert stack.service.ask("/health/live").status == 200
    assert stack.service.ask("/health/ready").status == 503


@pytest.mark.parametrize("name", ["mlflow", "prefect"])
def test_the_pages_for_people_are_there_though_nothing_can_be_written(stack: ComposedStack, name: str) -> None:
    with urllib.request.urlopen(f"{stack.url(name)}/", timeout=10) as answer:
        assert "<html" in answer.read().decode().lower()


@pytest.mark.parametrize("service", OWN)
def test_what_is_our_own_runs_hardened(stack: ComposedStack, service: str) -> None:
    assert stack.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true"
    assert stack.inspect(service, "{{.HostConfig.CapDrop}}") == "[ALL]"
    assert stack.inspect(service, "{{.HostConfig.SecurityOpt}}") == "[no-new-privileges:true]"
    assert stack.inspect(service, "{{.Config.User}}") == "10001:10001"
    assert int(stack.inspect(service, "{{.HostConfig.Memory}}")) > 0


@pytest.mark.parametrize(
    ("service", "other", "port"),
    [("service", "mlflow", 5000), ("service", "prefect", 4200), ("mlflow", "redis", 6379),
     ("worker", "artifacts", 8333), ("model-sync", "postgres", 5432), ("prometheus", "redis", 6379)],
)  # fmt: skip
def test_nobody_reaches_what_it_does_not_need(stack: ComposedStack, service: str, other: str, port: int) -> None:
    ask = f"import socket; socket.create_connection(('{other}', {port}), 3)"
    assert stack.execute(service, "python", "-c", ask, check=False).returncode != 0


def test_a_training_by_the_deployment_is_served_and_logged(trained: ComposedStack) -> None:
    answer = trained.service.ask(PREDICT, {"instances": [EXAMPLE]})
    assert answer.status == 200, answer.body
    given = answer.json()["predictions"][0]["prediction_id"]
    password = trained.variables["STACK_PREDICTIONS_PASSWORD"]
    url = f"postgresql://predictions:{password}@127.0.0.1:{trained.database.port}/predictions"
    with psycopg.connect(url) as connection:
        assert connection.execute(
            "SELECT model_name FROM predictions WHERE prediction_id = %s", [given]
        ).fetchall() == [(PROBLEM.model_name,)]


def test_prometheus_reads_the_service_with_its_key(trained: ComposedStack) -> None:
    def targets() -> list[dict]:
        with urllib.request.urlopen(f"{trained.url('prometheus')}/api/v1/targets", timeout=10) as answer:
            return json.load(answer)["data"]["activeTargets"]

    def service_health() -> list[str]:
        return [one["health"] for one in targets() if one["labels"]["job"] == "flightline"]

    wait_until(lambda: service_health() == ["up"], 60, targets)


def test_what_volumes_keep_is_there_after_down_and_up(trained: ComposedStack) -> None:
    trained.do("down")
    trained.up()
    wait_until(trained.service.is_ready, 600, lambda: trained.log("service"))
    assert trained.service.ask(STATUS).json()["version"] == "1"
    assert trained.service.ask(PREDICT, {"instances": [EXAMPLE]}).status == 200


def test_stopping_ends_what_is_our_own_in_order(trained: ComposedStack) -> None:
    trained.do("stop", "service", "model-sync")
    assert trained.inspect("service", "{{.State.ExitCode}}") == "0"
    assert trained.inspect("model-sync", "{{.State.ExitCode}}") == "0"
