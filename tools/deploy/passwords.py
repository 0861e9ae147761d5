"""Fills the places of secrets that Terraform makes, and gives PostgreSQL and Redis their passwords.

So no state holds a secret, and a role that only plans may read none. Each step can be run again: what has a value keeps
it, and a store that was given the newest is left alone.
"""

import hashlib
import json
import secrets
import string
from collections.abc import Sequence
from typing import Any

from tools.deploy.environment import Environment
from tools.deploy.steps import wait_until
from tools.terraform.terraform import LOCK_TIMEOUT

LENGTH = 48
LETTERS = string.ascii_letters + string.digits
# A version of a secret that bears it is the one that its store was given.
GIVEN = "given-to-its-store"
SETTLE_SECONDS = 900


def write(environment: Environment, variables: Sequence[str], *, anew: bool = False) -> str:
    """Write a value for each secret that has none; give what was done, in words.

    Parameters
    ----------
    variables
        Terraform's arguments, for an environment that has no places yet.
    anew
        Write every password anew, beside the former one, which AWS keeps as the version before.
    """
    if "secret_places" not in environment.outputs:
        environment.plan(variables)  # what does not even plan leaves nothing behind
        target = ["-auto-approve", "-target=module.secrets", LOCK_TIMEOUT]
        environment.root.run_with_progress("apply", *target, *variables)
        environment.forget_outputs()
    client, places = environment.client("secretsmanager"), environment.outputs["secret_places"]
    written = 0
    for place in places.values():
        if place["user"] is not None and (anew or not _versions(client, place["arn"])):
            password = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
            _put(client, place["arn"], {"username": place["user"], "password": password})
            written += 1
    _write_digest(client, _read(client, places["api-key"]["arn"])["password"], places["api-keys"]["arn"])
    if not _versions(client, places["alerts"]["arn"]):
        _put(client, places["alerts"]["arn"], {"url": ""})
    return f"{written} passwords made up" if written else "every one has a value"


def _write_digest(client: Any, key: str, place: str) -> None:
    """Let the service know the digest of the deployment's key, beside those that a person has added."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    held = _read(client, place) if _versions(client, place) else {}
    if held.get("deployment") != digest:
        _put(client, place, held | {"deployment": digest})


def hand_over(environment: Environment) -> str:
    """Give PostgreSQL and Redis the passwords that their secrets hold; give which got one, in words.

    Whoever has the former one keeps working: PostgreSQL asks at a connection's start, and Redis takes both.
    """
    client, places = environment.client("secretsmanager"), environment.outputs["secret_places"]
    given = []
    for name, give in (("database-admin", _give_postgres), ("cache", _give_redis)):
        place, versions = places[name]["arn"], _versions(client, places[name]["arn"])
        newest = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
        if GIVEN not in versions[newest]:
            give(environment, _read(client, place)["password"])
            former = [version for version, stages in versions.items() if GIVEN in stages]
            move = {"RemoveFromVersionId": former[0]} if former else {}
            client.update_secret_version_stage(SecretId=place, VersionStage=GIVEN, MoveToVersionId=newest, **move)
            given.append(name)
    return f"given to {' and '.join(given)}" if given else "every store has its own"


def _give_postgres(environment: Environment, password: str) -> None:
    client, name = environment.client("rds"), environment.deployment["database"]

    def look() -> str | None:
        (found,) = client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        waits = "MasterUserPassword" in found.get("PendingModifiedValues", {})
        is_ready = found["DBInstanceStatus"] == "available" and not waits
        return None if is_ready else f"the database is {found['DBInstanceStatus']}"

    client.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword=password, ApplyImmediately=True)
    wait_until(look, SETTLE_SECONDS, "the database takes its password")


def _give_redis(environment: Environment, password: str) -> None:
    """Add a token to those that are taken; where none was demanded yet, demand it from then on."""
    client, name = environment.client("elasticache"), environment.deployment["cache"]

    def find() -> dict[str, Any]:
        return client.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]

    def modify(strategy: str) -> None:
        client.modify_replication_group(
            ReplicationGroupId=name, AuthToken=password, AuthTokenUpdateStrategy=strategy, ApplyImmediately=True
        )
        wait_until(
            lambda: None if (status := find()["Status"]) == "available" else f"Redis is {status}",
            SETTLE_SECONDS,
            "Redis takes its token",
        )

    demanded = find().get("AuthTokenEnabled", False)
    modify("ROTATE")
    if not demanded:
        modify("SET")


def restart(environment: Environment) -> str:
    """Start every service's tasks anew: a task takes its secrets when it starts."""
    ecs, given = environment.client("ecs"), environment.deployment
    for name in given["services"].values():
        ecs.update_service(cluster=given["cluster"], service=name, forceNewDeployment=True)
    return f"{len(given['services'])} services start anew"


def _versions(client: Any, place: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = client.describe_secret(SecretId=place).get("VersionIdsToStages", {})
    return found


def _read(client: Any, place: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(client.get_secret_value(SecretId=place)["SecretString"])
    return value


def _put(client: Any, place: str, value: dict[str, Any]) -> None:
    client.put_secret_value(SecretId=place, SecretString=json.dumps(value))
