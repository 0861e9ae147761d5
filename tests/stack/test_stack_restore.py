"""A restore drill: the stack is backed up in use, loses its databases, artifacts and models, and is put back."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flightline.adapters.mlflow import registry
from flightline.core.settings import Settings
from tests.stack.composed import PREDICT, PROJECT, STATUS
from tests.stack.servers import BUCKET, UNSCHEDULED, Stack, start_artifact_store
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.service_load import Load
from tests.support.waiting import wait_until

READY = "/health/ready"


def dump(stack: Stack) -> str:
    """Take what docs/operations.md takes of PostgreSQL."""
    command = [stack.postgres.binaries / "pg_dumpall", "--dbname", stack.postgres.url("postgres")]
    return run(command)


def run(command: list[object], given: str | None = None) -> str:
    """Run a tool of PostgreSQL; pg_dumpall does not pass the password of its address on to pg_dump."""
    environment = os.environ | {"PGPASSWORD": PASSWORD}
    done = subprocess.run(
        [*map(str, command)], input=given, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def put_back(stack: Stack, statements: str) -> None:
    """Give a dump to an empty server; its administrators are there already, which psql says and passes over."""
    command = [stack.postgres.binaries / "psql", "--quiet", "--dbname", stack.postgres.url("postgres")]
    run(command, statements)


def copy_objects(stack: Stack) -> dict[str, bytes]:
    """Read all that the artifact store holds."""
    return {key: stack.store().get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in stack.objects()}


def what_is_known(stack: Stack, instances: list[dict]) -> dict[str, object]:
    """Give what must be the same after a restore: model, record of its training, answers, labels."""
    settings = Settings(root=stack.flows.root, mlflow_tracking_uri=stack.url("mlflow"))
    version = stack.service.ask(STATUS).json()["version"]
    found = registry.get_version(settings, PROJECT.problem.model_name, version)
    return {
        "version": version,
        "digest": found.tags["model_sha256"],
        "metrics": registry.metrics_of_version(settings, found),
        "answers": stack.answers(instances),
        "labels": stack.ask_database("SELECT count(*) FROM labels"),
    }


@pytest.mark.usefixtures("trained")
def test_a_stack_that_lost_everything_comes_back(stack: Stack, instances: list[dict]) -> None:
    before = what_is_known(stack, instances)
    with Load(stack.service, instances[:2], clients=2, path=PREDICT) as load:
        load.wait_for(20)
        acknowledged = set(load.account.ids)
        statements = dump(stack)  # in use: what was acknowledged before it began is in it
        objects = copy_objects(stack)
        load.wait_for(20)
    assert load.account.failed == {}

    for name in ("worker", "service", "model-sync", "mlflow", "prefect", "artifacts"):
        stack.stop(name)
    stack.postgres.destroy()
    shutil.rmtree(served_models(stack))
    stack.postgres.init()
    stack.postgres.start()
    start_artifact_store(stack)
    assert stack.objects() == []

    put_back(stack, statements)
    for key, body in objects.items():
        stack.store().put_object(Bucket=BUCKET, Key=key, Body=body)
    stack.start("mlflow", "prefect")
    stack.start("worker", is_waited_for=False, PREFECT_RUNNER_POLL_FREQUENCY="2", **UNSCHEDULED)
    stack.start("model-sync", is_waited_for=False)
    stack.start("service")
    wait_until(lambda: stack.service.ask(READY).status == 200, 300, lambda: stack.log("model-sync"))

    assert what_is_known(stack, instances) == before
    assert acknowledged <= stack.logged()
    stack.wait_for("worker")
    stack.finish(stack.ask_for("data-check"))


def served_models(stack: Stack) -> Path:
    """Give the folder from which the service takes its models, which model sync fills anew."""
    return stack.composed.root("service") / ".state" / "serving"
