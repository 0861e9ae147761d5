"""What the emulator was asked, as IAM would be asked: actions, resources with their tags, and conditions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from template.tests.infra.emulated.policies import Request

REGION, ACCOUNT = "us-east-1", "123456789012"
HERE = f"{REGION}:{ACCOUNT}"
PREFIXES = {"elbv2": "elasticloadbalancing", "monitoring": "cloudwatch", "efs": "elasticfilesystem"}
# Calls that IAM asks nothing about, or of which the emulator's name is another than IAM's.
FREE = {"sts:GetCallerIdentity"}
# EC2's kinds by what their ids begin with.
EC2_KINDS = {
    "vpc": "vpc", "subnet": "subnet", "sg": "security-group", "sgr": "security-group-rule", "rtb": "route-table",
    "igw": "internet-gateway", "nat": "natgateway", "eipalloc": "elastic-ip", "fl": "vpc-flow-log",
    "vpce": "vpc-endpoint",
    "rtbassoc": "route-table", "eipassoc": "elastic-ip",  # what IAM looks at of an association
}  # fmt: skip
EC2_MADE = {
    "AllocateAddress": "elastic-ip", "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule", "CreateFlowLogs": "vpc-flow-log",
    "CreateInternetGateway": "internet-gateway", "CreateNatGateway": "natgateway", "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group", "CreateSubnet": "subnet", "CreateVpc": "vpc",
    "CreateVpcEndpoint": "vpc-endpoint",
}  # fmt: skip
# By service and parameter, the resource that it names, without arn:aws:service:region:account.
NAMES = {
    "cloudwatch": {"AlarmName": "alarm:{}", "AlarmNames": "alarm:{}",
        "DashboardName": "dashboard/{}", "DashboardNames": "dashboard/{}"},
    "ecs": {"clusterName": "cluster/{}", "family": "task-definition/{}:1"},
    "elasticache": {
        "CacheSubnetGroupName": "subnetgroup:{}", "ReplicationGroupId": "replicationgroup:{}",
        "CacheClusterId": "cluster:{}",
    },
    "elasticfilesystem": {"FileSystemId": "file-system/{}", "AccessPointId": "access-point/{}"},
    "iam": {"RoleName": "role/{}"},
    "kms": {"KeyId": "key/{}", "TargetKeyId": "key/{}", "AliasName": "{}"},
    "logs": {"logGroupName": "log-group:{}"},
    "rds": {"DBInstanceIdentifier": "db:{}", "DBParameterGroupName": "pg:{}", "DBSubnetGroupName": "subgrp:{}"},
    "secretsmanager": {"Name": "secret:{}-abcdef", "SecretId": "secret:{}"},
    "sns": {"Name": "{}"},
}  # fmt: skip
# What AWS asks for beside the action itself, of the same resource.
WITH_TAGS = {
    "acm:RequestCertificate": "acm:AddTagsToCertificate", "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "ecs:CreateCluster": "ecs:TagResource", "ecs:CreateService": "ecs:TagResource",
    "ecs:RegisterTaskDefinition": "ecs:TagResource",
    "elasticache:CreateCacheSubnetGroup": "elasticache:AddTagsToResource",
    "elasticache:CreateReplicationGroup": "elasticache:AddTagsToResource",
    "elasticfilesystem:CreateFileSystem": "elasticfilesystem:TagResource",
    "elasticfilesystem:CreateAccessPoint": "elasticfilesystem:TagResource",
    "elasticloadbalancing:CreateListener": "elasticloadbalancing:AddTags",
    "elasticloadbalancing:CreateLoadBalancer": "elasticloadbalancing:AddTags",
    "elasticloadbalancing:CreateTargetGroup": "elasticloadbalancing:AddTags", "iam:CreateRole": "iam:TagRole",
    "kms:CreateKey": "kms:TagResource", "logs:CreateLogGroup": "logs:TagResource",
    "rds:CreateDBInstance": "rds:AddTagsToResource", "rds:CreateDBParameterGroup": "rds:AddTagsToResource",
    "rds:CreateDBSubnetGroup": "rds:AddTagsToResource", "secretsmanager:CreateSecret": "secretsmanager:TagResource",
    "sns:CreateTopic": "sns:TagResource",
}  # fmt: skip
# What AWS does in the caller's name.
BESIDE = {
    "servicediscovery:CreatePrivateDnsNamespace": ["route53:CreateHostedZone", "ec2:DescribeVpcs"],
    "servicediscovery:DeleteNamespace": ["route53:DeleteHostedZone"],
}
PASSED = {
    "ecs:RegisterTaskDefinition": "ecs-tasks.amazonaws.com",
    "ec2:CreateFlowLogs": "vpc-flow-logs.amazonaws.com",
    "rds:CreateDBInstance": "monitoring.rds.amazonaws.com",
}
S3_BUCKET = {
    "acl": "BucketAcl", "accelerate": "AccelerateConfiguration", "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration", "location": "BucketLocation", "logging": "BucketLogging",
    "object-lock": "BucketObjectLockConfiguration", "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock", "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment", "tagging": "BucketTagging", "versioning": "BucketVersioning",
    "website": "BucketWebsite", "notification": "BucketNotification",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call that the emulator answered.

    Parameters
    ----------
    caller
        The access key it was signed with, by which the tests tell roles apart.
    service, action
        As IAM names them.
    sent
        Parameters.
    tags
        Of resources that the call names by an id, by that id.
    """

    caller: str
    service: str
    action: str
    method: str
    url: str
    sent: Mapping[str, Any]
    tags: Mapping[str, Mapping[str, str]]

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"


def read_calls(file: Path) -> list[Call]:
    """Read what was recorded."""
    calls, targets = [], {}
    for line in file.read_text().splitlines():
        call = _call(json.loads(line))
        if call.service == "application-autoscaling":
            # The emulator keeps no tags of a target: those that it was made with.
            target = f"of-{str(call.sent.get('ResourceId')).rsplit('/', 1)[-1]}"
            call = replace(call, tags={target: targets.get(target, {})})
            targets.setdefault(target, request_tags(call.sent))
        calls.append(call)
    return calls


def _call(line: dict[str, Any]) -> Call:
    service = PREFIXES.get(line["service"], line["service"])
    body = line["body"]
    try:
        sent = json.loads(body)
    except ValueError:
        sent = dict(parse_qsl(body)) if "=" in body and not body.startswith("<") else {"xml": body}
    action = line["action"] if service != "s3" else _s3_action(line["method"], line["url"])
    caller = line["caller"][0] if line["caller"] else ""
    return Call(
        caller, service, action, line["method"], line["url"], sent if isinstance(sent, dict) else {}, line["tags"]
    )


def _s3_action(method: str, url: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    bucket, _, key = parts.path.lstrip("/").partition("/")
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}[method]
    if not bucket:
        return "ListAllMyBuckets"
    if key:
        return f"{verb}Object{'Version' if 'versionId' in query and method != 'PUT' else ''}"
    part = next((S3_BUCKET[name] for name in query if name in S3_BUCKET), "")
    if part:
        return f"{'Put' if verb == 'Delete' and part != 'BucketPolicy' and part != 'BucketWebsite' else verb}{part}"
    if "versions" in query:
        return "ListBucketVersions"
    if "delete" in query:
        return "DeleteObject"
    return {"Get": "ListBucket", "Put": "CreateBucket", "Delete": "DeleteBucket"}[verb]


def request_tags(sent: Mapping[str, Any]) -> dict[str, str]:
    """Find the tags that a call gives, in whatever way its service writes them."""
    found: dict[str, str] = {}
    names = {key: value for key, value in sent.items() if re.search(r"\bTag.*\.(Key|TagKey)$", key)}
    for key, name in names.items():
        stem = key.rsplit(".", 1)[0]
        found[str(name)] = str(sent.get(f"{stem}.Value", sent.get(f"{stem}.TagValue", "")))
    for key in ("tags", "Tags"):
        given = sent.get(key, [])
        if isinstance(given, dict):
            found |= given
        elif isinstance(given, list):
            for one in given:
                lower = {name.lower().removeprefix("tag"): value for name, value in one.items()}
                found[lower["key"]] = lower["value"]
    return found


def requests_of(call: Call, kinds: Mapping[str, list[str]] | None) -> Iterator[Request]:
    """Give what IAM is asked about a call.

    Parameters
    ----------
    kinds
        Of the call's action: ARN formats that it takes, from the reference.
    """
    if call.name in FREE:
        return
    context = {"aws:RequestedRegion": REGION} | _named_values(call)
    given = request_tags(call.sent)
    context |= {f"aws:RequestTag/{name}": value for name, value in given.items()}
    resources = [one for one in _resources(call) if kinds is None or _is_of(one, kinds)] or ["*"]
    for resource in resources:
        tags = {f"aws:ResourceTag/{name}": value for name, value in _tags(call, resource).items()}
        yield Request(call.name, resource, context | tags)
        is_new = resource.endswith("/new") or call.service != "ec2"
        beside = "ec2:CreateTags" if call.service == "ec2" and resource.endswith("/new") else WITH_TAGS.get(call.name)
        if given and beside and is_new:
            yield Request(beside, resource, context | tags)
    for beside in BESIDE.get(call.name, []):
        yield Request(beside, "*" if beside.startswith("ec2:") else "arn:aws:route53:::hostedzone/ZOFCLOUDMAP", context)
    if call.name in PASSED:
        for role in set(re.findall(r"arn:aws:iam::\d+:role/[\w+=,.@-]+", unquote(json.dumps(call.sent)))):
            yield Request("iam:PassRole", role, {"iam:PassedToService": PASSED[call.name]})


def _named_values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if boundary := call.sent.get("PermissionsBoundary"):
        found["iam:PermissionsBoundary"] = boundary
    elif call.service == "iam" and call.action in ("PutRolePolicy", "AttachRolePolicy"):
        found["iam:PermissionsBoundary"] = call.tags.get("boundary", {}).get(str(call.sent.get("RoleName")), "")
    if call.action == "ChangeResourceRecordSets":
        names = re.findall(r"<ResourceRecordSet>.*?<Name>([^<]+)</Name>", str(call.sent.get("xml", "")), re.DOTALL)
        found["route53:ChangeResourceRecordSetsNormalizedRecordNames"] = [one.rstrip(".").lower() for one in names]
    return found


def _is_of(resource: str, kinds: Mapping[str, list[str]]) -> bool:
    return any(
        re.fullmatch(re.sub(r"\\\$\\\{[A-Za-z]+\\\}", ".*", re.escape(one)), resource) for one in kinds if one != "*"
    )


def _resources(call: Call) -> list[str]:
    texts = [value for value in _plain_values(call.sent) if not value.startswith(("{", "["))]
    found = [one for one in texts if one.startswith(f"arn:aws:{call.service}:")]
    path = urlsplit(call.url).path
    if call.service == "s3":
        keys = re.findall(r"<Key>([^<]+)</Key>", str(call.sent.get("xml", "")))  # of many objects at once
        place = f"arn:aws:s3:::{path.strip('/')}"
        return [f"{place}/{key}" for key in keys] if call.action == "DeleteObject" and keys else [place]
    if call.service == "route53":
        found += [
            f"arn:aws:route53:::{kind}/{name}" for kind, name in re.findall(r"(hostedzone|change)/([A-Z0-9]+)", path)
        ]
    if call.service == "elasticfilesystem":
        found += [
            f"arn:aws:elasticfilesystem:{HERE}:file-system/{name}"
            for name in re.findall(r"\bfs(?:mt)?-[0-9a-f]+", path)
        ]
        found += [
            f"arn:aws:elasticfilesystem:{HERE}:access-point/{name}" for name in re.findall(r"\bfsap-[0-9a-f]+", path)
        ]
    if call.service == "ec2":
        for name in re.findall(r"\b([a-z]+)-([0-9a-f]{17})\b", " ".join(texts)):
            if name[0] in EC2_KINDS:
                found.append(f"arn:aws:ec2:{HERE}:{EC2_KINDS[name[0]]}/{'-'.join(name)}")
        if call.action in EC2_MADE:
            found.append(f"arn:aws:ec2:{HERE}:{EC2_MADE[call.action]}/new")
    found += _by_name(call)
    return list(dict.fromkeys(found))


def _by_name(call: Call) -> list[str]:
    found = []
    for key, form in NAMES.get(call.service, {}).items():
        values = [value for name, value in call.sent.items() if name == key or name.startswith(f"{key}.member.")]
        for value in values:
            if isinstance(value, str) and not value.startswith("arn:"):
                place = f":{ACCOUNT}" if call.service == "iam" or form.startswith("dashboard") else HERE
                found.append(f"arn:aws:{call.service}:{place}:{form.format(value)}")
    return found + (_OTHERS[call.service](call) if call.service in _OTHERS else [])


def _of_ecs(call: Call) -> list[str]:
    sent = call.sent
    cluster = str(sent.get("cluster", "")).rsplit("/", 1)[-1]
    services = [sent.get("serviceName"), sent.get("service"), *sent.get("services", [])]
    found = [f"arn:aws:ecs:{HERE}:service/{cluster}/{str(one).rsplit('/', 1)[-1]}" for one in services if one]
    return [*found, f"arn:aws:ecs:{HERE}:cluster/{cluster}"] if cluster else found


def _of_balancing(call: Call) -> list[str]:
    kind = {"CreateLoadBalancer": "loadbalancer/app", "CreateTargetGroup": "targetgroup"}.get(call.action)
    return [f"arn:aws:elasticloadbalancing:{HERE}:{kind}/{call.sent['Name']}/new"] if kind else []


def _of_discovery(call: Call) -> list[str]:
    named = re.findall(r"\b(?:ns|srv)-[a-z0-9]+", json.dumps(call.sent)) if call.action != "TagResource" else []
    kinds = {name: "namespace" if name.startswith("ns-") else "service" for name in named}
    found = [f"arn:aws:servicediscovery:{HERE}:{kind}/{name}" for name, kind in kinds.items()]
    return [*found, f"arn:aws:servicediscovery:{HERE}:service/new"] if call.action == "CreateService" else found


def _of_autoscaling(call: Call) -> list[str]:
    name = str(call.sent.get("ResourceId", "")).rsplit("/", 1)[-1]
    return [f"arn:aws:application-autoscaling:{HERE}:scalable-target/of-{name}"] if name else []


_OTHERS = {
    "ecs": _of_ecs,
    "elasticloadbalancing": _of_balancing,
    "servicediscovery": _of_discovery,
    "application-autoscaling": _of_autoscaling,
}


def _plain_values(sent: Mapping[str, Any]) -> Iterator[str]:
    for value in sent.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield one


def _tags(call: Call, resource: str) -> Mapping[str, str]:
    """Give a resource's tags; of what a name says already, none are asked for."""
    last = resource.rsplit("/", 1)[-1]
    for name in (resource, last):
        if name in call.tags:
            return call.tags[name]
    return {}
