"""Requests that come at the same time share a transaction, and no more than that."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.rows import Row
from flightline.core.errors import LogError
from flightline.core.settings import Settings
from serving.prediction.group_commit import GroupCommit
from tests.adapters.prediction_log.predictions import prediction


def rows_of(*names: str) -> list[list[Row]]:
    return [[(name,)] for name in names]


def test_what_comes_in_the_same_turn_is_one_transaction_in_its_order() -> None:
    groups: list[Sequence[Row]] = []

    async def ask() -> None:
        group = GroupCommit(groups.append, is_beside=False)
        await asyncio.gather(*map(group.put, rows_of("a", "b", "c")))
        await group.put([("d",), ("e",)])

    asyncio.run(ask())
    assert groups == [[("a",), ("b",), ("c",)], [("d",), ("e",)]]


class HeldWrite:
    """A write that ends when it may."""

    def __init__(self) -> None:
        self.groups: list[Sequence[Row]] = []
        self._begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, rows: Sequence[Row]) -> None:
        self._begun.set()
        assert self.may_end.wait(60)
        self.groups.append(rows)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 60)


def test_what_comes_during_a_write_is_written_after_it_and_waits_for_that() -> None:
    write = HeldWrite()

    async def ask() -> None:
        group = GroupCommit(write, is_beside=True)
        first = asyncio.create_task(group.put([("a",)]))
        await write.begun()
        others = [asyncio.create_task(group.put(rows)) for rows in rows_of("b", "c")]
        await asyncio.to_thread(int)  # they have begun by then
        assert not any(task.done() for task in (first, *others))
        write.may_end.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert write.groups == [[("a",)], [("b",), ("c",)]]


def test_who_is_cancelled_takes_nobody_along() -> None:
    write = HeldWrite()

    async def ask() -> list[object]:
        group = GroupCommit(write, is_beside=True)
        tasks = [asyncio.create_task(group.put(rows)) for rows in rows_of("a", "b")]
        await write.begun()
        tasks[0].cancel()
        write.may_end.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    cancelled, written = asyncio.run(ask())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert written is None
    assert write.groups == [[("a",), ("b",)]]


def test_a_row_that_is_refused_fails_its_own_request_alone(tmp_path: Path) -> None:
    log = PredictionLog.open(Settings(root=tmp_path))
    log.write([prediction(prediction_id="a" * 32)])

    async def ask() -> list[object]:
        group = GroupCommit(log.write_rows, is_beside=False)
        ids = ("b" * 32, "a" * 32, "c" * 32)
        asked = [group.put(log.encode([prediction(prediction_id=name)])) for name in ids]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, refused, last = asyncio.run(ask())
    assert (first, last) == (None, None)
    assert isinstance(refused, LogError)
    assert "holds one of these prediction ids already" in str(refused)
    assert set(log.read()["prediction_id"]) == {"a" * 32, "b" * 32, "c" * 32}
    log.close()


def test_a_log_that_cannot_be_written_is_said_to_all() -> None:
    def write(rows: Sequence[Row]) -> None:
        raise LogError("locked")

    async def ask() -> list[object]:
        group = GroupCommit(write, is_beside=False)
        return await asyncio.gather(*map(group.put, rows_of("a", "b")), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ["locked", "locked"]


@pytest.mark.parametrize("is_beside", [False, True])
def test_what_returned_is_on_disk(tmp_path: Path, is_beside: bool) -> None:
    log, reader = (PredictionLog.open(Settings(root=tmp_path)) for _ in range(2))

    async def ask(name: str, group: GroupCommit) -> bool:
        await group.put(log.encode([prediction(prediction_id=name)]))
        return name in set(reader.read()["prediction_id"])

    async def ask_all() -> list[bool]:
        group = GroupCommit(log.write_rows, is_beside)
        return await asyncio.gather(*(ask(f"{number:032x}", group) for number in range(5)))

    assert all(asyncio.run(ask_all()))
    for opened in (log, reader):
        opened.close()


def test_where_no_thread_can_be_started_each_is_told() -> None:
    async def ask() -> list[object]:
        group = GroupCommit(lambda rows: None, is_beside=True)
        await asyncio.get_running_loop().shutdown_default_executor()
        return await asyncio.gather(*map(group.put, rows_of("a", "b")), return_exceptions=True)

    assert [type(error) for error in asyncio.run(ask())] == [RuntimeError, RuntimeError]
