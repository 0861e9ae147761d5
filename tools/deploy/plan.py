"""What a Terraform plan would change, in words; and which plans are never applied by a command."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.deploy.steps import DeployError

# What holds data, or what data cannot be read without. Removing one is a person's own decision.
STATEFUL = frozenset(
    {
        "aws_db_instance", "aws_db_subnet_group", "aws_elasticache_replication_group", "aws_s3_bucket", "aws_kms_key",
        "aws_secretsmanager_secret", "aws_vpc", "aws_subnet", "aws_lb", "aws_service_discovery_private_dns_namespace",
    }
)  # fmt: skip
# Its task runs the flows, and ECS starts another one when one of these fields changes.
WORKER = "module.prefect.aws_ecs_service.worker"
_STARTS_ANEW = {"task_definition", "network_configuration", "launch_type", "capacity_provider_strategy"}
_VERBS = {"create": "make", "update": "change", "delete": "remove", "replace": "replace"}
_SHOWN = 60


@dataclass(frozen=True)
class Change:
    """One resource and what happens to it: create, update, delete or replace."""

    address: str
    kind: str
    action: str
    fields: tuple[str, ...] = ()


def changes_of(plan: dict[str, Any]) -> tuple[Change, ...]:
    """Read the changes out of a plan in Terraform's JSON; values are never read, since some are secret."""
    found = []
    for resource in plan.get("resource_changes", []):
        actions = resource["change"]["actions"]
        if resource["mode"] != "managed" or actions == ["no-op"]:
            continue
        action = "replace" if len(actions) > 1 else actions[0]
        fields = _fields(resource["change"]) if action == "update" else ()
        found.append(Change(resource["address"], resource["type"], action, fields))
    return tuple(found)


def _fields(change: dict[str, Any]) -> tuple[str, ...]:
    before, after = change["before"] or {}, change["after"] or {}
    unknown = {name for name, is_unknown in (change.get("after_unknown") or {}).items() if is_unknown is True}
    return tuple(sorted({name for name in before | after if before.get(name) != after.get(name)} | unknown))


def refuse_loss(changes: Sequence[Change]) -> None:
    """Refuse a plan that takes away, or makes anew, what holds data.

    Raises
    ------
    DeployError
        Naming each such resource.
    """
    lost = [change for change in changes if change.kind in STATEFUL and change.action in ("delete", "replace")]
    if lost:
        named = "".join(f"\n    {_VERBS[change.action]} {change.address}" for change in lost)
        raise DeployError(f"the plan would lose what holds data:{named}")


def ends_flows(changes: Sequence[Change]) -> bool:
    """Say whether a plan starts the worker anew, be it for an image, a setting or a size."""
    found = [change for change in changes if change.address == WORKER and change.action != "create"]
    return any(change.action != "update" or _STARTS_ANEW & set(change.fields) for change in found)


def in_words(changes: Sequence[Change]) -> str:
    """Say in a line how many resources are made, changed, replaced and removed."""
    counts = {verb: sum(change.action == action for change in changes) for action, verb in _VERBS.items()}
    parts = [f"{count} to {verb}" for verb, count in counts.items() if count]
    return ", ".join(parts) or "nothing to change"


def as_markdown(environment: str, changes: Sequence[Change]) -> str:
    """Write a plan for a comment on a pull request: addresses and fields, never values."""
    title = f"### Plan of `{environment}`: {in_words(changes)}"
    if not changes:
        return title + "\n"
    order = ["delete", "replace", "create", "update"]
    rows = [
        f"| {_VERBS[change.action]} | `{change.address}` | {', '.join(change.fields)} |"
        for change in sorted(changes, key=lambda change: (order.index(change.action), change.address))
    ]
    more = [f"\nand {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    lost = [change.address for change in changes if change.kind in STATEFUL and change.action in ("delete", "replace")]
    warning = [f"\n**`make deploy` refuses this plan**: it would lose {', '.join(lost)}."] if lost else []
    return "\n".join([title, "", "| | resource | fields |", "|---|---|---|", *rows[:_SHOWN], *more, *warning]) + "\n"
