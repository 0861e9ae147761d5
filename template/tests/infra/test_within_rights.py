"""What the roles of the workflows may do, compared with what Terraform did: it runs after test_withdrawn.py."""

from collections.abc import Mapping, Sequence

import pytest

from template.tests.infra.emulated.calls import ACCOUNT, FREE, HERE, PREFIXES, requests_of
from template.tests.infra.emulated.cloud import MOTO, STATE_BUCKET, Cloud
from template.tests.infra.emulated.policies import Request, as_list, is_allowed, reference

pytestmark = pytest.mark.slow
READS = {"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"}
REQUIRED = {"plan-staging": 50, "staging": 120}  # actions at least, so that an empty record is no proof


def refused(cloud: Cloud, role: str, statements: Sequence[Mapping]) -> list[str]:
    """Give what Terraform did as a role and IAM would refuse."""
    calls = [call for call in cloud.calls if call.caller == role and call.name not in FREE]
    names = frozenset(call.name for call in calls)
    assert len(names) >= REQUIRED.get(role, 0), sorted(names)
    kinds = reference(MOTO, names)
    assert [name for name, found in kinds.items() if found is None] == [], "AWS does not know these actions"
    asked = {str(one): one for call in calls for one in requests_of(call, kinds[call.name])}
    return sorted({f"{one.action} on {one.resource}" for one in asked.values() if not is_allowed(statements, one)})


@pytest.mark.parametrize("role", ["plan-staging", "staging", "plan-production"])
def test_everything_that_terraform_does_is_allowed(cloud: Cloud, role: str) -> None:
    assert refused(cloud, role, cloud.rights[role]) == []


def test_a_right_that_is_missing_is_seen(cloud: Cloud) -> None:
    for role, missing in (("plan-staging", "secretsmanager:DescribeSecret"), ("staging", "ec2:CreateSubnet")):
        without = [one for one in cloud.rights[role] if missing not in as_list(one["Action"])]
        assert any(line.startswith(missing) for line in refused(cloud, role, without))


def test_every_condition_is_one_that_its_action_takes(cloud: Cloud) -> None:
    """A condition key that AWS does not give for an action is never met: such a right would be none."""
    pairs = {
        (action, key)
        for role in ("plan-staging", "staging")
        for statement in cloud.rights[role]
        for keys in statement.get("Condition", {}).values()
        for key in keys
        for action in as_list(statement["Action"])
        if not action.endswith("*") and not key.startswith(("aws:RequestedRegion", "kms:ViaService"))
    }
    kinds = reference(MOTO, frozenset(action for action, _ in pairs))
    taken = {
        (action, key.split("/")[0])
        for action, formats in kinds.items()
        for keys in (formats or {}).values()
        for key in keys
    }
    assert [(action, key) for action, key in sorted(pairs) if (action, key.split("/")[0]) not in taken] == []


def harm(environment: str, zone: str) -> list[Request]:
    """What nobody should be able to do to another environment."""
    name, tags = (
        f"flightline-{environment}",
        {"aws:ResourceTag/project": "flightline", "aws:ResourceTag/environment": environment},
    )
    host = {"staging": "staging.flightline.example", "production": "flightline.example"}[environment]
    named = {
        "ecs:DeleteService": f"arn:aws:ecs:{HERE}:service/{name}/{name}-stable",
        "ecs:UpdateService": f"arn:aws:ecs:{HERE}:service/{name}/{name}-worker",
        "ecs:DeleteCluster": f"arn:aws:ecs:{HERE}:cluster/{name}",
        "ecs:RunTask": f"arn:aws:ecs:{HERE}:task-definition/{name}-worker:1",
        "ecs:StopTask": f"arn:aws:ecs:{HERE}:task/{name}/0123",
        "ecs:ExecuteCommand": f"arn:aws:ecs:{HERE}:task/{name}/0123",
        "elasticloadbalancing:DeleteLoadBalancer": f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/{name}/1",
        "elasticloadbalancing:ModifyListener": f"arn:aws:elasticloadbalancing:{HERE}:listener/app/{name}/1/2",
        "elasticloadbalancing:DeregisterTargets": f"arn:aws:elasticloadbalancing:{HERE}:targetgroup/{name}-stable/1",
        "rds:DeleteDBInstance": f"arn:aws:rds:{HERE}:db:{name}",
        "rds:ModifyDBInstance": f"arn:aws:rds:{HERE}:db:{name}",
        "elasticache:DeleteReplicationGroup": f"arn:aws:elasticache:{HERE}:replicationgroup:{name}",
        "s3:DeleteObject": f"arn:aws:s3:::{name}-dvc-{ACCOUNT}/data/1",
        "s3:PutBucketPolicy": f"arn:aws:s3:::{name}-mlflow-{ACCOUNT}",
        "secretsmanager:GetSecretValue": f"arn:aws:secretsmanager:{HERE}:secret:{name}/database-admin-abcdef",
        "secretsmanager:DeleteSecret": f"arn:aws:secretsmanager:{HERE}:secret:{name}/cache-abcdef",
        "logs:DeleteLogGroup": f"arn:aws:logs:{HERE}:log-group:/{name}/stable",
        "logs:GetLogEvents": f"arn:aws:logs:{HERE}:log-group:/{name}/worker:log-stream:1",
        "cloudwatch:DeleteAlarms": f"arn:aws:cloudwatch:{HERE}:alarm:{name}-stable-errors",
        "sns:Subscribe": f"arn:aws:sns:{HERE}:{name}-alarms",
        "iam:UpdateAssumeRolePolicy": f"arn:aws:iam::{ACCOUNT}:role/{name}-worker-task",
        "kms:DeleteAlias": f"arn:aws:kms:{HERE}:alias/{name}-signing",
    }
    tagged = {
        "kms:ScheduleKeyDeletion": f"arn:aws:kms:{HERE}:key/1", "kms:Sign": f"arn:aws:kms:{HERE}:key/2",
        "kms:PutKeyPolicy": f"arn:aws:kms:{HERE}:key/1", "kms:Decrypt": f"arn:aws:kms:{HERE}:key/1",
        "ec2:DeleteVpc": f"arn:aws:ec2:{HERE}:vpc/vpc-1",
        "ec2:DeleteNatGateway": f"arn:aws:ec2:{HERE}:natgateway/nat-1",
        "ec2:AuthorizeSecurityGroupIngress": f"arn:aws:ec2:{HERE}:security-group/sg-1",
        "ec2:CreateSubnet": f"arn:aws:ec2:{HERE}:vpc/vpc-1", "ec2:CreateTags": f"arn:aws:ec2:{HERE}:vpc/vpc-1",
        "kms:TagResource": f"arn:aws:kms:{HERE}:key/1", "acm:AddTagsToCertificate": f"arn:aws:acm:{HERE}:certificate/1",
        "elasticfilesystem:TagResource": f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-1",
        "acm:DeleteCertificate": f"arn:aws:acm:{HERE}:certificate/1",
        "servicediscovery:DeleteNamespace": f"arn:aws:servicediscovery:{HERE}:namespace/ns-1",
        "elasticfilesystem:DeleteFileSystem": f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-1",
        "application-autoscaling:DeregisterScalableTarget": f"arn:aws:application-autoscaling:{HERE}:scalable-target/1",
    }  # fmt: skip
    # With the tag of staging, as staging would ask.
    asked = {"aws:RequestTag/project": "flightline", "aws:RequestTag/environment": "staging"}
    record = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": [host]}
    return [
        *(Request(action, resource) for action, resource in named.items()),
        *(Request(action, resource, tags | asked) for action, resource in tagged.items()),
        Request("route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{zone}", record),
        Request("s3:GetObject", f"arn:aws:s3:::{STATE_BUCKET}/environments/{environment}.tfstate"),
        Request("s3:PutObject", f"arn:aws:s3:::{STATE_BUCKET}/environments/{environment}.tfstate"),
    ]


def test_staging_may_do_nothing_to_production(cloud: Cloud) -> None:
    asked = harm("production", cloud.zone)
    assert len(asked) >= 30
    for role in ("staging", "plan-staging"):
        assert [str(one) for one in asked if is_allowed(cloud.rights[role], one)] == []


def test_staging_may_do_the_same_to_itself(cloud: Cloud) -> None:
    assert [str(one) for one in harm("staging", cloud.zone) if not is_allowed(cloud.rights["staging"], one)] == []


def test_what_all_share_is_out_of_reach(cloud: Cloud) -> None:
    shared = [
        Request("route53:DeleteHostedZone", f"arn:aws:route53:::hostedzone/{cloud.zone}"),
        Request("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/ZANOTHER", {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["staging.flightline.example"],
        }),
        Request("s3:GetObject", f"arn:aws:s3:::{STATE_BUCKET}/account/terraform.tfstate"),
        Request("s3:DeleteBucket", f"arn:aws:s3:::{STATE_BUCKET}"),
        Request("ecr:DeleteRepository", f"arn:aws:ecr:{HERE}:repository/flightline/service"),
        Request("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/flightline-boundary"),
        Request("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/flightline-github-production"),
        Request("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/flightline-staging-mighty"),
        Request("ec2:DeleteVpc", f"arn:aws:ec2:{HERE}:vpc/vpc-1"),
        Request("kms:Decrypt", f"arn:aws:kms:{HERE}:key/1"),
        Request("servicediscovery:TagResource", "*", {"aws:RequestTag/environment": "staging"}),
        Request("ecs:DeregisterTaskDefinition"),
    ]  # fmt: skip
    for role in ("staging", "production", "plan-production"):
        assert [str(one) for one in shared if is_allowed(cloud.rights[role], one)] == []


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_plan_changes_nothing_but_its_lock(cloud: Cloud, environment: str) -> None:
    written = [one for one in harm(environment, cloud.zone) if is_allowed(cloud.rights[f"plan-{environment}"], one)]
    assert {one.action for one in written} == {"s3:GetObject"}  # of its state, which holds no secret


@pytest.mark.parametrize("role", ["plan-staging", "plan-production"])
def test_a_plan_reads_no_secret(cloud: Cloud, role: str) -> None:
    """Neither may it, nor does Terraform ask for one at refresh."""
    assert {call.name for call in cloud.calls if call.caller == role} & READS == set()
    asked = [
        Request(action, f"arn:aws:secretsmanager:{HERE}:secret:flightline-{role[5:]}/cache-abcdef") for action in READS
    ]
    assert [str(one) for one in asked if is_allowed(cloud.rights[role], one)] == []


def test_a_plan_reads_the_state_of_no_other_environment(cloud: Cloud) -> None:
    for own, other in (("staging", "production"), ("production", "staging")):
        statements = cloud.rights[f"plan-{own}"]
        assert is_allowed(
            statements, Request("s3:GetObject", f"arn:aws:s3:::{STATE_BUCKET}/environments/{own}.tfstate")
        )
        for key in (
            f"environments/{other}.tfstate",
            f"environments/{other}.tfstate.tflock",
            "account/terraform.tfstate",
        ):
            assert not is_allowed(statements, Request("s3:GetObject", f"arn:aws:s3:::{STATE_BUCKET}/{key}"))
        assert not is_allowed(
            statements, Request("s3:GetObject", f"arn:aws:s3:::flightline-{other}-dvc-{ACCOUNT}/data")
        )


def test_every_service_is_named_as_iam_names_it(cloud: Cloud) -> None:
    assert {call.service for call in cloud.calls} & set(PREFIXES) == set()
