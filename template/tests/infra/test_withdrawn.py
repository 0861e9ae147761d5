"""The end of test_applied.py: what was made is destroyed, and nothing is left."""

import pytest

from template.tests.infra.emulated.cloud import QUIETLY, REGISTRY

pytestmark = pytest.mark.slow


def test_a_canary_comes_beside_what_is_live(cloud):
    """Applied for real before all is destroyed, so that the calls of it are compared with the rights too."""
    image = f"-var=canary_image={REGISTRY}/service@sha256:{'c' * 64}"
    cloud.environment("staging").run("apply", *QUIETLY, *cloud.variables("staging"), image)
    services = cloud.client("ecs").list_services(cluster="flightline-staging")["serviceArns"]
    assert any(arn.endswith("/flightline-staging-canary") for arn in services)


def test_destroy_leaves_nothing(cloud):
    cloud.destroy()
    assert cloud.environment("staging").run("state", "list").strip() == ""
    cloud.destroy_account()
    assert cloud.client("s3").list_buckets()["Buckets"] == []
    assert cloud.client("rds").describe_db_instances()["DBInstances"] == []
    assert cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"] == []
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert cloud.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert [role for role in cloud.client("iam").list_roles()["Roles"] if "flightline" in role["RoleName"]] == []
    assert cloud.client("logs").describe_log_groups()["logGroups"] == []
    left = cloud.client("ec2").describe_vpcs(Filters=[{"Name": "tag:project", "Values": ["flightline"]}])["Vpcs"]
    assert left == []


def test_the_emulator_was_asked_for_nothing_that_it_lacks(cloud):
    log = (cloud.folder / "emulator.log").read_text()
    assert "NotImplementedError" not in log
    assert " 200 -" in log
