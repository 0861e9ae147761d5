"""An AWS on loopback: moto's server, with what moto lacks mended. Tests only, and in moto's own environment.

`.tools/moto/bin/python .../emulator.py PORT [HOST [FILE]]` starts it. Each patch below names the gap it fills; with a
moto that has filled it, the patch can go. FILE is where stand_in.py says what it runs.
"""

import base64
import inspect
import json
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.cloudwatch.models import Statistics
from moto.core.responses import ActionResult
from moto.ecs.models import Container, EC2ContainerServiceBackend, Service, Task
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.efs.responses import EFSResponse
from moto.elasticache.models import CacheCluster, ElastiCacheBackend, ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.kms.responses import KmsResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.rds.models import DBInstance, DBParameterGroup
from moto.s3.models import FakeDeleteMarker
from moto.server import main
from recorder import record_calls


def answer_one_at_a_time() -> None:
    """Its dictionaries are not made for threads: a request that met one in change would fail, and be sent again."""
    answer, is_free = DomainDispatcherApplication.__call__, threading.Lock()

    def in_turn(self: DomainDispatcherApplication, environ: dict[str, Any], start_response: Any) -> Any:
        with is_free:
            return answer(self, environ, start_response)

    DomainDispatcherApplication.__call__ = in_turn


def give_autoscaling_its_tags() -> None:
    """Tags of Application Auto Scaling are not implemented: the provider would ask for ever."""
    tags: dict[str, dict[str, str]] = {}

    def write(self: ApplicationAutoScalingResponse) -> str:
        tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
        return "{}"

    def read(self: ApplicationAutoScalingResponse) -> str:
        return json.dumps({"Tags": tags.get(self._get_param("ResourceARN"), {})})

    ApplicationAutoScalingResponse.tag_resource = write
    ApplicationAutoScalingResponse.list_tags_for_resource = read


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
        # Without it Terraform would set the token anew in each apply, which takes half a minute.
        made.auth_token_enabled = group.auth_token_enabled
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


def let_replication_groups_take_a_token() -> None:
    """ModifyReplicationGroup passes a token over."""
    modify = ElastiCacheResponse.modify_replication_group

    def take(self: ElastiCacheResponse) -> ActionResult:
        if token := self._get_param("AuthToken"):
            group = self.elasticache_backend.replication_groups[self._get_param("ReplicationGroupId")]
            group.auth_token, group.auth_token_enabled = token, True
        return modify(self)

    ElastiCacheResponse.modify_replication_group = take


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


def keep_what_a_database_was_told() -> None:
    """Performance Insights is not kept, nor who set a parameter: Terraform would set both again in each apply."""
    make, update = DBInstance.__init__, DBParameterGroup.update_parameters

    def keep(self: DBInstance, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self.performance_insights_enabled = named.get("enable_performance_insights", False)
        self.performance_insights_kms_key_id = named.get("performance_insights_kms_key_id")
        self.performance_insights_retention_period = named.get("performance_insights_retention_period")

    def by_user(self: DBParameterGroup, new_parameters: Iterable[dict[str, Any]]) -> None:
        update(self, [{**one, "Source": "user"} for one in new_parameters])

    DBInstance.__init__, DBParameterGroup.update_parameters = keep, by_user


def keep_capacity_providers_of_services() -> None:
    """A service forgets its capacity providers: Terraform would make it anew in each apply."""
    create = EC2ContainerServiceResponse.create_service

    def keep(self: EC2ContainerServiceResponse) -> ActionResult:
        result = create(self)
        if strategy := self._get_param("capacityProviderStrategy"):
            service = result.result["service"]
            service.capacity_provider_strategy, service.launch_type = strategy, None
        return result

    EC2ContainerServiceResponse.create_service = keep


def let_policies_of_file_systems_go() -> None:
    """DeleteFileSystemPolicy is not implemented."""

    def delete(self: EFSResponse) -> tuple[str, dict[str, str]]:
        self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")].file_system_policy = None
        return "{}", {"Content-Type": "application/json"}

    EFSResponse.delete_file_system_policy = delete


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


def say_what_runs(file: Path) -> None:
    """Services settle and tasks end by what a file says, since nothing is started here.

    It holds, by name of a service, what its deployment came to, and, by ARN of a task, its status
    and its containers' exit codes. A service that it does not name counts as settled.
    """
    known_services, known_tasks = (
        EC2ContainerServiceBackend.describe_services,
        EC2ContainerServiceBackend.describe_tasks,
    )

    def told(kind: str) -> dict[str, dict]:
        return json.loads(file.read_text())[kind] if file.is_file() else {}

    def describe_services(
        self: EC2ContainerServiceBackend, cluster_str: str, service_names_or_arns: list[str]
    ) -> tuple[list[Service], list[dict[str, str]]]:
        found, failures = known_services(self, cluster_str, service_names_or_arns)
        services = told("services")
        for service in found:
            runs = services.get(service.name, {"task": service.task_definition, "state": "COMPLETED", "reason": ""})
            is_current = runs["task"] == service.task_definition
            service.deployments[0].update(
                taskDefinition=service.task_definition,
                rolloutState=runs["state"] if is_current else "IN_PROGRESS",
                rolloutStateReason=runs["reason"],
            )
        return found, failures

    def describe_tasks(self: EC2ContainerServiceBackend, cluster_str: str, tasks: list[str]) -> list[Task]:
        found = known_tasks(self, cluster_str, tasks)
        by_task = told("tasks")
        for task in found:
            runs = by_task.get(task.task_arn, {"containers": {}})
            task.stopped_reason = runs.get("reason", "")
            definition = self.describe_task_definition(task.task_definition_arn)
            task.containers = [named(definition, name, code) for name, code in runs["containers"].items()]
        return found

    def named(definition: object, name: str, code: int) -> Container:
        made = Container(definition)
        made.name, made.exitCode, made.last_status = name, code, "STOPPED"
        return made

    def status(self: Task) -> str:
        return told("tasks").get(self.task_arn, {}).get("status", "PENDING")

    # It adds up the memory of containers, which have none of their own where the task has it.
    nothing = {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}
    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(lambda definition: dict(nothing))
    EC2ContainerServiceBackend.describe_services = describe_services
    EC2ContainerServiceBackend.describe_tasks = describe_tasks
    Task.last_status = property(status, lambda self, value: None)


def know_percentiles() -> None:
    """Of CloudWatch's statistics percentiles are missing."""
    known = Statistics.get_statistics_for_type

    def get(self: Statistics, stat: str) -> object:
        if not stat.startswith("p"):
            return known(self, stat)
        values = sorted(float(point.value) for point in self.metric_data)
        return values[min(len(values) - 1, int(float(stat[1:]) / 100 * len(values)))]

    Statistics.get_statistics_for_type = get


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
    answer_one_at_a_time()
    sign_digests_as_digests()
    give_autoscaling_its_tags()
    let_subnet_groups_of_the_cache_go()
    give_replication_groups_their_members()
    let_replication_groups_take_a_token()
    let_replication_groups_go()
    keep_what_a_database_was_told()
    keep_capacity_providers_of_services()
    let_policies_of_file_systems_go()
    let_versions_go()
    heed_denials_without_tls()
    know_percentiles()
    port, host, what_runs = (*sys.argv[1:], "127.0.0.1", "")[:3] if len(sys.argv) == 2 else sys.argv[1:4]
    if calls := os.environ.get("EMULATOR_CALLS"):
        record_calls(Path(calls))
    if what_runs:
        say_what_runs(Path(what_runs))
    sys.argv = ["moto", "--host", host, "--port", port]
    main()
