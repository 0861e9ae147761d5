"""The thread beside the event loop."""

import asyncio
import threading

from serving.prediction.side_thread import SideThread
from tests.support.waiting import WAIT_SECONDS


def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    thread, may_go, done = SideThread("a test"), threading.Event(), list[str]()

    async def give_up() -> None:
        first = asyncio.create_task(thread.run(lambda: may_go.wait(WAIT_SECONDS)))
        second = asyncio.create_task(thread.run(lambda: done.append("second")))
        third = asyncio.create_task(thread.run(lambda: done.append("third")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        may_go.set()
        await asyncio.gather(first, third)

    asyncio.run(give_up())
    assert done == ["third"]
