"""What a real process does beyond its bounds: an answer that says so, never a hang, never a lost request."""

import asyncio
import concurrent.futures
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from flightline.core.settings import ServingSettings, Settings
from serving.middleware.concurrency import Concurrency
from tests.support.servers.service_process import Answer, Service, read_all, running
from tests.support.small_service import INSTANCE, PREDICT, STATUS

pytestmark = pytest.mark.slow
BODY = {"instances": [INSTANCE]}
HEAD = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    bounds = {"max_concurrent": 4, "head_seconds": 1, "body_seconds": 1, "request_seconds": 2, "max_connections": 60}
    with running(tmp_path_factory.mktemp("bounded"), max_header_bytes=2000, **bounds) as up:
        yield up


def _many(service: Service, count: int, **headers: str) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: service.ask(PREDICT, BODY, **headers), range(count)))


def test_more_at_a_time_than_the_bound_are_told_to_come_again(service: Service) -> None:
    answers = _many(service, 20, x_test_delay="1")
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.status for answer in answers} == {200, 503}
    assert len(answers) - len(refused) >= 4
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert service.metrics()['flightline_busy_total{bound="concurrent"}'] >= len(refused)
    assert service.ask(PREDICT, BODY).status == 200


def test_requests_that_never_wait_are_counted_too(tmp_path: Path) -> None:
    # Predicting does not give the event loop away, so without a pause in Concurrency all of these would stand in line.
    statuses = []

    async def predict(scope: Scope, receive: Receive, send: Send) -> None:
        statuses.append(200)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def ask_at_once() -> None:
        bounds = Concurrency(predict, Settings(root=tmp_path, serving=ServingSettings(max_concurrent=4)))
        scope = {"type": "http", "path": PREDICT, "method": "POST", "headers": []}
        await asyncio.gather(*(bounds(scope, send, send) for _ in range(20)))

    asyncio.run(ask_at_once())
    assert sorted(statuses) == [200] * 4 + [503] * 16


def test_health_and_metrics_are_answered_while_there_is_no_room(service: Service) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(service.ask, PREDICT, BODY, x_test_delay="1") for _ in range(4)]
        time.sleep(0.5)
        assert service.ask(STATUS).status == 503
        assert service.ask("/health/live").status == 200
        assert service.metrics()["flightline_requests_active"] >= 4
        assert {future.result().status for future in waiting} == {200}
    assert service.metrics()["flightline_requests_active"] == 1


def test_an_answer_that_takes_too_long_is_503(service: Service) -> None:
    started = time.monotonic()
    answer = service.ask(PREDICT, BODY, x_test_delay="20")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert time.monotonic() - started < 12
    assert "no answer within 2 s" in answer.json()["error"]


def test_a_body_that_does_not_arrive_is_408_and_the_connection_closed(service: Service) -> None:
    started = time.monotonic()
    answer = service.send(HEAD + b"content-length: 400\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert b"the body did not arrive within 1 s" in answer
    assert time.monotonic() - started < 12


def test_a_body_sent_drop_by_drop_is_408_too(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(HEAD + b"content-length: 400\r\n\r\n")
        for _ in range(4):
            connection.sendall(b" ")
            time.sleep(0.2)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_does_not_end_is_408(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: ")
        for _ in range(4):
            connection.sendall(b"x")
            time.sleep(0.2)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")
    assert b"HTTP/1.1 408 " in service.send(HEAD)
    assert b"HTTP/1.1 408 " in service.send(b"")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
def test_a_head_too_large_is_431(service: Service, end: bytes) -> None:
    assert service.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 4000 + end).startswith(b"HTTP/1.1 431 ")
    assert service.send(b"GET /" + b"a" * 4000 + b" HTTP/1.1\r\nhost: x" + end).startswith(b"HTTP/1.1 431 ")


def test_a_body_too_large_is_413_and_not_read_to_its_end(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(HEAD + b"content-length: 900000000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b" " * 100_000)
        except OSError:
            return  # it hung up, which is what it should
        answer = read_all(connection)
    assert b" 413 " in answer or answer == b""


def test_too_many_connections_are_503(service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10))
        time.sleep(0.2)
        answer = service.send(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    time.sleep(0.2)
    assert service.ask("/health/live").status == 200


def test_two_requests_in_one_packet_are_both_answered(service: Service) -> None:
    one = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert service.send(one + one + last).count(b"HTTP/1.1 200 ") == 3


def test_a_client_that_goes_away_is_no_failure(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(HEAD + b"content-length: 400\r\n\r\n{")
    time.sleep(0.3)
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_it_finishes_what_it_took(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, workers=workers) as service, concurrent.futures.ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(service.ask, PREDICT, BODY, x_test_delay="1.5") for _ in range(30)]
        deadline = time.monotonic() + 5
        while service.metrics()["flightline_requests_active"] < 31 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert service.stop() == 0
        assert [future.result().status for future in waiting] == [200] * 30
        with pytest.raises(OSError, match="refused"):
            service.ask("/health/live")
        assert list((tmp_path / ".state" / "metrics").iterdir()) == []
