"""Writes down what the emulator is asked, for calls.py; runs in moto's environment, as a part of emulator.py."""

import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from moto.acm.models import acm_backends
from moto.core.authorization import ActionAuthenticatorMixin
from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.servicediscovery.models import servicediscovery_backends


def record_calls(file: Path) -> None:
    """Write a line for each call: who made it, what was sent, and the tags that the resources it names have by then."""
    is_free = threading.Lock()

    def record(self: Any, kind: type, resource: str = "*") -> None:
        body = self.raw_body.decode(errors="replace") if isinstance(self.raw_body, bytes) else str(self.raw_body or "")
        sent = body or urlencode({name: values[0] for name, values in self.querystring.items() if values})
        line = {
            "caller": re.findall(r"Credential=([^/]+)/", self.headers.get("Authorization", "")),
            "service": self.service_name,
            "action": self._get_action(),
            "method": self.method,
            "url": self.uri,
            "body": sent,
            "tags": _tags(self.current_account, self.region, f"{self.uri} {sent}"),
        }
        with is_free, file.open("a") as lines:
            lines.write(json.dumps(line) + "\n")

    ActionAuthenticatorMixin._authenticate_and_authorize_action = record


def _tags(account: str, region: str, sent: str) -> dict[str, dict[str, str]]:
    """Give, by id, the tags of what a call names by one; and, as "boundary", those of the roles it names."""
    found: dict[str, dict[str, str]] = {}
    network = ec2_backends[account][region].tags
    for name in set(re.findall(r"\b[a-z]+-[0-9a-f]{17}\b", sent)):
        found[name] = dict(network.get(name, {}))
    keys, certificates = kms_backends[account][region], acm_backends[account][region]
    for name in set(re.findall(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", sent)):
        found[name] = dict(keys.tagger.get_tag_dict_for_resource(name))
        for arn, certificate in certificates._certificates.items():
            if arn.endswith(name):
                found[name] = {key: value or "" for key, value in certificate.tags.items()}
    discovery = servicediscovery_backends[account][region]
    for name in set(re.findall(r"\b(?:ns|srv)-[a-z0-9]+", sent)):
        kind = "namespace" if name.startswith("ns-") else "service"
        arn = f"arn:aws:servicediscovery:{region}:{account}:{kind}/{name}"
        found[name] = dict(discovery.tagger.get_tag_dict_for_resource(arn))
    files = efs_backends[account][region]
    for name in set(re.findall(r"\bfs(?:ap)?-[0-9a-f]+", sent)):
        found[name] = {tag["Key"]: tag["Value"] for tag in files.list_tags_for_resource(name)}
    found |= _of_associations(account, region, sent)
    roles = iam_backends[account]["aws"].roles.values()
    named = set(re.findall(r"RoleName=([\w+=,.@-]+?)(?:&|$)", sent))
    bounded = {role.name: role.permissions_boundary_arn or "" for role in roles if role.name in named}
    return {name: tags for name, tags in found.items() if tags} | ({"boundary": bounded} if bounded else {})


def _of_associations(account: str, region: str, sent: str) -> dict[str, dict[str, str]]:
    """Give the tags of what IAM looks at where a call names an association or a mount target of it."""
    network, files = ec2_backends[account][region], efs_backends[account][region]
    found: dict[str, dict[str, str]] = {}
    for name in set(re.findall(r"\b(?:rtbassoc|eipassoc)-[0-9a-f]{17}\b|\bfsmt-[0-9a-f]+", sent)):
        owners = [table.id for table in network.route_tables.values() if name in table._associations]
        owners += [one.allocation_id for one in network.addresses if one.association_id == name]
        for owner in owners:
            found[name] = dict(network.tags.get(owner, {}))
        for system in files.file_systems_by_id.values():
            if any(target.mount_target_id == name for target in system.iter_mount_targets()):
                found[name] = {tag["Key"]: tag["Value"] for tag in files.list_tags_for_resource(system.file_system_id)}
    return found
