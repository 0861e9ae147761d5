"""IAM's decision, by hand-made cases, and the reading of calls."""

import pytest

from template.tests.infra.emulated.calls import Call, request_tags, requests_of
from template.tests.infra.emulated.policies import Request, is_allowed, matches

VPC = "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"
OF_STAGING = {"StringEquals": {"aws:ResourceTag/environment": "staging"}}


def allow(action="*", resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


@pytest.mark.parametrize(
    ("statements", "request_", "expected"),
    [
        ([], Request("ec2:DeleteVpc", VPC), False),
        ([allow()], Request("ec2:DeleteVpc", VPC), True),
        ([allow("ec2:Describe*")], Request("ec2:DeleteVpc", VPC), False),
        ([allow("EC2:delete*")], Request("ec2:DeleteVpc", VPC), True),
        ([allow(["s3:GetObject", "ec2:DeleteVpc"])], Request("ec2:DeleteVpc", VPC), True),
        ([allow("ec2:*", VPC + "2")], Request("ec2:DeleteVpc", VPC), False),
        ([allow("ec2:*", "arn:aws:ec2:*:*:vpc/*")], Request("ec2:DeleteVpc", VPC), True),
        ([allow(), {**allow("ec2:*"), "Effect": "Deny"}], Request("ec2:DeleteVpc", VPC), False),
        ([allow(Condition=OF_STAGING)], Request("ec2:DeleteVpc", VPC), False),
        ([allow(Condition=OF_STAGING)], Request("a:b", "*", {"aws:ResourceTag/environment": "staging"}), True),
        ([allow(Condition=OF_STAGING)], Request("a:b", "*", {"aws:ResourceTag/environment": "production"}), False),
        ([allow(Condition={"Null": {"aws:ResourceTag/x": "true"}})], Request("a:b"), True),
        ([allow(Condition={"Null": {"x": "true"}})], Request("a:b", "*", {"x": "y"}), False),
        ([allow(Condition={"Null": {"k": "false"}})], Request("a:b"), False),
        ([allow(Condition={"StringLike": {"k": "_*.host"}})], Request("a:b", "*", {"k": "_1.host"}), True),
        ([allow(Condition={"ForAllValues:StringLike": {"k": ["a*"]}})], Request("a:b", "*", {"k": ["a", "ab"]}), True),
        ([allow(Condition={"ForAllValues:StringLike": {"k": ["a"]}})], Request("a:b", "*", {"k": ["a", "c"]}), False),
        ([{"Effect": "Allow", "Action": "*", "NotResource": [VPC]}], Request("ec2:DeleteVpc", VPC), False),
        ([{"Effect": "Allow", "Action": "*", "NotResource": [VPC]}], Request("ec2:DeleteVpc", VPC + "2"), True),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], Request("iam:CreateRole"), False),
        ([allow(Condition={**OF_STAGING, "Bool": {"k": "true"}})], Request("a:b", "*", {"k": "true"}), False),
    ],
)  # fmt: skip
def test_the_decision_is_that_of_iam(statements, request_: Request, expected: bool) -> None:
    assert is_allowed(statements, request_) is expected


def test_a_condition_that_is_not_known_is_no_guess() -> None:
    with pytest.raises(KeyError, match="IpAddress"):
        is_allowed(
            [allow(Condition={"IpAddress": {"aws:SourceIp": "1.2.3.4"}})], Request("a:b", "*", {"aws:SourceIp": "1"})
        )


def test_brackets_in_a_pattern_are_letters() -> None:
    assert not matches("a[bc]", "ab")
    assert matches("a?c*", "abcd")


@pytest.mark.parametrize(
    "sent",
    [
        {"TagSpecification.1.Tag.1.Key": "environment", "TagSpecification.1.Tag.1.Value": "staging"},
        {"Tags.member.1.Key": "environment", "Tags.member.1.Value": "staging"},
        {"Tags": [{"Key": "environment", "Value": "staging"}]},
        {"tags": [{"key": "environment", "value": "staging"}]},
        {"Tags": [{"TagKey": "environment", "TagValue": "staging"}]},
        {"tags": {"environment": "staging"}},
    ],
)
def test_tags_are_found_however_a_service_writes_them(sent) -> None:
    assert request_tags(sent) == {"environment": "staging"}


def test_making_a_subnet_asks_about_subnet_network_and_tag() -> None:
    network = "vpc-0123456789abcdef0"
    sent = {"VpcId": network, "TagSpecification.1.Tag.1.Key": "a", "TagSpecification.1.Tag.1.Value": "b"}
    call = Call("x", "ec2", "CreateSubnet", "POST", "http://127.0.0.1/", sent, {network: {"environment": "staging"}})
    asked = [
        (one.action, one.resource.rsplit(":", 1)[-1], one.context.get("aws:ResourceTag/environment"))
        for one in requests_of(call, None)
    ]
    assert asked == [
        ("ec2:CreateSubnet", f"vpc/{network}", "staging"),
        ("ec2:CreateSubnet", "subnet/new", None),
        ("ec2:CreateTags", "subnet/new", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "action", "resource"),
    [
        ("GET", "/bucket?encryption=", "GetEncryptionConfiguration", "bucket"),
        ("DELETE", "/bucket?lifecycle=", "PutLifecycleConfiguration", "bucket"),
        ("PUT", "/bucket/environments/staging.tfstate", "PutObject", "bucket/environments/staging.tfstate"),
        ("DELETE", "/bucket?policy=", "DeleteBucketPolicy", "bucket"),
        ("HEAD", "/bucket", "ListBucket", "bucket"),
    ],
)
def test_calls_of_s3_are_named_as_iam_does(tmp_path, method: str, path: str, action: str, resource: str) -> None:
    from template.tests.infra.emulated.calls import _call

    line = {
        "caller": ["x"],
        "service": "s3",
        "action": "?",
        "method": method,
        "url": f"http://h{path}",
        "body": "",
        "tags": {},
    }
    (asked,) = requests_of(_call(line), None)
    assert (asked.action, asked.resource) == (f"s3:{action}", f"arn:aws:s3:::{resource}")
