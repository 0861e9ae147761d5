"""An account with nothing in it, and then: deploy, fill, break, roll back, destroy. Each goes on from the last."""

import json
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from template.tests.deploy.conftest import ENVIRONMENT, World
from template.tests.infra.emulated.cloud import HOST_NAME
from template.tests.workflows.conftest import SHORT_CI
from template.tests.workflows.local_github.act import REAL, Run, event, project_repository, run_workflow
from template.tests.workflows.test_deploy import BILLS
from tools.deploy import tasks
from tools.deploy.environment import Environment

# Another version of the champion's own file, made champion by hand, which nobody has signed.
BAD_MODEL = """
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.problem.config import PROBLEM
from flightline.core.settings import Settings
settings, name = Settings(), PROBLEM.model_name
good = registry.version_of(settings, name, registry.CHAMPION)
(output,) = registry.connect(settings).get_run(good.run_id).outputs.model_outputs
bad = registry.register(settings, name, good.run_id, output.model_id, good.tags, complete=lambda made: None)
move_champion(settings, name, bad, by="person:ada", why="a test", evidence={"told": "by a test"})
print("champion is version", bad)
"""


def live(world: World) -> dict[str, Any]:
    """What the record of the environment says."""
    bucket = "flightline-staging-exports-123456789012"
    text = world.client("s3").get_object(Bucket=bucket, Key="deployments/live.json")["Body"].read()
    return json.loads(text)


def live_image(world: World) -> str:
    return live(world)["releases"][-1]["service"]


def running_image(world: World, track: str = "stable") -> str:
    """The service's image in the task definition that ECS runs, which Docker really runs."""
    ecs = world.client("ecs")
    (service,) = ecs.describe_services(cluster=ENVIRONMENT, services=[f"{ENVIRONMENT}-{track}"])["services"]
    told = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    image = told["containerDefinitions"][0]["image"]
    started = world.stand_in.rollouts[f"{ENVIRONMENT}-{track}"].running
    assert started is not None
    assert started.inspect("{{.Config.Image}}") == image
    return image


def clusters(world: World) -> list[str]:
    """ECS lists a cluster for a while after it was deleted; what is there is active."""
    ecs = world.client("ecs")
    found = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    return [one["clusterName"] for one in found if one["status"] == "ACTIVE"]


def weights(world: World) -> dict[str, int]:
    """Which share of requests each track gets."""
    (listener,) = world.balancer.listeners()
    groups = listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    return {one["TargetGroupArn"].split("/")[1].rsplit("-", 1)[-1]: one["Weight"] for one in groups}


@contextmanager
def asked_all_the_while(world: World) -> Iterator[list[int]]:
    """Ask the load balancer again and again whether the service is ready, until the block ends; give the answers."""
    statuses, is_over = [], threading.Event()
    trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=world.folder / "authority.pem"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"https": world.balancer.proxy}), trusting)

    def ask() -> None:
        while not is_over.wait(0.3):
            try:
                statuses.append(opener.open(f"https://{HOST_NAME}/health/ready", timeout=20).status)
            except urllib.error.HTTPError as err:
                statuses.append(err.code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        thread.join()


@pytest.fixture
def merge(world, tmp_path):
    """Run the workflow `deploy` for a push to main, up to staging, with real make targets for images and deployment."""

    def run(name: str) -> Run:
        own = project_repository(tmp_path / name / "name", world.project.root)
        (own / ".github" / "workflows" / "ci.yml").write_text(SHORT_CI)
        named = {key: value for key, value in world.project.environment.items() if not key.startswith("AWS_")}
        ran = run_workflow(
            own,
            tmp_path / name / "run",
            "deploy",
            "push",
            event("push"),
            variables={"AWS_ACCOUNT": "123456789012", "AWS_REGION": "us-east-1"},
            real=(*REAL, "image-push", "deploy"),
            files=BILLS,
            environment={**named, "REPOSITORY": f"{world.registry}/flightline"},
            aws={key: value for key, value in world.project.environment.items() if key.startswith("AWS_")},
            job="staging",
            limit_seconds=2400,
        )
        print(ran.log, flush=True)  # what every step said, should the test fail
        return ran

    return run


def test_a_merge_whose_plan_fails_deploys_nothing(world, merge):
    with world.changed_network("10.20.0.0/24"):
        run = merge("failing")
    assert run.code != 0
    assert "step 2 (secrets) failed" in run.log
    assert "Expected a /16" in run.log
    assert clusters(world) == []


def test_a_merge_brings_a_first_deployment_that_is_not_ready(world, merge):
    run = merge("first")
    assert run.code == 0, run.log
    made = [call.name for call in run.calls if call.name.startswith("make ")]
    assert made[-1] == "make deploy ENV=staging"
    (tested,) = run.of("make image-smoke")
    assert tested.environment["IMAGE"] == live_image(world)
    assert "live but not ready: it has not been filled yet, which counts as deployed" in run.log
    assert live(world)["is_filled"] is False
    assert running_image(world) == live_image(world)
    assert live_image(world).startswith(f"{world.registry}/flightline/service@sha256:")
    assert clusters(world) == [ENVIRONMENT]


def test_the_first_fill_makes_it_ready(world):
    ran = world.make("first-fill", ENV="staging")
    assert ran.code == 0, ran.said
    assert "20 predictions of model version 1" in ran.said
    assert "0 mismatches in 20 predictions" in ran.said
    assert live(world)["is_filled"] is True
    held = world.client("s3").list_objects_v2(Bucket="flightline-staging-dvc-123456789012")
    assert held["KeyCount"] == 28  # the files of data/ and their list


def test_a_second_fill_finds_nothing_to_do(world):
    ran = world.make("first-fill", ENV="staging")
    assert ran.code == 0, ran.said
    assert "nothing to do: the service is ready" in ran.said


def test_a_change_is_live_once_its_predictions_were_compared(world, merge):
    before, changed = live_image(world), world.project.root / "serving" / "__init__.py"
    changed.write_text(f"{changed.read_text()}\n# A change.\n")
    with asked_all_the_while(world) as statuses:
        run = merge("change")
    assert run.code == 0, run.log
    assert len(statuses) > 50
    assert set(statuses) == {200}
    assert "20 predictions of model version 1" in run.log
    assert "0 mismatches in 20 predictions" in run.log
    assert running_image(world) == live_image(world) != before


def test_an_image_that_no_registry_holds_is_refused_first(world):
    absent = world.images.service.split("@")[0] + f"@sha256:{'0' * 64}"
    ran = world.make("deploy", ENV="staging", IMAGE=absent)
    assert ran.code != 0
    assert "step 1 (images) failed" in ran.said
    assert "holds no flightline/service" in ran.said


def test_a_plan_that_would_lose_data_is_refused(world):
    before = running_image(world)
    with world.changed_network("10.21.0.0/16"):
        ran = world.make("deploy", ENV="staging", IMAGE=world.images.next)
    assert ran.code != 0
    assert "replace module.network.aws_vpc.this" in ran.said
    assert running_image(world) == live_image(world) == before


def test_an_image_that_does_not_start_is_rolled_back(world):
    before = running_image(world)
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.crashing)
    assert ran.code != 0
    assert re.search(
        r"step \d+ \(services\) failed .*ECS took the deployment of flightline-staging-stable back", ran.said
    )
    assert running_image(world) == live_image(world) == before


def test_an_image_that_answers_with_errors_is_rolled_back(world):
    before = running_image(world)
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.failing)
    assert ran.code != 0
    assert re.search(r"step \d+ \(smoke test\) failed", ran.said)
    assert "is live again" in ran.said
    assert running_image(world) == live_image(world) == before


def test_a_model_that_is_refused_is_rolled_back(world):
    before, place = running_image(world), Environment("staging", world.terraform)
    assert tasks.run_flow(place, ["python", "-c", BAD_MODEL]) == "champion is version 2"
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.next)
    assert ran.code != 0
    assert "model version 2 is refused" in ran.said
    assert "is live again" in ran.said
    assert "20 predictions of model version 1" in ran.said
    assert running_image(world) == live_image(world) == before


def test_the_same_again_changes_nothing(world):
    ecs, before = world.client("ecs"), live(world)
    revisions = ecs.list_task_definitions()["taskDefinitionArns"]
    ran = world.make("deploy", ENV="staging")
    assert ran.code == 0, ran.said
    assert "nothing to do: these images are live and the service is well" in ran.said
    assert ecs.list_task_definitions()["taskDefinitionArns"] == revisions
    assert live(world) == before


def test_a_slow_canary_is_taken_away(world):
    before = running_image(world)
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.slow, CANARY="50", WATCH="10")
    assert ran.code != 0
    assert "the canary failed and is taken away" in ran.said
    assert re.search(r"slow|one in twenty predictions takes", ran.said)
    assert running_image(world) == live_image(world) == before
    assert weights(world) == {"stable": 100, "canary": 0}
    assert not world.stand_in.addresses("canary")


def test_a_good_canary_becomes_the_stable_one(world):
    ran = world.make("deploy", ENV="staging", IMAGE=world.images.next, CANARY="50", WATCH="10")
    assert ran.code == 0, ran.said
    assert re.search(r"\d+ answers, 0 errors", ran.said)
    assert running_image(world) == live_image(world) == world.images.next
    assert weights(world) == {"stable": 100, "canary": 0}


def test_each_rollback_goes_one_release_further_back(world):
    releases = [one["service"] for one in live(world)["releases"]]
    assert len(releases) == 3
    assert releases[-1] == world.images.next
    for expected in reversed(releases[:-1]):
        ran = world.make("rollback", ENV="staging", WHY="a test")
        assert ran.code == 0, ran.said
        assert running_image(world) == live_image(world) == expected
    again = world.make("rollback", ENV="staging", WHY="a test")
    assert again.code != 0
    assert "no release to go back to" in again.said


def test_destroy_asks_and_leaves_nothing(world):
    asked = world.make("destroy", ENV="staging", CONFIRM="production")
    assert asked.code != 0
    assert "expected CONFIRM=staging; nothing was removed" in asked.said
    assert live(world)["releases"]
    ran = world.make("destroy", ENV="staging", CONFIRM="staging")
    assert ran.code == 0, ran.said
    assert clusters(world) == []
    assert [one["Name"] for one in world.client("s3").list_buckets()["Buckets"]] == [
        "flightline-terraform-123456789012"
    ]
    assert world.client("rds").describe_db_instances()["DBInstances"] == []
    assert world.client("secretsmanager").list_secrets()["SecretList"] == []
    again = world.make("destroy", ENV="staging", CONFIRM="staging")
    assert again.code == 0, again.said
    assert "nothing to do" in again.said
