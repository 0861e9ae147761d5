"""An account with nothing in it, and then: deploy, bootstrap, break, roll back, destroy. Each goes on from the last."""

import json

from tests.deploy.conftest import ENVIRONMENT


def live(world) -> dict:
    bucket = "flightline-staging-exports-123456789012"
    text = world.client("s3").get_object(Bucket=bucket, Key="deployments/live.json")["Body"].read()
    return json.loads(text)


def image_of(world, track: str = "stable") -> str:
    """The image that a service of ECS runs."""
    (service,) = world.client("ecs").describe_services(cluster=ENVIRONMENT, services=[f"{ENVIRONMENT}-{track}"])[
        "services"
    ]
    told = world.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return told["containerDefinitions"][0]["image"]


def test_a_first_deployment_is_live_but_not_ready_and_counts(world):
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.service, FLOWS_IMAGE=world.images.flows)
    assert ran.code == 0, ran.said
    assert "live but not ready: nothing was bootstrapped yet, which counts as deployed" in ran.said
    assert live(world)["is_bootstrapped"] is False
    assert image_of(world) == world.images.service


def test_bootstrap_makes_it_ready(world):
    ran = world.make("bootstrap", ENV="staging")
    assert ran.code == 0, ran.said
    assert "20 predictions of model version 1" in ran.said
    assert "0 mismatches in 20 predictions" in ran.said
    assert live(world)["is_bootstrapped"] is True
