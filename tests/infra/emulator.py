"""An AWS on loopback: moto's server, with what moto lacks mended. Tests only, and in moto's own environment.

`.tools/moto/bin/python tests/infra/emulator.py PORT` starts it. Each patch below names the gap
it fills; with a moto that has filled it, the patch can go.
"""

import base64
import inspect
import json
import os
import sys

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.responses import ActionResult
from moto.elasticache.models import CacheCluster, ElastiCacheBackend, ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.kms.responses import KmsResponse
from moto.s3.models import FakeDeleteMarker
from moto.server import main


def give_autoscaling_its_tags() -> None:
    """ListTagsForResource of Application Auto Scaling is not implemented: the provider would ask for ever."""
    ApplicationAutoScalingResponse.list_tags_for_resource = lambda self: json.dumps({"Tags": {}})


def let_subnet_groups_of_the_cache_go() -> None:
    """DeleteCacheSubnetGroup is not implemented."""

    def delete(self: ElastiCacheResponse) -> ActionResult:
        self.elasticache_backend.cache_subnet_groups.pop(self._get_param("CacheSubnetGroupName"), None)
        return ActionResult({})

    ElastiCacheResponse.delete_cache_subnet_group = delete


def give_replication_groups_their_members() -> None:
    """A replication group names member clusters that DescribeCacheClusters does not know."""
    known = ElastiCacheBackend.describe_cache_clusters
    others = dict.fromkeys(inspect.signature(CacheCluster.__init__).parameters)
    del others["self"]

    def describe(self: ElastiCacheBackend, cache_cluster_id: str | None = None) -> list[CacheCluster]:
        for group in self.replication_groups.values():
            if cache_cluster_id in group.member_clusters:
                return [member(self, group, cache_cluster_id)]
        return known(self, cache_cluster_id)

    def member(self: ElastiCacheBackend, group: ReplicationGroup, name: str) -> CacheCluster:
        given = {
            "account_id": self.account_id,
            "region_name": self.region_name,
            "cache_cluster_id": name,
            "replication_group_id": group.replication_group_id,
            "engine": "redis",
            "engine_version": "7.1.0",
            "cache_node_type": group.cache_node_type,
            "cache_subnet_group_name": group.cache_subnet_group_name,
            "cache_parameter_group_name": group.cache_parameter_group_name,
            "transit_encryption_enabled": group.transit_encryption_enabled,
            "auto_minor_version_upgrade": group.auto_minor_version_upgrade,
        }
        made = CacheCluster(**{**others, **given})
        made.at_rest_encryption_enabled = group.at_rest_encryption_enabled
        made.transit_encryption_mode = group.transit_encryption_mode
        made.security_groups = [
            {"SecurityGroupId": given, "Status": "active"} for given in asked_groups.get(name[:-4], [])
        ]
        return made

    asked_groups: dict[str, list[str]] = {}
    create = ElastiCacheBackend.create_replication_group

    def remember(self: ElastiCacheBackend, *given: object, **named: object) -> ReplicationGroup:
        asked_groups[str(named["replication_group_id"])] = list(named["security_group_ids"] or [])
        return create(self, *given, **named)

    ElastiCacheBackend.create_replication_group = remember
    ElastiCacheBackend.describe_cache_clusters = describe


def let_replication_groups_go() -> None:
    """A deleted replication group stays in the state `deleting` for ever."""
    delete = ElastiCacheBackend.delete_replication_group

    def go(
        self: ElastiCacheBackend, replication_group_id: str, retain_primary_cluster: bool | None
    ) -> ReplicationGroup:
        gone = delete(self, replication_group_id, retain_primary_cluster)
        del self.replication_groups[replication_group_id]
        return gone

    ElastiCacheBackend.delete_replication_group = go


def let_versions_go() -> None:
    """Deleting the last version of an object ends in an error if a delete marker is among the others."""
    FakeDeleteMarker.dispose = lambda self, garbage=False: None


def heed_denials_without_tls() -> None:
    """A bucket policy's conditions are taken for unmet: what denies requests without TLS would deny all.

    Loopback has no TLS; requests count as encrypted here, and that statement alone is passed over.
    """
    decide = IAMPolicyStatement.is_action_permitted

    def permit(self: IAMPolicyStatement, *given: object, **named: object) -> PermissionResult:
        if self._statement["Effect"] == "Deny" and self._statement.get("Condition") == {
            "Bool": {"aws:SecureTransport": "false"}
        }:
            return PermissionResult.NEUTRAL
        return decide(self, *given, **named)

    IAMPolicyStatement.is_action_permitted = permit


def sign_digests_as_digests() -> None:
    """KMS' Sign takes a digest (MessageType DIGEST) for the message, and hashes it once more."""
    sign = KmsResponse.sign

    def sign_digest(self: KmsResponse) -> str:
        if self._get_param("MessageType") != "DIGEST":
            return sign(self)
        key = self.kms_backend.describe_key(self._get_param("KeyId"))
        kind = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        signature = key.private_key.private_key.sign(self._get_param("Message"), kind)
        told = {"KeyId": key.arn, "SigningAlgorithm": self._get_param("SigningAlgorithm")}
        return json.dumps(told | {"Signature": base64.b64encode(signature).decode()})

    KmsResponse.sign = sign_digest


if __name__ == "__main__":
    sign_digests_as_digests()
    give_autoscaling_its_tags()
    let_subnet_groups_of_the_cache_go()
    give_replication_groups_their_members()
    let_replication_groups_go()
    let_versions_go()
    heed_denials_without_tls()
    sys.argv = ["moto", "--host", "127.0.0.1", "--port", sys.argv[1]]
    main()
