"""Valid requests of many rows: others are answered meanwhile, nobody takes it all, and no answer comes too late."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flightline.adapters.event_clock import set_clock
from flightline.adapters.feast.online_features import FeatureRow
from flightline.core.settings import ServingSettings, Settings
from serving.telemetry.metrics import render
from tests.support.small_service import INSTANCE, NOON, PREDICT, SCORE, HandMadeFeatures
from tests.support.waiting import WAIT_SECONDS, wait_in_loop

PART, ALL, SHARE = 10, 60, 40


@dataclass
class HeldFeatures(HandMadeFeatures):
    """Reads many rows only when `may_read` is set, and keeps for which shop; `on_read` is called at each part."""

    may_read: threading.Event = field(default_factory=threading.Event)
    parts: list[str] = field(default_factory=list)
    on_read: Callable[[int], None] = lambda _: None

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        if len(entity_rows) > 1:
            self.parts.append(str(entity_rows[0]["shop"]))
            self.on_read(len(self.parts))
            assert self.may_read.wait(WAIT_SECONDS)
        return super().read(entity_rows, as_of)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    serving = ServingSettings(max_rows=ALL, max_rows_per_key=SHARE, part_rows=PART)
    settings = Settings(root=tmp_path, serving=serving)
    set_clock(settings, NOON)
    return settings


@pytest.fixture
def features() -> HeldFeatures:
    return HeldFeatures()


def caller(app: FastAPI, name: str) -> httpx.AsyncClient:
    """Give a client of its own address: where no keys are needed, that is who asks."""
    transport = httpx.ASGITransport(app, client=(name, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=None)


def ask(app: FastAPI, name: str, rows: int, shop: str = "S01") -> "asyncio.Task[httpx.Response]":
    body = {"instances": [INSTANCE | {"shop": shop}] * rows}
    return asyncio.create_task(caller(app, name).post(PREDICT, json=body))


async def wait_for_rows(app: FastAPI, rows: int) -> None:
    await wait_in_loop(lambda: app.state.large_requests.rows == rows)


def count(name: str) -> float:
    return sum(float(line.split()[1]) for line in render().decode().splitlines() if line.startswith(name))


def test_while_large_requests_are_held_others_are_answered(app: FastAPI, features: HeldFeatures) -> None:
    async def attack() -> None:
        held = [ask(app, "a", 30), ask(app, "b", 30)]
        await wait_for_rows(app, 60)
        for path in ("/health/live", "/health/ready"):
            assert (await caller(app, "probe").get(path)).status_code == 200
        assert (await ask(app, "c", 1)).status_code == 200
        assert (await ask(app, "a", 1)).status_code == 200
        features.may_read.set()
        answers = await asyncio.gather(*held)
        assert [len(answer.json()["predictions"]) for answer in answers] == [30, 30]

    asyncio.run(attack())


def test_a_full_worker_says_503_and_a_full_share_429(app: FastAPI, features: HeldFeatures) -> None:
    async def attack() -> None:
        before = count('flightline_busy_total{bound="rows"}'), count('flightline_rate_limited_total{why="rows"}')
        held = [ask(app, "a", 30), ask(app, "b", 30)]
        await wait_for_rows(app, 60)
        refused = [await ask(app, "a", 20), await ask(app, "c", 20)]
        assert [answer.status_code for answer in refused] == [429, 503]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert "30 rows of this key are being predicted" in refused[0].json()["error"]
        assert "60 rows are being predicted" in refused[1].json()["error"]
        features.may_read.set()
        assert {answer.status_code for answer in await asyncio.gather(*held)} == {200}
        assert app.state.large_requests.rows == 0
        assert (await ask(app, "c", 20)).status_code == 200
        after = count('flightline_busy_total{bound="rows"}'), count('flightline_rate_limited_total{why="rows"}')
        assert after == (before[0] + 1, before[1] + 1)

    asyncio.run(attack())


def test_a_request_larger_than_the_share_fits_alone(app: FastAPI, features: HeldFeatures) -> None:
    features.may_read.set()

    async def ask_for_many() -> None:
        assert (await ask(app, "a", ALL + 10)).status_code == 200

    asyncio.run(ask_for_many())


def test_of_each_key_one_request_at_a_time_and_keys_in_turns(app: FastAPI, features: HeldFeatures) -> None:
    async def attack() -> None:
        first = ask(app, "a", 20, "S01")
        await wait_in_loop(lambda: features.parts == ["S01"])
        second = ask(app, "a", 10, "S02")
        await wait_for_rows(app, 30)
        other = ask(app, "b", 20, "S03")
        # Room is held before a request is checked; only then it has its place in the row.
        await wait_in_loop(lambda: not app.state.large_requests._thread._jobs.empty())
        features.may_read.set()
        await asyncio.gather(first, second, other)

    asyncio.run(attack())
    assert features.parts == ["S01", "S03", "S01", "S03", "S02"]


def test_between_parts_the_time_limit_is_kept(app: FastAPI, features: HeldFeatures, settings: Settings) -> None:
    features.may_read.set()
    late = settings.serving.request_seconds + 1

    async def attack() -> httpx.Response:
        loop, passed = asyncio.get_running_loop(), [0.0]
        time = loop.time
        loop.time = lambda: time() + sum(passed)  # type: ignore[method-assign]  # moved by hand
        features.on_read = lambda parts: passed.append(late) if parts == 2 else None
        answer = await ask(app, "a", 4 * PART)
        assert app.state.large_requests.rows == 0
        return answer

    answer = asyncio.run(attack())
    assert answer.status_code == 503
    assert "no answer within 20 s" in answer.json()["error"]
    assert len(features.parts) == 2


def test_an_answer_in_parts_is_as_of_one_row_each(client: TestClient, features: HeldFeatures) -> None:
    features.may_read.set()
    shops = [f"S{number:02}" for number in range(1, 26)]

    def values(path: str, rows: list[dict], name: str) -> list[float]:
        answer = client.post(path, json={"instances": rows})
        assert answer.status_code == 200, answer.text
        return [prediction[name] for prediction in answer.json()["predictions"]]

    for path, name, of_shop in (
        (PREDICT, "probability", lambda shop: INSTANCE | {"shop": shop}),
        (SCORE, "value", lambda shop: {"shop": shop, "mean_units": float(shop[1:])}),
    ):
        rows = [of_shop(shop) for shop in shops]
        assert values(path, rows, name) == pytest.approx([values(path, [row], name)[0] for row in rows], rel=1e-12)


def test_a_fault_is_named_by_its_place_in_the_whole_request(client: TestClient) -> None:
    gone = INSTANCE | {"opens": "2001-01-01T00:00:00Z"}
    answer = client.post(PREDICT, json={"instances": [*[INSTANCE] * 15, gone]})
    assert answer.json()["fields"][0]["field"] == "instances[15].opens"
    answer = client.post(SCORE, json={"instances": [*[{}] * 15, {"moon": 1}]})
    assert answer.json()["fields"][0]["field"] == "instances[15].moon"
