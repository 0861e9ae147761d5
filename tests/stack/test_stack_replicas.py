"""Two replicas behind nginx, on one PostgreSQL and one Redis: one is killed under load, and no promise is broken."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flightline.adapters.model_store.signing_keys import PUBLIC_FILE
from flightline.adapters.prediction_log.schema import migrate
from flightline.core.settings import PredictionLogSettings, Settings
from serving.middleware.api_keys import digest_of
from tests.stack.servers import demand
from tests.support.servers.nginx import find_nginx, run_nginx
from tests.support.servers.postgres import PostgresServer, find_postgres
from tests.support.servers.redis_server import PASSWORD, run_redis
from tests.support.servers.service_load import Load, lost_predictions
from tests.support.servers.service_process import REPOSITORY, Service, running
from tests.support.small_service import INSTANCE, PREDICT
from tests.support.small_store import make_store
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack
PER_MINUTE = 300
WRONG_PER_MINUTE = 5
KEYS = ("shop", "desk", "app")


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    demand({
        "PostgreSQL (Debian: postgresql)": find_postgres(),
        "Redis (Debian: redis-server)": shutil.which("redis-server"),
        "nginx (Debian: nginx-light)": find_nginx(),
    })  # fmt: skip


@dataclass
class Fleet:
    """Two replicas, what stands before them, and the log they share."""

    replicas: tuple[Service, Service]
    nginx: Service
    log: Settings

    def as_key(self, name: str) -> Service:
        """Ask through nginx with another key."""
        return replace(self.nginx, key=f"fl_{name}")


@pytest.fixture
def fleet(programs: None, tmp_path: Path, postgres_server: PostgresServer, monkeypatch) -> Iterator[Fleet]:
    with ExitStack() as stack:
        redis = stack.enter_context(run_redis(_folder(tmp_path / "redis")))
        registry = postgres_server.new_database().replace("postgresql://", "postgresql+psycopg://")
        feast = {"FEAST_REGISTRY": registry, "FEAST_REDIS": redis.address, "FEAST_REDIS_PASSWORD": PASSWORD}
        for name, value in feast.items():
            monkeypatch.setenv(name, value)
        log_url = postgres_server.new_database()
        log = Settings(root=tmp_path, prediction_log=PredictionLogSettings(url=log_url))
        migrate(log)
        shared = feast | {
            "FLIGHTLINE_PROFILE": "stack",
            "FLIGHTLINE_PREDICTION_LOG__URL": log_url,
            "FLIGHTLINE_PREDICTION_LOG__BUSY_TIMEOUT_SECONDS": 30,
            "limits_url": redis.url.replace("/0", "/1"),
            "requests_per_minute": PER_MINUTE,
            "failed_keys_per_minute": WRONG_PER_MINUTE,
            "trusted_proxies": "127.0.0.1",
            "api_keys": json.dumps({name: digest_of(f"fl_{name}") for name in KEYS}),
            "watch": False,
        }
        replicas = []
        for name in ("one", "two"):
            root = _folder(tmp_path / name)
            _declare(root)
            key = Settings(root=root).signing_dir / PUBLIC_FILE
            given = shared | {"FLIGHTLINE_SIGNING__PUBLIC_KEY": key}
            replicas.append(stack.enter_context(running(root, "fl_shop", module="serving", **given)))
        for replica in replicas:
            wait_until(replica.is_ready, said=replica.log.read_text)
        nginx = stack.enter_context(run_nginx(_folder(tmp_path / "nginx"), replicas, "fl_shop"))
        yield Fleet((replicas[0], replicas[1]), nginx, log)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _declare(root: Path) -> None:
    """Register the small features and bring them to Redis, as a place of the profile stack."""
    settings = Settings(root=root, profile="stack")
    settings.feature_repo.mkdir()
    shutil.copy(REPOSITORY / "feature_repo" / "feature_store.stack.yaml", settings.feature_repo)
    make_store(settings)


def test_a_killed_replica_takes_no_acknowledged_prediction_and_no_limit_with_it(fleet: Fleet) -> None:
    loads = [Load(fleet.as_key(name), clients=2) for name in KEYS]
    with ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        for load in loads:
            load.wait_for(20)
        fleet.replicas[0].kill()
        for load in loads:
            load.wait_for(20)
        for load in loads:  # and on, until each has had all that it may
            wait_until(lambda load=load: _refused(load) > 0, said=lambda load=load: load.account)
    for load in loads:
        assert len(load.account.answers) > PER_MINUTE / 2
        assert _in_first_window(load) <= PER_MINUTE
    ids = [one for load in loads for one in load.account.ids]
    assert lost_predictions(fleet.log, ids) == 0
    # Only what was under way at the killed replica failed: a client asks one thing at a time.
    failed = [why for load in loads for why in load.account.failed.elements() if not why.startswith("429 ")]
    assert len(failed) <= 2 * len(KEYS)
    assert all(why.startswith("502 no replica answered") for why in failed)


def _in_first_window(load: Load) -> int:
    """Count what was answered in the minute that Redis began with the key's first request."""
    first = load.account.answers[0].at
    return sum(answer.at < first + 50 for answer in load.account.answers)


def _refused(load: Load) -> int:
    return sum(times for why, times in load.account.failed.items() if why.startswith("429 "))


def test_replicas_share_the_load_and_stand_in_for_each_other(fleet: Fleet) -> None:
    body = {"instances": [INSTANCE]}
    for _ in range(10):
        assert fleet.nginx.ask(PREDICT, body).status == 200
    made = [_rows(replica) for replica in fleet.replicas]
    assert sum(made) == 10
    assert min(made) > 0
    # Wrong keys are counted by the client that nginx names, whatever the client says of itself.
    guess = replace(fleet.nginx, key="fl_guess")
    answers = [guess.ask(PREDICT, {}, x_forwarded_for=f"192.0.2.{n}").status for n in range(4 * WRONG_PER_MINUTE)]
    assert set(answers) == {401, 429}
    fleet.replicas[0].stop()
    for _ in range(10):  # not even the first one fails: the connection is refused, so nothing was sent
        assert fleet.nginx.ask(PREDICT, body).status == 200
    assert _rows(fleet.replicas[1]) == made[1] + 10
    fleet.replicas[1].stop()
    answer = fleet.nginx.ask(PREDICT, body)
    assert (answer.status, answer.headers["retry-after"]) == (502, "1")
    assert answer.json()["error"].startswith("no replica answered")


def _rows(replica: Service) -> float:
    return sum(value for name, value in replica.metrics().items() if name.startswith("flightline_rows_total"))
