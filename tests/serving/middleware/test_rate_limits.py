"""How often each may ask: of each worker alone, and of all together in a real Redis."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from flightline.core.errors import StartError
from flightline.core.settings import ServingSettings, Settings
from serving.app import create_app
from serving.middleware import rate_limits
from serving.middleware.api_keys import digest_of
from serving.middleware.auth import check_start
from serving.middleware.rate_limits import RateLimit, SharedCounts, check_shared_counts
from serving.telemetry.metrics import render
from tests.support.servers.redis_server import PASSWORD, RedisServer, run_redis
from tests.support.waiting import HandClock
from tests.toy_problem import make_project

PER_MINUTE, WRONG_PER_MINUTE = 20, 5
KEYS = {name: digest_of(f"fl_{name}") for name in ("busy", "team", "other")}


def test_no_limit_where_none_is_set() -> None:
    limit = RateLimit("requests", 0)

    async def ask_often() -> set[int]:
        return {await limit.wait_seconds("anyone") for _ in range(10_000)}

    assert asyncio.run(ask_often()) == {0}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis as long as the machine lets it take."""
    monkeypatch.setattr(rate_limits, "ANSWER_SECONDS", 60.0)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def service(root: Path, url: str) -> Iterator[TestClient]:
    """Run a replica of the service with keys and limits, in the test's own process."""
    bounds = {"requests_per_minute": PER_MINUTE, "failed_keys_per_minute": WRONG_PER_MINUTE, "limits_url": url}
    serving = ServingSettings(host="192.0.2.1", api_keys=KEYS, **bounds)
    with TestClient(create_app(make_project(Settings(root=root, serving=serving)))) as client:
        yield client


@pytest.fixture
def replicas(tmp_path: Path, redis: RedisServer) -> Iterator[tuple[TestClient, TestClient]]:
    with service(tmp_path / "a", redis.url) as first, service(tmp_path / "b", redis.url) as second:
        yield first, second


def ask(client: TestClient, key: str) -> int:
    return client.get("/docs", headers={"authorization": f"Bearer fl_{key}"}).status_code


def most_in(asked: Callable[[], object], limit: int) -> int:
    """Ask, and give how much a limit lets through meanwhile: a busy machine may take minutes."""
    began = time.monotonic()
    asked()
    return limit * (1 + int((time.monotonic() - began) // 60))


def counted_alone() -> float:
    lines = [line.split() for line in render().decode().splitlines()]
    return next(float(line[1]) for line in lines if line[0] == "flightline_limits_alone_total")


def test_two_replicas_let_a_key_no_more_through_than_its_limit(replicas: tuple[TestClient, TestClient]) -> None:
    before, answers = counted_alone(), []
    most = most_in(lambda: answers.extend(ask(one, "busy") for _ in range(PER_MINUTE) for one in replicas), PER_MINUTE)
    assert set(answers) == {200, 429}
    assert PER_MINUTE <= answers.count(200) <= most
    assert answers[:PER_MINUTE] == [200] * PER_MINUTE
    assert ask(replicas[1], "team") == 200
    assert counted_alone() == before


def test_a_refused_key_is_told_when_to_come_again(replicas: tuple[TestClient, TestClient]) -> None:
    for _ in range(PER_MINUTE):
        ask(replicas[0], "other")
    answer = replicas[1].get("/docs", headers={"authorization": "Bearer fl_other"})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_wrong_keys_are_counted_together_too(replicas: tuple[TestClient, TestClient]) -> None:
    answers: list[int] = []
    most = most_in(lambda: answers.extend(ask(one, "guess") for _ in range(5) for one in replicas), WRONG_PER_MINUTE)
    assert set(answers) == {401, 429}
    assert answers.count(401) <= most


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """Move the time until Redis is tried again; what Redis counts by stays as it is."""
    clock = HandClock()
    monkeypatch.setattr(rate_limits, "time", clock)
    return clock


def test_without_redis_each_replica_counts_alone_and_says_so_once(
    tmp_path: Path, redis: RedisServer, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="serving")
    with run_redis(_folder(tmp_path)) as own, service(tmp_path / "a", own.url) as client:
        assert [ask(client, "busy") for _ in range(PER_MINUTE)] == [200] * PER_MINUTE
        before = counted_alone()
        own.stop()
        answers = [ask(client, "busy") for _ in range(PER_MINUTE + 5)]
        assert answers[:PER_MINUTE] == [200] * PER_MINUTE
        assert 429 in answers
        assert counted_alone() == before + PER_MINUTE + 5
        assert _told(caplog) == ["gives no answer"]
        own.start()
        assert ask(client, "team") == 200
        assert _told(caplog) == ["gives no answer"]  # nobody asked it yet
        clock.forward(rate_limits.RETRY_SECONDS)
        assert ask(client, "team") == 200
        assert _told(caplog) == ["gives no answer", "answers again"]
        assert PASSWORD not in caplog.text


def test_a_redis_that_stands_still_holds_up_one_request_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: HandClock
) -> None:
    monkeypatch.setattr(rate_limits, "ANSWER_SECONDS", 0.05)
    with run_redis(_folder(tmp_path)) as own, service(tmp_path / "a", own.url) as client:
        process = own._process
        os.kill(process.pid, signal.SIGSTOP)
        try:
            assert [ask(client, "busy") for _ in range(5)] == [200] * 5
        finally:
            os.kill(process.pid, signal.SIGCONT)
        monkeypatch.setattr(rate_limits, "ANSWER_SECONDS", 60)
        clock.forward(rate_limits.RETRY_SECONDS)
        before = counted_alone()
        assert ask(client, "busy") == 200
        assert counted_alone() == before


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [record.getMessage() for record in caplog.records if "Redis of the rate limits" in record.getMessage()]
    return [next(part for part in ("gives no answer", "answers again") if part in text) for text in told]


def _folder(root: Path) -> Path:
    folder = root / "redis"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "url", ["redis", "http://host:6379", "redis://", "redis://host:many", "redis://h:1/x", "unix:///r"]
)
def test_a_start_with_no_url_of_redis_is_refused(tmp_path: Path, url: str) -> None:
    settings = Settings(root=tmp_path, serving=ServingSettings(limits_url=url))
    with pytest.raises(StartError, match=r"expected FLIGHTLINE_SERVING__LIMITS_URL as redis://:password@host:6379/1"):
        check_start(settings)


@pytest.mark.parametrize(
    "changed", [(":s3cret-of-the-tests@", ":wrong-one@"), (":s3cret-of-the-tests@", ""), ("/0", "/99")]
)
def test_a_start_that_redis_refuses_is_refused(redis: RedisServer, changed: tuple[str, str]) -> None:
    with pytest.raises(StartError, match="refuses its URL") as refused:
        check_shared_counts(redis.url.replace(*changed))
    assert "wrong-one" not in str(refused.value)


def test_a_password_may_come_by_itself(redis: RedisServer, tmp_path: Path) -> None:
    """As a secret of its own, which a URL in plain text must not hold."""
    bare = redis.url.replace(f":{PASSWORD}@", "")
    check_shared_counts(bare, PASSWORD)
    with pytest.raises(StartError, match="refuses its URL"):
        check_shared_counts(bare, "wrong-one")
    shared = {"limits_url": bare, "limits_password": PASSWORD}
    check_start(Settings(root=tmp_path, serving=ServingSettings(**shared)))

    async def count() -> list[int]:
        places = [SharedCounts(bare, PASSWORD) for _ in range(2)]
        waits = [await RateLimit("requests", 1, place).wait_seconds("alone") for place in places]
        for place in places:
            await place.close()
        return waits

    first, second = asyncio.run(count())
    assert (first, second > 0) == (0, True)


def test_a_redis_that_demands_no_password_yet_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new ElastiCache has none until `make deploy` gives it one, and the service is there before."""
    with run_redis(_folder(tmp_path)) as server:
        with Redis.from_url(server.url) as client:
            client.config_set("requirepass", "")
        check_shared_counts(server.url)
    assert "demands no password yet" in caplog.text


def test_a_start_without_redis_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with run_redis(_folder(tmp_path)) as gone:
        check_shared_counts(gone.url)
    assert caplog.text == ""
    check_shared_counts(gone.url)
    assert "each worker counts alone" in caplog.text
