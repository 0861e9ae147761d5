"""Probes that come in floods, and clients that offer more than is wanted."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flightline.core.settings import ServingSettings, Settings
from serving.app import create_app
from serving.middleware.api_keys import digest_of
from serving.middleware.http_protocol import BoundedHttp
from serving.prediction import readiness
from tests.support.small_service import PREDICT, HandMadeFeatures
from tests.support.waiting import WAIT_SECONDS, HandClock, wait_in_loop
from tests.toy_problem import EXAMPLE, make_project

BODY = b'{"instances": [{"city": "Bergen", "opens": "2020-07-02T00:00:00Z"}]}'


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    monkeypatch.setattr(readiness, "time", clock := HandClock())
    return clock


def written_at(settings: Settings) -> str:
    """Say when readiness last wrote to the log."""
    with closing(sqlite3.connect(settings.prediction_log_file)) as connection:
        ((moment,),) = connection.execute("SELECT written_at FROM write_checks")
        return moment


def test_a_flood_of_probes_writes_to_the_log_once_a_second(
    app: FastAPI, settings: Settings, features: HandMadeFeatures, clock: HandClock
) -> None:
    async def flood() -> set[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
            answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(50)))
        return {answer.status_code for answer in answers}

    assert asyncio.run(flood()) == {200}
    first = written_at(settings)
    assert asyncio.run(flood()) == {200}
    assert (written_at(settings), len(features.reads_as_of)) == (first, 1)
    clock.forward(readiness.KEPT_SECONDS)
    assert asyncio.run(flood()) == {200}
    assert (written_at(settings) > first, len(features.reads_as_of)) == (True, 2)


@pytest.mark.parametrize("table", ["predictions", "write_checks"])
def test_without_its_table_the_service_is_not_ready(
    client: TestClient, settings: Settings, clock: HandClock, table: str
) -> None:
    assert client.get("/health/ready").status_code == 200
    with closing(sqlite3.connect(settings.prediction_log_file)) as connection:
        connection.execute(f"DROP TABLE {table}")
    clock.forward(readiness.KEPT_SECONDS)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "lacks a table or column" in answer.json()["reason"]


def test_a_failed_write_shows_at_once(client: TestClient, settings: Settings, clock: HandClock) -> None:
    assert client.get("/health/ready").status_code == 200
    with closing(sqlite3.connect(settings.prediction_log_file)) as connection:
        connection.execute("DROP TABLE predictions")
    assert client.post(PREDICT, json={"instances": [EXAMPLE]}).status_code == 503
    assert client.get("/health/ready").status_code == 503


RIGHT, WRONG = "fl_right", "fl_wrong"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("authorization", "Basic dGVhbTp4"), ("x-api-key", RIGHT)], 200),
        ([("authorization", f"Bearer {WRONG}"), ("x-api-key", RIGHT)], 200),
        ([("x-api-key", WRONG), ("authorization", f"Bearer {RIGHT}")], 200),
        ([("authorization", "Basic dGVhbTp4"), ("authorization", f"Bearer {RIGHT}")], 200),
        ([("authorization", f"Basic {RIGHT}")], 401),
        ([("authorization", "Basic dGVhbTp4"), ("x-api-key", WRONG)], 401),
        ([("x-api-key", WRONG), ("x-api-key", RIGHT)], 401),
    ],
)
def test_another_credential_beside_a_right_key(tmp_path: Path, headers: list[tuple[str, str]], status: int) -> None:
    serving = ServingSettings(host="192.0.2.1", api_keys={"team": digest_of(RIGHT)})  # only named: nobody listens
    client = TestClient(create_app(make_project(Settings(root=tmp_path, serving=serving))))
    assert client.get("/docs", headers=httpx.Headers(headers)).status_code == status


def exchange(app: FastAPI, head: bytes, rest: bytes = b"") -> bytes:
    """Send a head, and the rest when that was read, to the app behind the real protocol on a real socket."""

    async def talk() -> bytes:
        config = uvicorn.Config(app, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
        server, listening = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(head)
        if rest:
            connections = server.server_state.connections
            await wait_in_loop(lambda: any(each._head_bytes == len(head) for each in connections))
            writer.write(rest)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.should_exit = True
        await serving
        return answer

    return asyncio.run(asyncio.wait_for(talk(), WAIT_SECONDS))


def head_with(*offer: bytes) -> bytes:
    given = [b"Content-Type: application/json", b"Connection: Upgrade, HTTP2-Settings, close", *offer]
    lines = [b"POST " + PREDICT.encode() + b" HTTP/1.1", b"Host: localhost", *given, b"Content-Length: %d" % len(BODY)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


CURL = head_with(b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
JAVA = head_with(b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA", b"upgrade: h2c")


@pytest.mark.parametrize("head", [CURL, JAVA])
def test_a_client_that_offers_http_2_is_answered_in_http_1(app: FastAPI, head: bytes) -> None:
    answer = exchange(app, head + BODY)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"predictions"' in answer


@pytest.mark.parametrize(
    "cut", [CURL.index(b"\r\nUpgrade:") + 1, CURL.index(b"grade:"), CURL.index(b": h2c"), len(CURL) - 1, len(CURL) - 3]
)
def test_so_it_is_wherever_its_head_is_cut(app: FastAPI, cut: int) -> None:
    assert exchange(app, CURL[:cut], CURL[cut:] + BODY).startswith(b"HTTP/1.1 200 ")
