"""Explanations take room for all rows that the model answers for them, and like the page no thread of others."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.settings import PredictionLogSettings, ServingSettings, Settings
from tests.serving.attacks.test_large_requests import ALL, PART, SHARE, caller, count
from tests.serving.conftest import TestClient
from tests.support.small_service import INSTANCE, KINDS, NOON, PREDICT, STATUS, fitted, manifest_of, profile_of
from tests.support.waiting import LEAST_SECONDS, WAIT_SECONDS, wait_in_loop

EXPLAIN = f"{STATUS}:explain"
ROWS_EACH = 4  # two views, the request, and what needs both
GROUPS = 3  # of them the model has
MANY = 8  # instances, which `:predict` answers without asking for room


@dataclass
class HeldPipeline:
    """Answers beside the event loop only when `may_answer` is set, and keeps for how many rows; `on_call` is told."""

    pipeline: Any
    may_answer: threading.Event = field(default_factory=threading.Event)
    calls: list[int] = field(default_factory=list)
    on_call: Callable[[int], None] = lambda _: None

    def __len__(self) -> int:
        return 0  # so that there is no way past frames, and around this

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.calls.append(len(frame))
            self.on_call(len(self.calls))
            assert self.may_answer.wait(WAIT_SECONDS)
        return self.pipeline.predict_proba(frame)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    serving = ServingSettings(max_rows=ALL, max_rows_per_key=SHARE, part_rows=PART)
    # FULL: each prediction is written in a thread, as it is to PostgreSQL.
    settings = Settings(root=tmp_path, serving=serving, prediction_log=PredictionLogSettings(synchronous="FULL"))
    set_clock(settings, NOON)
    return settings


@pytest.fixture
def held() -> Iterator[HeldPipeline]:
    held = HeldPipeline(fitted(KINDS))
    yield held
    held.may_answer.set()


@pytest.fixture
def model(held: HeldPipeline) -> ServedModel:
    return ServedModel(manifest_of(KINDS), held, "classification", profile=profile_of())  # type: ignore[arg-type]


def ask(app: FastAPI, name: str, instances: int, path: str = EXPLAIN) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(caller(app, name).post(path, json={"instances": [INSTANCE] * instances}))


async def check_others(app: FastAPI) -> None:
    """See that health and the log of a single row find a thread."""
    for asked in (caller(app, "probe").get("/health/ready"), ask(app, "c", 1, PREDICT)):
        assert (await asyncio.wait_for(asked, LEAST_SECONDS)).status_code == 200


def run(attack: Callable[[], Any], held: HeldPipeline) -> None:
    """Run an attack on a worker whose threads for whatever comes are one."""

    async def let_go() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        try:
            await attack()
        finally:
            held.may_answer.set()

    asyncio.run(let_go())


def test_explanations_hold_room_for_all_rows_of_the_model(app: FastAPI, held: HeldPipeline) -> None:
    async def attack() -> None:
        before = count('flightline_busy_total{bound="rows"}'), count('flightline_rate_limited_total{why="rows"}')
        first = ask(app, "a", MANY)
        await wait_in_loop(lambda: held.calls)
        assert app.state.large_requests.rows == MANY * ROWS_EACH
        refused = await asyncio.gather(ask(app, "a", MANY), ask(app, "a", 3), ask(app, "b", MANY))
        assert [answer.status_code for answer in refused] == [429, 429, 503]
        assert [answer.json()["error"] for answer in refused] == [
            "32 rows of this key are being predicted, of 40; try again",
            "32 rows of this key are being predicted, of 40; try again",
            "32 rows are being predicted, of 60; try again",
        ]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        await check_others(app)
        held.may_answer.set()
        assert (await first).status_code == 200
        assert app.state.large_requests.rows == 0
        after = count('flightline_busy_total{bound="rows"}'), count('flightline_rate_limited_total{why="rows"}')
        assert after == (before[0] + 1, before[1] + 2)

    run(attack, held)


def test_the_model_explains_in_parts_and_the_time_limit_is_kept_between_them(
    app: FastAPI, held: HeldPipeline, settings: Settings
) -> None:
    held.may_answer.set()
    late = settings.serving.request_seconds + 1

    async def attack() -> None:
        loop, passed = asyncio.get_running_loop(), [0.0]
        time = loop.time
        loop.time = lambda: time() + sum(passed)  # type: ignore[method-assign]  # moved by hand
        held.on_call = lambda calls: passed.append(late) if calls == 2 else None
        answer = await ask(app, "a", MANY)
        assert answer.status_code == 503
        assert "no answer within 20 s" in answer.json()["error"]
        assert held.calls == [PART // ROWS_EACH * GROUPS] * 2
        assert app.state.large_requests.rows == 0

    run(attack, held)


@pytest.mark.parametrize("instances", [MANY, 20])
def test_explained_in_parts_is_explained_one_by_one(client: TestClient, held: HeldPipeline, instances: int) -> None:
    held.may_answer.set()
    rows = [INSTANCE | {"shop": f"S{number:02}"} for number in range(1, instances + 1)]

    def explained(rows: list[dict]) -> list[list[dict]]:
        answer = client.post(EXPLAIN, json={"instances": rows})
        assert answer.status_code == 200, answer.text
        return [each["changes"] for each in answer.json()["explanations"]]

    assert explained(rows) == [explained([row])[0] for row in rows]


def test_too_many_to_explain_are_refused_before_they_take_room(app: FastAPI, held: HeldPipeline) -> None:
    async def attack() -> None:
        first = ask(app, "a", MANY)
        await wait_in_loop(lambda: held.calls)
        assert (await ask(app, "a", 21)).status_code == 422
        held.may_answer.set()
        await first

    run(attack, held)


def test_the_page_takes_no_thread_from_health_and_the_log(app: FastAPI, held: HeldPipeline) -> None:
    async def attack() -> None:
        answer = await ask(app, "a", 1, PREDICT)
        path = f"/page/predictions/{answer.json()['predictions'][0]['prediction_id']}"
        pages = [asyncio.create_task(caller(app, "a").get(path)) for _ in range(3)]
        await wait_in_loop(lambda: held.calls)
        await check_others(app)
        held.may_answer.set()
        assert [page.status_code for page in await asyncio.gather(*pages)] == [200] * 3
        assert held.calls == [GROUPS] * 3

    run(attack, held)
