"""What `make deploy` does with secrets: it fills places, gives the stores theirs, and makes all anew when asked to."""

import json
from typing import Any

import pytest

from template.tests.infra.emulated.cloud import Cloud
from tools.deploy import passwords
from tools.deploy.environment import Environment

pytestmark = pytest.mark.slow
NAMES = ("database-admin", "database-mlflow", "database-prefect", "database-predictions", "cache", "api-key")


@pytest.fixture
def deployed(cloud: Cloud) -> Environment:
    return cloud.deployed("staging")


def values(cloud: Cloud) -> dict[str, dict[str, Any]]:
    client = cloud.client("secretsmanager")
    found = {one["Name"].split("/")[1]: one["ARN"] for one in client.list_secrets()["SecretList"]}
    return {name: json.loads(client.get_secret_value(SecretId=arn)["SecretString"]) for name, arn in found.items()}


def tokens(cloud: Cloud) -> list[tuple[str, str]]:
    """The tokens that Redis was given, and how, in their order."""
    made = [call.sent for call in cloud.calls if call.name == "elasticache:ModifyReplicationGroup"]
    return [(one["AuthTokenUpdateStrategy"], one["AuthToken"]) for one in made if "AuthToken" in one]


def admin_passwords(cloud: Cloud) -> list[str]:
    made = [call.sent for call in cloud.calls if call.name == "rds:ModifyDBInstance"]
    return [one["MasterUserPassword"] for one in made if "MasterUserPassword" in one]


def test_each_secret_is_written_and_each_store_given_its_own_once(cloud: Cloud, deployed: Environment) -> None:
    held = values(cloud)
    assert {name for name, value in held.items() if len(value.get("password", "")) == passwords.LENGTH} == set(NAMES)
    assert (passwords.write(deployed, ()), passwords.hand_over(deployed)) == (
        "every one has a value",
        "every store has its own",
    )
    assert values(cloud) == held
    # From a Redis that asks for nothing: the token is taken, then demanded.
    assert tokens(cloud) == [("ROTATE", held["cache"]["password"]), ("SET", held["cache"]["password"])]
    assert admin_passwords(cloud) == [held["database-admin"]["password"]]


def test_new_ones_take_the_place_of_all_and_keep_what_a_person_added(cloud: Cloud, deployed: Environment) -> None:
    client, before = cloud.client("secretsmanager"), values(cloud)
    keys = {**before["api-keys"], "team": "0" * 64}
    client.put_secret_value(SecretId="flightline-staging/api-keys", SecretString=json.dumps(keys))
    assert passwords.write(deployed, (), anew=True) == "6 passwords made up"
    assert passwords.hand_over(deployed) == "given to database-admin and cache"
    after = values(cloud)
    assert [name for name in NAMES if before[name]["password"] == after[name]["password"]] == []
    assert after["api-keys"] == {"team": "0" * 64, "deployment": after["api-keys"]["deployment"]}
    assert after["api-keys"]["deployment"] != keys["deployment"]
    # Tasks that hold the former token work on until they are started anew.
    assert tokens(cloud)[2:] == [("ROTATE", after["cache"]["password"])]
    assert admin_passwords(cloud)[1:] == [after["database-admin"]["password"]]
    client.put_secret_value(
        SecretId="flightline-staging/api-keys",
        SecretString=json.dumps({"deployment": after["api-keys"]["deployment"]}),
    )


def test_every_service_is_started_anew(cloud: Cloud, deployed: Environment) -> None:
    assert passwords.restart(deployed) == "5 services start anew"
    made = [call.sent for call in cloud.calls if call.name == "ecs:UpdateService"]
    anew = {one["service"].rsplit("/", 1)[-1] for one in made if one.get("forceNewDeployment")}
    assert anew == set(deployed.deployment["services"].values())
