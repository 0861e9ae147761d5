"""What the stack promises when a part of it is gone, or asked by somebody without a password; each part comes back."""

import os
import signal
import subprocess
import urllib.error
import urllib.request

import psycopg
import pytest

from pipelines.common.servers.processes import answers
from tests.stack.composed import PREDICT, STATUS
from tests.stack.servers import Stack
from tests.support.servers.service_load import Load
from tests.support.servers.service_process import free_port
from tests.support.waiting import wait_until

READY = "/health/ready"


def test_the_service_does_not_start_without_an_api_key(trained: Stack) -> None:
    environment = trained.composed.environment("service")
    bare = {name: value for name, value in environment.items() if "API_KEYS" not in name}
    bare["FLIGHTLINE_SERVING__PORT"] = str(free_port())
    done = subprocess.run(
        trained.composed.command("service"), cwd=trained.composed.root("service"), env=bare, capture_output=True,
        text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode != 0
    assert "make api-key" in done.stderr + done.stdout


def test_the_service_answers_nobody_without_a_key(trained: Stack, instances: list[dict]) -> None:
    for key in ("Bearer ", "Bearer fl_wrong"):
        assert trained.service.ask(PREDICT, {"instances": instances[:1]}, authorization=key).status == 401


def test_prefect_answers_nobody_without_its_password(trained: Stack) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{trained.url('prefect')}/api/admin/version", timeout=600)


@pytest.mark.parametrize(("user", "other"), [("mlflow", "predictions"), ("prefect_database", "mlflow")])
def test_a_user_of_postgresql_enters_its_own_database_alone(trained: Stack, user: str, other: str) -> None:
    password = trained.composed.variables[f"STACK_{user.upper()}_PASSWORD"]
    name = user.removesuffix("_database")
    url = f"postgresql://{name}:{password}@127.0.0.1:{trained.postgres.port}/"
    psycopg.connect(url + name).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url + other)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "guessed") + name)


def test_the_service_cannot_write_feasts_registry(trained: Stack) -> None:
    url = trained.composed.environment("service")["FEAST_REGISTRY"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM feature_views").fetchone() != (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM feature_views")


def test_a_setup_that_is_run_again_changes_nothing(trained: Stack, instances: list[dict]) -> None:
    before, logged = trained.answers(instances), trained.logged()
    assert "is there" in trained.composed.run("setup").stdout
    assert "is registered" in trained.composed.run("declarations").stdout
    assert trained.answers(instances) == before
    assert logged <= trained.logged()


def test_without_redis_the_service_says_so_and_then_goes_on(trained: Stack, instances: list[dict]) -> None:
    before = trained.answers(instances)
    trained.redis.stop()
    try:
        refused = trained.service.ask(PREDICT, {"instances": instances})
        assert refused.status == 503
        assert "online store" in refused.body.decode()
        assert trained.service.ask("/health/live").status == 200
    finally:
        trained.redis.start()
    wait_until(lambda: trained.service.ask(READY).status == 200, 90, lambda: trained.log("service"))
    assert trained.answers(instances) == before


def test_a_crash_of_postgresql_loses_no_acknowledged_prediction(trained: Stack, instances: list[dict]) -> None:
    with Load(trained.service, instances[:2], clients=2, path=PREDICT) as load:
        load.wait_for(20)
        trained.postgres.stop(signal.SIGQUIT)
        wait_until(lambda: load.account.failed, said=lambda: load.account.failed)
        assert trained.service.ask("/health/live").status == 200
        trained.postgres.start()
        load.wait_for(20)
    assert [why for why in load.account.failed if not why.startswith("503 ")] == []
    assert set(load.account.ids) <= trained.logged()
    wait_until(lambda: trained.composed.is_healthy("prefect"), 60, lambda: trained.log("prefect"))
    wait_until(lambda: trained.composed.is_healthy("worker"), 60, lambda: trained.log("worker"))
    trained.finish(trained.ask_for("data-check"))


def test_without_mlflow_a_restarted_service_has_its_last_good_model(trained: Stack, instances: list[dict]) -> None:
    version = trained.service.ask(STATUS).json()["version"]
    trained.stop("mlflow")
    trained.stop("service")
    trained.start("service")
    try:
        wait_until(lambda: trained.service.ask(READY).status == 200, 90, lambda: trained.log("service"))
        assert trained.service.ask(STATUS).json()["version"] == version
        assert trained.service.ask(PREDICT, {"instances": instances}).status == 200
    finally:
        trained.start("mlflow")
    assert answers(f"{trained.url('mlflow')}/health")


def test_what_prometheus_cannot_read_is_down(trained: Stack) -> None:
    """The key is the one guard between /metrics and the network: a wrong one is a target that is down."""
    assert trained.service.ask("/metrics", authorization="Bearer fl_wrong").status == 401
    key = (trained.composed.folder / "stack" / "metrics_key").read_text()
    assert trained.service.ask("/metrics", authorization=f"Bearer {key}").status == 200
    assert os.stat(trained.composed.folder / "stack").st_mode & 0o077 == 0
