"""What outlives a task, and who hears of it: the account's state, alarms by rules, messages, ways to the pages."""

import json
import re
from pathlib import Path

import pytest
import yaml

from serving.telemetry.cloudwatch import measure
from template.tests.infra.emulated.cloud import STATE_BUCKET
from tests.serving.telemetry.test_cloudwatch import FIRST
from tools.terraform import commands
from tools.terraform.terraform import ROOT, TerraformError

pytestmark = pytest.mark.slow
RULES = ROOT / "infra" / "stack" / "prometheus" / "rules.yml"
# Rules that have alarms of AWS's own in their place; infra/modules/rules says which.
OTHERWISE = {"ServiceDown", "LogFull", "MonitorUnread"}
SETTINGS = {"log_free_bytes", "features_behind_seconds"}  # gauges that the sample of the test has not


@pytest.fixture
def noted(monkeypatch, tmp_path) -> Path:
    file = tmp_path / "backend.json"
    monkeypatch.setattr(commands, "BACKEND", file)
    return file


def test_the_accounts_own_state_is_kept_in_its_bucket(cloud, noted, tmp_path):
    place, own = cloud.account.outputs()["backend"], cloud.infra / "account" / "terraform.tfstate"
    commands.note_backend(place, ["staging"])
    commands.keep_account_state(place, own)
    fetched = tmp_path / "fetched"
    commands.fetch_account_state("staging", fetched)
    assert fetched.read_bytes() == own.read_bytes()
    versions = cloud.client("s3").list_object_versions(Bucket=STATE_BUCKET, Prefix=commands.ACCOUNT_STATE)["Versions"]
    assert len(versions) == 1


def test_each_environment_may_have_a_place_of_its_own(noted):
    first, second = {"bucket": "first", "region": "a"}, {"bucket": "second", "region": "b"}
    commands.note_backend(first, ["staging"])
    with pytest.raises(TerraformError, match=r"where the state of production is; run: make infra-account"):
        commands.read_backend("production")
    commands.note_backend(second, ["production"])
    assert (commands.read_backend("staging"), commands.read_backend("production")) == (first, second)
    noted.write_text(json.dumps(first))  # of before December 2026
    assert commands.read_backend("production") == first


def test_each_rule_of_prometheus_is_an_alarm_on_what_the_service_logs(cloud):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = {rule["alert"] for group in groups for rule in group["rules"]}
    found = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="flightline-staging-rule-")["MetricAlarms"]
    assert {alarm["AlarmName"].removeprefix("flightline-staging-rule-") for alarm in found} == rules - OTHERWISE
    asked = [one["MetricStat"]["Metric"] for alarm in found for one in alarm["Metrics"] if "MetricStat" in one]
    assert {one["Namespace"] for one in asked} == {"flightline-staging"}
    logged = {(name, ()) for name in set(measure(FIRST, {})[0]) | SETTINGS} | {("monitor_decision", ("retrain",))}
    asked_for = {(one["MetricName"], tuple(each["Value"] for each in one.get("Dimensions", ()))) for one in asked}
    assert asked_for <= logged
    assert all(alarm["AlarmActions"] for alarm in found)


def test_bounds_are_those_of_prometheus(cloud):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    texts = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
    found = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="flightline-staging-rule-")["MetricAlarms"]
    bounds = {alarm["AlarmName"].rsplit("-", 1)[-1]: alarm["Threshold"] for alarm in found}
    # Bounds written as such; of a percentile above half a second, the share of slow ones is the hundredth that is left.
    for name in (
        "RequestsFail",
        "NoRoom",
        "WrongKeys",
        "FeaturesStale",
        "FeaturesMissing",
        "ChallengerFails",
        "ModelNotSigned",
    ):
        assert float(re.search(r"> ([\d.]+)$", texts[name].strip())[1]) == bounds[name], name
    assert bounds["FeaturesBehind"] == 3 * 3600
    assert bounds["ModelOld"] == 60 * 86400
    assert "quantile(0.99" in texts["AnswersSlow"]
    assert bounds["AnswersSlow"] == bounds["LogSlow"] == 0.01


def test_the_dashboard_shows_service_and_monitoring(cloud):
    body = json.loads(cloud.client("cloudwatch").get_dashboard(DashboardName="flightline-staging")["DashboardBody"])
    titles = {widget["properties"]["title"] for widget in body["widgets"]}
    assert {"requests", "model_age_seconds", "monitor_decision", "monitor_metric"} <= titles


def container(cloud, task: str) -> dict:
    found = cloud.client("ecs").describe_task_definition(taskDefinition=f"flightline-staging-{task}")["taskDefinition"]
    return found["containerDefinitions"][0]


def test_the_worker_knows_where_messages_pages_and_gauges_go(cloud):
    worker = container(cloud, "worker")
    places = {pair["name"]: pair["valueFrom"] for pair in worker["secrets"]}
    assert re.search(r":secret:flightline-staging/alerts-\w+:url::$", places["FLIGHTLINE_ALERTS__URL"])
    secret = cloud.client("secretsmanager").get_secret_value(
        SecretId=places["FLIGHTLINE_ALERTS__URL"].rsplit(":", 3)[0]
    )
    assert json.loads(secret["SecretString"]) == {"url": ""}
    given = {pair["name"]: pair["value"] for pair in worker["environment"]}
    assert given["FLIGHTLINE_MONITORING_URL"].startswith("s3://flightline-staging-exports-123456789012/monitoring?")
    assert given["FLIGHTLINE_CLOUDWATCH_NAMESPACE"] == "flightline-staging"


def test_one_task_alone_can_be_entered(cloud):
    tasks = [
        arn.rsplit("/", 1)[-1].split(":")[0]
        for arn in cloud.client("ecs").list_task_definitions()["taskDefinitionArns"]
    ]
    entered = {
        name
        for name in tasks
        if not container(cloud, name.removeprefix("flightline-staging-"))["readonlyRootFilesystem"]
    }
    assert entered == {"flightline-staging-pages"}
    iam = cloud.client("iam")
    open_to = {
        role["RoleName"]
        for role in iam.list_roles()["Roles"]
        if "entered" in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    }
    assert open_to == {"flightline-staging-pages-task"}
