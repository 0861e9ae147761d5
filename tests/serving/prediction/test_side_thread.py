"""The thread beside the event loop."""

import asyncio
import threading

from serving.prediction.side_thread import SideThread
from tests.support.waiting import WAIT_SECONDS


def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    thread, may_go, done = SideThread("a test"), threading.Event(), list[str]()

    async def give_up() -> None:
        first = thread.submit(lambda: may_go.wait(WAIT_SECONDS))
        second = thread.submit(lambda: done.append("second"))
        third = thread.submit(lambda: done.append("third"))
        second.cancel()
        may_go.set()
        await asyncio.gather(first, third)

    asyncio.run(give_up())
    assert done == ["third"]
