"""Everything applied on an emulated AWS, and looked at there; test_used.py uses it, test_withdrawn.py takes it away."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flightline.core.settings import ServingSettings
from template.tests.infra.emulated.cloud import STATE_BUCKET, SUBJECTS, Cloud
from tests.support.waiting import wait_until
from tools.terraform.terraform import TerraformError

pytestmark = pytest.mark.slow

# What moto does not keep, by type of resource: the second plan would set it again. Nothing else may differ.
GAPS = {
    "aws_vpc_security_group_ingress_rule": {"description"},
    "aws_vpc_security_group_egress_rule": {"description"},
    "aws_ecs_service": {"availability_zone_rebalancing", "health_check_grace_period_seconds"},
    "aws_appautoscaling_target": {"tags_all"},
}
# Actions that know no resource, so "*" is the only one they take.
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", "secretsmanager:GetRandomPassword"} | {
    f"ssmmessages:{verb}{channel}Channel" for verb in ("Create", "Open") for channel in ("Control", "Data")
}


@pytest.fixture(scope="module")
def resources(cloud: Cloud) -> list[dict[str, Any]]:
    return cloud.state(cloud.environment("staging"))


@pytest.fixture(scope="module")
def shared(cloud: Cloud) -> list[dict[str, Any]]:
    return cloud.state(cloud.account)


@pytest.fixture(scope="module")
def production(cloud: Cloud) -> list[dict[str, Any]]:
    """What an apply of production would make; it is not applied."""
    plan = cloud.environment("production", "plan-production").planned(cloud.variables("production"))
    return [{**change, "values": change["change"]["after"]} for change in plan["resource_changes"]]


def of_type(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    values = [each["values"] for each in found if each["type"] == kind and each["mode"] == "managed"]
    assert values, f"there is no {kind}"
    return values


def differences(plan: dict[str, Any]) -> list[str]:
    told = []
    for change in plan["resource_changes"]:
        before, after = change["change"]["before"], change["change"]["after"]
        if change["change"]["actions"] == ["no-op"] or change["mode"] == "data":
            continue
        if change["change"]["actions"] != ["update"]:
            told.append(f"{change['address']}: {change['change']['actions']}")
            continue
        unknown = {name for name, is_unknown in change["change"]["after_unknown"].items() if is_unknown is True}
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} | unknown
        told += [f"{change['address']}: {name}" for name in sorted(changed - GAPS.get(change["type"], set()))]
    return told


def test_a_second_plan_differs_only_where_the_emulator_has_gaps(cloud):
    """Planned as the role does that only plans."""
    assert differences(cloud.environment("staging", "plan-staging").planned(cloud.variables("staging"))) == []


def test_the_comparison_of_plans_bites(cloud):
    given = [*cloud.variables("staging"), "-var=log_days=30"]
    told = differences(cloud.environment("staging").planned(given))
    assert any(line.endswith("aws_cloudwatch_log_group.flow: retention_in_days") for line in told)


def test_only_the_balancer_is_open_to_the_world_and_only_at_443(cloud):
    groups = cloud.client("ec2").describe_security_groups()["SecurityGroups"]
    doors = [
        (group["GroupName"], rule["FromPort"], rule["ToPort"])
        for group in groups
        for rule in group["IpPermissions"]
        if rule.get("IpRanges") or rule.get("Ipv6Ranges")
    ]
    assert doors == [("flightline-staging-balancer", 443, 443)]


def task(cloud, name: str) -> dict[str, Any]:
    return cloud.client("ecs").describe_task_definition(taskDefinition=f"flightline-staging-{name}")["taskDefinition"]


def test_the_service_reads_what_the_model_sync_writes(cloud):
    mounted = {}
    for name in ("stable", "model-sync"):
        found = task(cloud, name)
        (container,) = found["containerDefinitions"]
        volumes = {one["name"]: one.get("efsVolumeConfiguration") for one in found["volumes"]}
        mounts = {one["containerPath"]: one for one in container["mountPoints"]}
        mount = mounts["/srv/flightline/.state"]
        mounted[name] = volumes[mount["sourceVolume"]], mount["readOnly"]
    assert mounted["stable"][0] == mounted["model-sync"][0]
    assert (mounted["stable"][1], mounted["model-sync"][1]) == (True, False)


def test_what_answers_strangers_has_no_way_to_mlflow(cloud):
    """By the security groups' own rules, at both ends; and it is told no address."""
    groups = cloud.client("ec2").describe_security_groups()["SecurityGroups"]
    names = {group["GroupId"]: group["GroupName"].removeprefix("flightline-staging-") for group in groups}
    rules = cloud.client("ec2").describe_security_group_rules()["SecurityGroupRules"]
    ways = {
        (names[rule["GroupId"]], names[rule["ReferencedGroupInfo"]["GroupId"]], rule["FromPort"])
        for rule in rules
        if rule["IsEgress"] and "ReferencedGroupInfo" in rule
    }
    assert {(to, port) for start, to, port in ways if start == "service"} == {
        ("cache", 6379), ("database", 5432), ("files", 2049),
    }  # fmt: skip
    assert {start for start, to, _ in ways if to == "mlflow"} == {"flows", "model-sync", "pages"}
    (container,) = task(cloud, "stable")["containerDefinitions"]
    assert "FLIGHTLINE_MLFLOW_TRACKING_URI" not in {pair["name"] for pair in container["environment"]}


def test_the_service_keeps_a_connection_longer_than_the_balancer(cloud):
    client = cloud.client("elbv2")
    (balancer,) = client.describe_load_balancers()["LoadBalancers"]
    found = client.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    (idle,) = [int(one["Value"]) for one in found if one["Key"] == "idle_timeout.timeout_seconds"]
    (container,) = task(cloud, "stable")["containerDefinitions"]
    given = {pair["name"]: pair["value"] for pair in container["environment"]}
    assert ServingSettings(keep_alive_seconds=given["FLIGHTLINE_SERVING__KEEP_ALIVE_SECONDS"]).keep_alive_seconds > idle


def test_an_alarm_counts_the_tasks_of_each_service(cloud):
    running = [
        arn.rsplit("/", 1)[-1] for arn in cloud.client("ecs").list_services(cluster="flightline-staging")["serviceArns"]
    ]
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    counted = {
        next(one["Value"] for one in alarm["Dimensions"] if one["Name"] == "ServiceName"): alarm["TreatMissingData"]
        for alarm in alarms
        if alarm.get("MetricName") == "RunningTaskCount"
    }
    assert counted == dict.fromkeys(running, "breaching")


def test_private_names_lead_to_healthy_tasks_only(cloud):
    client = cloud.client("servicediscovery")
    found = [client.get_service(Id=one["Id"])["Service"] for one in client.list_services()["Services"]]
    assert {one["Name"]: one["HealthCheckCustomConfig"]["FailureThreshold"] for one in found} == {
        "mlflow": 1,
        "prefect": 1,
    }


def test_a_plan_waits_for_who_holds_the_lock(cloud):
    """Without -lock-timeout it would end at once; the record shows that it asks again."""
    key = "environments/staging.tfstate.tflock"
    client = cloud.client("s3")
    client.put_object(Bucket=STATE_BUCKET, Key=key, Body=json.dumps({"ID": "of-another", "Who": "another"}))

    def tries() -> int:
        return sum(call.caller == "waiting" and call.method == "PUT" and key in call.url for call in cloud.calls)

    with ThreadPoolExecutor() as beside:
        waiting = beside.submit(
            cloud.environment("staging", "waiting").planned, [*cloud.variables("staging"), "-refresh=false"]
        )
        wait_until(lambda: tries() >= 2 or waiting.done())
        client.delete_object(Bucket=STATE_BUCKET, Key=key)
        waiting.result()


def test_the_balancer_speaks_tls_only(cloud):
    client = cloud.client("elbv2")
    (balancer,) = client.describe_load_balancers()["LoadBalancers"]
    listeners = client.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert [(one["Protocol"], one["Port"]) for one in listeners] == [("HTTPS", 443)]


def test_no_bucket_is_public_or_answers_without_tls(cloud):
    client = cloud.client("s3")
    names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    assert len(names) == 6
    for name in names:
        assert set(client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
        policy = json.loads(client.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            one.get("Condition") for one in policy if one["Effect"] == "Deny"
        ], name
        assert [one for one in policy if one["Effect"] == "Allow" and one["Principal"] in ("*", {"AWS": "*"})] == []


def statements(found: list[dict[str, Any]]) -> list[tuple[str, list[str], list[str]]]:
    """Give role, actions and resources of each statement that allows something."""

    def as_list(value: Any) -> list[str]:
        return [value] if isinstance(value, str) else value

    return [
        (policy["role"], as_list(one["Action"]), as_list(one["Resource"]))
        for policy in of_type(found, "aws_iam_role_policy")
        for one in json.loads(policy["policy"])["Statement"]
        if one["Effect"] == "Allow"
    ]


def test_rights_of_tasks_name_their_resources(resources):
    """Those of the roles that deploy are looked at in test_within_rights.py."""
    allowed = statements(resources)
    assert len(allowed) > 20
    assert [
        (role, actions) for role, actions, on in allowed if "*" in on and not set(actions) <= WITHOUT_RESOURCE
    ] == []
    assert [(role, actions) for role, actions, _ in allowed if any("*" in action for action in actions)] == []


def test_the_worker_alone_signs_models_and_by_one_key(resources):
    signers = {(role, tuple(on)) for role, actions, on in statements(resources) if "kms:Sign" in actions}
    (key,) = (one for one in of_type(resources, "aws_kms_key") if one["key_usage"] == "SIGN_VERIFY")
    assert signers == {("flightline-staging-worker-task", (key["arn"],))}


def test_the_worker_alone_writes_to_feasts_registry(resources):
    writers = {
        role
        for role, actions, on in statements(resources)
        if {"s3:PutObject", "s3:DeleteObject"} & set(actions) and any("-feast-" in resource for resource in on)
    }
    assert writers == {"flightline-staging-worker-task"}


def test_every_role_of_an_environment_is_bounded(resources):
    boundaries = {role["permissions_boundary"] for role in of_type(resources, "aws_iam_role")}
    assert boundaries == {"arn:aws:iam::123456789012:policy/flightline-boundary"}


def test_github_is_trusted_by_exact_subjects(shared):
    trusted = {}
    for role in of_type(shared, "aws_iam_role"):
        (statement,) = json.loads(role["assume_role_policy"])["Statement"]
        assert set(statement["Condition"]) == {"StringEquals"}
        subjects = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        trusted[role["name"].removeprefix("flightline-github-")] = [subjects] if isinstance(subjects, str) else subjects
    assert trusted == SUBJECTS


def test_nothing_but_prefect_starts_anything(resources):
    kinds = {each["type"] for each in resources}
    assert [kind for kind in kinds if re.search("cloudwatch_event|scheduler|appautoscaling_scheduled", kind)] == []


def test_no_secret_is_in_the_state(cloud):
    state = cloud.environment("staging").run("state", "pull")
    client = cloud.client("secretsmanager")
    found = {}
    for secret in client.list_secrets()["SecretList"]:
        text = client.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        found[secret["Name"].split("/")[1]] = json.loads(text).get("password", text)
    assert len(found) == 8
    assert len(set(found.values())) == 8
    assert [name for name, value in found.items() if value in state] == []


def test_production_cannot_be_deleted_by_accident(production):
    (database,) = of_type(production, "aws_db_instance")
    assert (database["deletion_protection"], database["skip_final_snapshot"], database["multi_az"]) == (
        True,
        False,
        True,
    )
    (balancer,) = of_type(production, "aws_lb")
    assert balancer["enable_deletion_protection"] is True
    assert {bucket["force_destroy"] for bucket in of_type(production, "aws_s3_bucket")} == {False}
    assert {secret["recovery_window_in_days"] for secret in of_type(production, "aws_secretsmanager_secret")} == {30}
    (cache,) = of_type(production, "aws_elasticache_replication_group")
    assert cache["final_snapshot_identifier"] == "flightline-production-final"


def test_staging_can_be_destroyed(resources):
    (database,) = of_type(resources, "aws_db_instance")
    assert (database["deletion_protection"], database["skip_final_snapshot"]) == (False, True)


def refusal(cloud: Cloud, *given: str) -> str:
    options = ["-no-color", "-input=false", "-lock=false", "-refresh=false", *(f"-var={one}" for one in given)]
    with pytest.raises(TerraformError) as caught:
        cloud.environment("staging").run("plan", *cloud.variables("staging"), *options)
    return str(caught.value)


def test_values_that_make_no_sense_are_refused(cloud):
    told = refusal(
        cloud,
        "environment=test",
        "vpc_cidr=10.0.0.0/24",
        "event_clock=stopped",
        "canary_percent=101",
        "architecture=mips",
        "project=a-name-of-20-letters",
    )
    for expected in (
        "staging or production",
        "Expected a /16",
        "set or real",
        "Expected 0 to 100",
        "X86_64 or ARM64",
        "Expected 3 to 14",
    ):
        assert expected in told


def test_an_image_by_tag_is_refused(cloud):
    assert "named by its digest" in refusal(cloud, "service_image=registry/service:latest")


def test_a_canary_takes_its_share_and_changes_nothing_else(cloud):
    image = f"-var=canary_image=registry/flightline/service@sha256:{'c' * 64}"
    plan = cloud.environment("staging").planned([*cloud.variables("staging"), image, "-var=canary_percent=20"])
    made = {change["address"] for change in plan["resource_changes"] if change["change"]["actions"] == ["create"]}
    assert "module.service.aws_ecs_service.canary[0]" in made
    assert {address for address in made if not re.search(r"canary", address)} == set()
    (listener,) = (each for each in plan["resource_changes"] if each["type"] == "aws_lb_listener")
    weights = {
        group["weight"] for group in listener["change"]["after"]["default_action"][0]["forward"][0]["target_group"]
    }
    assert weights == {80, 20}
