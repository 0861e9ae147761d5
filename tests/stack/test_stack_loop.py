"""The real loop on the real servers, in the order of the tests: train, serve, log, swap, label, compare, monitor."""

import json
import os
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import load_model
from flightline.adapters.model_store.served_model import current_manifest
from flightline.core.settings import Settings
from flightline.inference.predict import predict_with
from serving.prediction.predictor import as_rows, columns_of
from tests.stack.composed import PREDICT, PROJECT, STATUS
from tests.stack.conftest import ASKED
from tests.stack.embedded import Embedded
from tests.stack.servers import Stack
from tests.support.servers.service_load import Load
from tests.support.servers.service_process import running
from tests.support.waiting import wait_until
from tools.ci.check_alerts import STACK, dashboard_queries

# The week of the predictions is over by then, and their labels are known.
LATER = datetime(2014, 1, 12, tzinfo=UTC)
FEAST = ("FEAST_REGISTRY", "FEAST_REDIS", "FEAST_REDIS_PASSWORD")


def version(stack: Stack) -> str:
    return stack.service.ask(STATUS).json()["version"]


def prometheus(stack: Stack, path: str) -> dict:
    with urllib.request.urlopen(f"{stack.url('prometheus')}/api/v1/{path}", timeout=600) as answer:
        return json.load(answer)["data"]


def rules(stack: Stack) -> list[dict]:
    return [rule for group in prometheus(stack, "rules")["groups"] for rule in group["rules"]]


def test_before_a_training_the_service_says_what_it_waits_for(stack: Stack) -> None:
    assert stack.service.ask("/health/live").status == 200
    ready = stack.service.ask("/health/ready")
    assert ready.status == 503
    assert "make train" in ready.body.decode()


@pytest.mark.parametrize("name", ["mlflow", "prefect", "prometheus"])
def test_the_pages_for_people_are_there(stack: Stack, name: str) -> None:
    with urllib.request.urlopen(f"{stack.url(name)}/", timeout=600) as answer:
        assert "<html" in answer.read().decode().lower()


def test_a_training_by_the_deployment_is_served(trained: Stack) -> None:
    assert version(trained) == "1"


def test_the_model_is_in_the_artifact_store_its_record_in_postgresql(trained: Stack) -> None:
    ((source,),) = trained.ask_database("SELECT source FROM model_versions WHERE version = 1", user="mlflow")
    assert source.startswith(("mlflow-artifacts:", "models:"))
    assert any("model" in name for name in trained.objects())


def test_each_prediction_is_in_postgresql(trained: Stack, instances: list[dict]) -> None:
    answer = trained.service.ask(PREDICT, {"instances": instances})
    assert answer.status == 200, answer.body
    given = answer.json()["predictions"]
    assert len(given) == ASKED
    assert {one["prediction_id"] for one in given} <= trained.logged()
    assert all(one["feature_ages_seconds"] for one in given)


def test_another_version_takes_over_under_load_and_no_request_fails(trained: Stack, instances: list[dict]) -> None:
    trained.finish(trained.ask_for("training", model="base_rate"))  # the gate rejects it, so a person moves the alias
    assert version(trained) == "1"
    with Load(trained.service, instances[:2], clients=2, path=PREDICT) as load:
        load.wait_for(20)
        move = (
            "python",
            "-m",
            "pipelines.commands.champion",
            "promote",
            "--version",
            "2",
            "--by",
            "tests",
            "--why",
            "a swap",
        )
        trained.composed.run("worker", *move)
        wait_until(lambda: version(trained) == "2", 60, lambda: trained.log("model-sync"))
        load.wait_for(20)
    assert load.account.failed == {}
    assert load.account.versions == {"1", "2"}
    assert set(load.account.ids) <= trained.logged()
    for answer in load.account.answers:  # the base rate says the same of all
        assert (len(set(answer.probabilities)) == 1) == (answer.version == "2")


def test_a_rollback_brings_the_first_version_back(trained: Stack) -> None:
    trained.composed.run(
        "worker", "python", "-m", "pipelines.commands.champion", "rollback", "--why", "it says the same of all"
    )
    wait_until(lambda: version(trained) == "1", 60, lambda: trained.log("model-sync"))


def test_labels_that_become_known_join_the_predictions(trained: Stack) -> None:
    trained.set_clock(LATER)
    done = trained.composed.run("worker", "python", "-m", "pipelines.orchestration.trigger", "--flow", "labels")
    trained.finish(UUID(done.stdout.strip().rsplit("/", 1)[1]))
    joined = "SELECT count(DISTINCT instance_key) FROM labels JOIN predictions USING (instance_key)"
    assert trained.ask_database(joined) == [(ASKED,)]


@pytest.fixture(scope="module")
def monitoring(trained: Stack) -> UUID:
    """A run of the monitor, begun after the labels; it goes on beside the comparisons."""
    return trained.ask_for("monitoring")


@pytest.mark.usefixtures("monitoring")
def test_training_without_servers_makes_the_same_model(trained: Stack, embedded: Embedded) -> None:
    """By content: the file of a model holds its time of writing, and a training set's key names the kind of store."""
    with_servers = Settings(root=trained.flows.root, mlflow_tracking_uri=trained.url("mlflow"))
    sets, predicted, made = [], [], []
    for settings in (with_servers, embedded.settings):
        found = registry.get_version(settings, PROJECT.problem.model_name, "1")
        folder = settings.state_dir / "training_sets" / found.tags["training_set"][:16]
        sets.append([pd.read_parquet(folder / name) for name in ("examples.parquet", "features.parquet")])
        model = load_model(registry.download_model(settings, found), found.tags["model_sha256"])
        predicted.append(predict_with(model, PROJECT.problem, sets[0][1]))
        made.append(lineage(found.tags))
    for one, other in zip(*sets, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert np.array_equal(*predicted)
    assert made[0] == made[1]


def lineage(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.startswith("lineage.")}


def test_redis_and_postgresql_give_the_features_of_the_embedded_files(
    trained: Stack, embedded: Embedded, instances: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = trained.composed.environment("service")
    for name in FEAST:
        monkeypatch.setenv(name, given[name])
    columns = columns_of([PROJECT.schemas.instance.model_validate(one) for one in instances], PROJECT.request_fields)
    rows = as_rows(columns | PROJECT.requests.keys(columns), len(instances))
    service = Settings(root=trained.composed.root("service"), profile="stack")
    assert read(service, rows) == read(embedded.settings, rows)


def read(settings: Settings, rows: list[dict]) -> tuple:
    features = OnlineFeatures.open(settings, PROJECT.problem.feature_service)
    try:
        return features.read(rows, PROJECT.problem.first_clock), features.definitions_sha256, features.watermarks
    finally:
        features.close()


def test_a_service_without_servers_gives_the_same_predictions(
    trained: Stack, embedded: Embedded, instances: list[dict]
) -> None:
    body = {"instances": instances}
    assert current_manifest(embedded.settings.serving_models_dir).version == "1"
    with running(
        embedded.settings.root,
        module="serving",
        clock=PROJECT.problem.first_clock,
        PATH=os.environ["PATH"],
        FLIGHTLINE_PROBLEM_PACKAGE=PROJECT.settings.problem_package,
    ) as service:
        wait_until(service.is_ready, 600, lambda: service.log.read_text()[-2000:])
        alone = service.ask(PREDICT, body).json()["predictions"]
    together = trained.service.ask(PREDICT, body).json()["predictions"]
    assert [without_id(one) for one in together] == [without_id(one) for one in alone]


def without_id(prediction: dict) -> dict:
    return {name: value for name, value in prediction.items() if name != "prediction_id"}


def test_the_monitor_decides_about_what_was_served(trained: Stack, monitoring: UUID) -> None:
    trained.finish(monitoring)
    decision = json.loads((trained.flows.state_dir / "monitoring" / "latest_decision.json").read_text())
    assert decision["decision"]["action"] in {"ok", "watch", "retrain"}, decision


def test_prometheus_reads_what_the_monitor_wrote(trained: Stack, monitoring: UUID) -> None:
    trained.finish(monitoring)

    def said() -> list[dict]:
        return prometheus(trained, "query?query=flightline_monitor_decision")["result"]

    wait_until(lambda: sum(float(each["value"][1]) for each in said()) == 1, 60, said)


def test_prometheus_reads_the_service_and_no_rule_errs(trained: Stack) -> None:
    def targets() -> list[dict]:
        return prometheus(trained, "targets")["activeTargets"]

    wait_until(lambda: [one["health"] for one in targets()] == ["up", "up"], 60, targets)
    wait_until(lambda: {rule["health"] for rule in rules(trained)} == {"ok"}, 60, lambda: rules(trained))
    assert [rule["name"] for rule in rules(trained) if rule["state"] == "firing"] == []


def test_every_query_of_the_dashboard_is_answered(trained: Stack) -> None:
    for name, query in dashboard_queries(STACK).items():
        asked = urllib.parse.quote(query.replace("$__rate_interval", "1m"))
        assert "result" in prometheus(trained, f"query?query={asked}"), name
