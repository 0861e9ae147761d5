"""The real loop on the real servers, in the order of the tests: train, serve, swap, log, label, monitor."""

import json
import urllib.request
from datetime import UTC, datetime
from uuid import UUID

import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.problem import PROBLEM
from tests.service_load import Load
from tests.small_service import PREDICT, STATUS
from tests.stack.servers import Stack, wait_until
from tools.check_rules import STACK, dashboard_queries

ASKED = 200
AFTER_THE_YEAR = datetime(2014, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def stack(stack_of_processes: Stack) -> Stack:
    return stack_of_processes


@pytest.fixture(scope="module")
def trained(stack: Stack) -> Stack:
    """The stack after a first training on the whole year, by the deployment."""
    stack.finish(stack.ask_for("training", model="logistic_regression"))
    wait_until(lambda: stack.service.ask("/health/ready").status == 200, 120, lambda: stack.log("service"))
    return stack


@pytest.fixture(scope="module")
def instances(trained: Stack) -> list[dict]:
    """Real requests: the flights that the clock has not reached yet."""
    examples = pd.read_parquet(trained.flows.features_dir / "current" / "examples" / "examples.parquet")
    coming = examples[examples["event_timestamp"] >= pd.Timestamp("2013-12-31T12:00Z")].head(ASKED)
    columns = [*PROBLEM.entity_keys, *PROBLEM.request_columns]
    return json.loads(coming[columns].to_json(orient="records", date_format="iso"))


def version(stack: Stack) -> str:
    return stack.service.ask(STATUS).json()["version"]


def prometheus(stack: Stack, path: str) -> dict:
    with urllib.request.urlopen(f"{stack.url('prometheus')}/api/v1/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def test_before_the_first_training_the_service_lives_and_says_what_it_waits_for(stack: Stack) -> None:
    assert stack.service.ask("/health/live").status == 200
    ready = stack.service.ask("/health/ready")
    assert ready.status == 503
    assert "make train" in ready.body.decode()


def test_a_training_by_the_deployment_is_served(trained: Stack) -> None:
    assert version(trained) == "1"


def test_each_prediction_is_in_postgresql(trained: Stack, instances: list[dict]) -> None:
    answer = trained.service.ask(PREDICT, {"instances": instances})
    assert answer.status == 200, answer.body
    given = answer.json()["predictions"]
    assert len(given) == ASKED
    assert {one["prediction_id"] for one in given} <= trained.logged()
    assert not any("scheduled_flight" in one["missing_features"] for one in given)


def test_another_version_takes_over_under_load_and_no_request_fails(trained: Stack, instances: list[dict]) -> None:
    trained.finish(trained.ask_for("training", model="decision_tree"))
    with Load(trained.service, instances[:2], clients=2) as load:
        load.wait_for(20)
        move = ("python", "-m", "pipelines.champion", "promote", "--version", "2", "--by", "tests", "--why", "a swap")
        trained.composed.run("worker", *move)
        wait_until(lambda: version(trained) == "2", 60, lambda: trained.log("watcher"))
        load.wait_for(20)
    assert load.account.failed == {}
    assert load.account.versions == {"1", "2"}
    assert set(load.account.ids) <= trained.logged()


def test_labels_that_become_known_join_the_predictions(trained: Stack) -> None:
    set_clock(trained.flows, AFTER_THE_YEAR)
    done = trained.composed.run("worker", "python", "-m", "pipelines.trigger", "--flow", "labels")
    run_id = UUID(done.stdout.strip().rsplit("/", 1)[1])
    trained.finish(run_id)
    ((labels,),) = trained.ask_database("SELECT count(*) FROM labels")
    assert labels >= ASKED


def test_the_monitor_decides(trained: Stack) -> None:
    trained.finish(trained.ask_for("monitoring"))
    decision = json.loads((trained.flows.state_dir / "monitoring" / "decision.json").read_text())
    assert decision


def test_prometheus_reads_the_service_and_no_rule_errs(trained: Stack) -> None:
    def targets() -> list[dict]:
        return prometheus(trained, "targets")["activeTargets"]

    wait_until(lambda: [one["health"] for one in targets()] == ["up"], 60, targets)
    wait_until(lambda: {rule["health"] for rule in rules(trained)} == {"ok"}, 60, lambda: rules(trained))
    assert {rule["name"] for rule in rules(trained) if rule["state"] == "firing"} == set()


def rules(stack: Stack) -> list[dict]:
    return [rule for group in prometheus(stack, "rules")["groups"] for rule in group["rules"]]


def test_every_query_of_the_dashboard_is_answered(trained: Stack) -> None:
    for name, query in dashboard_queries(STACK).items():
        asked = query.replace("$__rate_interval", "1m")
        url = f"query?query={urllib.request.quote(asked)}"
        assert "result" in prometheus(trained, url), name


