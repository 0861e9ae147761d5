"""Threads beside the event loop, for what would keep everybody waiting."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
# `max_concurrent` requests of so many rows, all at once, hold up a worker for less than a second.
FEW_ROWS = 8
# Likewise of what takes some 30 us a row of a hundred features, whatever the model: to log, to answer. A change of
# threads waits for Python's lock, which costs more than that.
FEW_TO_LOG = 128


async def run_beside_if_many(rows: int, work: Callable[[], Result], few: int = FEW_ROWS) -> Result:
    """Do what so many rows take: in a thread if they would keep other requests waiting."""
    return work() if rows <= few else await asyncio.to_thread(work)


class SideThread:
    """Does one thing after another, beside the event loop.

    A daemon thread, so that work that hangs holds up neither a request nor the end of the worker.

    Parameters
    ----------
    name
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Do something soon; the future is of the running event loop, and gives a result and an error."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put((work, future))
        return future

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something in the context of the caller, and give its result or raise its error."""
        result, error = await self.submit(partial(copy_context().run, work))
        if error is not None:
            raise error
        return result

    def _run(self) -> None:
        threadpool_limits(1)  # OpenMP's limit is each thread's own
        while True:
            work, future = self._jobs.get()
            if future.cancelled():
                continue  # whoever waited for it has gone
            try:
                result, error = work(), None
            except BaseException as err:  # noqa: BLE001  # whatever a model does, the thread goes on
                result, error = None, err
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: the worker ends


def _settle(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if not future.done():
        future.set_result((result, error))
