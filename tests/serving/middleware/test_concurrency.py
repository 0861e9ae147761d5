"""What a real process does beyond its bounds: an answer that says so, never a hang, never a lost request."""

import asyncio
import select
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from flightline.core.settings import ServingSettings, Settings
from serving.middleware.concurrency import Concurrency
from tests.support.servers.service_process import Answer, Service, read_all, running
from tests.support.small_service import INSTANCE, PREDICT, STATUS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
BODY = {"instances": [INSTANCE]}
HEAD = f"POST {PREDICT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n".encode()


BOUNDS = {"max_concurrent": 4, "max_connections": 60, "max_header_bytes": 2000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Bounded in number and size; in time so little that no busy machine gets there."""
    patience = {"head_seconds": 600, "body_seconds": 600, "request_seconds": 600}
    with running(tmp_path_factory.mktemp("bounded"), **BOUNDS, **patience) as up:
        yield up


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Bounded in time: for requests that do not arrive, or are not answered, before the time is up."""
    patience = {"head_seconds": 1, "body_seconds": 1, "request_seconds": 1}
    with running(tmp_path_factory.mktemp("impatient"), **patience) as up:
        yield up


@contextmanager
def many_held(service: Service, count: int) -> Iterator[list[Future[Answer]]]:
    """Send requests that are at work in the block and are answered after it."""
    with ThreadPoolExecutor(count) as pool, service.held() as hold:
        waiting = [pool.submit(service.ask, PREDICT, BODY, x_test_hold=hold) for _ in range(count)]
        wait_until(lambda: service.count_held(hold) == count, said="all are at work")
        yield waiting


def active(service: Service) -> float:
    """Say how many requests are at work besides the one that asks."""
    return service.metrics()["flightline_requests_active"] - 1


def test_more_at_a_time_than_the_bound_are_told_to_come_again(service: Service) -> None:
    with many_held(service, 4) as waiting:
        refused = [service.ask(PREDICT, BODY) for _ in range(16)]
    assert [future.result().status for future in waiting] == [200] * 4
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}
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
    with many_held(service, 4) as waiting:
        assert service.ask(STATUS).status == 503
        assert service.ask("/health/live").status == 200
        wait_until(lambda: active(service) == 4, said="those in the block are at work")
    assert {future.result().status for future in waiting} == {200}
    wait_until(lambda: active(service) == 0, said="none is at work")


def test_an_answer_that_takes_too_long_is_503(impatient: Service) -> None:
    with impatient.held() as hold:
        answer = impatient.ask(STATUS, x_test_hold=hold)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "no answer within 1 s" in answer.json()["error"]


def test_a_body_that_does_not_arrive_is_408_and_the_connection_closed(impatient: Service) -> None:
    answer = impatient.send(HEAD + b"content-length: 400\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert b"the body did not arrive within 1 s" in answer


@pytest.mark.parametrize("start", [HEAD + b"content-length: 400000\r\n\r\n", b"GET / HTTP/1.1\r\nhost: "])
def test_what_comes_drop_by_drop_is_408_too(impatient: Service, start: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(start)

        def is_answered() -> bool:
            if select.select([connection], [], [], 0)[0]:
                return True
            connection.sendall(b"x")
            return False

        wait_until(is_answered, said="an answer, however much is sent")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("start", [HEAD, b""])
def test_a_head_that_does_not_end_is_408(impatient: Service, start: bytes) -> None:
    assert impatient.send(start).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
def test_a_head_too_large_is_431(service: Service, end: bytes) -> None:
    assert service.send(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-a: " + b"a" * 4000 + end).startswith(b"HTTP/1.1 431 ")
    assert service.send(b"GET /" + b"a" * 4000 + b" HTTP/1.1\r\nhost: localhost" + end).startswith(b"HTTP/1.1 431 ")


def test_a_body_too_large_is_413_and_not_read_to_its_end(service: Service) -> None:
    with service.connect() as connection:
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
            stack.enter_context(service.connect())
        # Taken in the order in which they came.
        answer = service.send(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    wait_until(lambda: service.ask("/health/live").status == 200, said="there is room again")


def test_two_requests_in_one_packet_are_both_answered(service: Service) -> None:
    one = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert service.send(one + one + last).count(b"HTTP/1.1 200 ") == 3


def test_a_client_that_goes_away_is_no_failure(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"content-length: 400\r\n\r\n{")
        wait_until(lambda: active(service) == 1, said="it is at work")
    wait_until(lambda: active(service) == 0, said="it was given up")
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_it_finishes_what_it_took(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, workers=workers, request_seconds=600) as service:
        with many_held(service, 30) as waiting:
            service.process.terminate()
            wait_until(lambda: service.log.read_text().count("Shutting down") == workers, said=service.log.read_text)
        assert service.stop() == 0
        assert [future.result().status for future in waiting] == [200] * 30
        with pytest.raises(OSError, match="refused"):
            service.ask("/health/live")
        assert list((tmp_path / ".state" / "metrics").iterdir()) == []
