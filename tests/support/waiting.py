"""The one place where tests wait, and a clock that they move by hand.

What a test demands must not depend on how busy the machine is: a wait ends on a condition, its end
is far away, and no test measures time. tests/test_hygiene.py checks that.
"""

import asyncio
import http.client
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import TypeVar

Found = TypeVar("Found")
LEAST_SECONDS, WAIT_SECONDS = 60, 600
AWAY = (OSError, http.client.HTTPException)


def wait_until(
    condition: Callable[[], Found], seconds: float = WAIT_SECONDS, said: str | Callable[[], object] = ""
) -> Found:
    """Ask again and again until the answer is true, and give it; a server that is away is asked on.

    Parameters
    ----------
    seconds
        After which the test fails; 60 at least.
    said
        What failed to come, or what gives it: the log of a server, say.
    """
    if seconds < LEAST_SECONDS:
        raise ValueError(f"got {seconds} s, expected {LEAST_SECONDS} at least: on a busy machine anything takes long")
    end, why = time.monotonic() + seconds, ""
    for pause in _pauses():
        try:
            if found := condition():
                return found
            why = ""
        except AWAY as err:
            why = f" ({type(err).__name__}: {err})"
        if time.monotonic() > end:
            break
        time.sleep(pause)
    told = said if isinstance(said, str) else str(said())
    raise AssertionError(f"not within {seconds:g} s{why}: {told[-3000:]}")


async def wait_in_loop(condition: Callable[[], object]) -> None:
    """Wait in an event loop, for as long as it takes: whoever awaits this says how long."""
    for pause in _pauses():
        if condition():
            return
        await asyncio.sleep(pause)


def _pauses() -> Iterator[float]:
    """Give short pauses first, so that a test is quick, then longer ones, so that the machine has room."""
    yield from (0.005, 0.01, 0.02, 0.05, 0.1)
    yield from repeat(0.2)


class HandClock:
    """Stands for `time` in a module under test: it stands still until it is moved by hand.

    Examples
    --------
    >>> clock = HandClock()
    >>> before = clock.monotonic()
    >>> clock.forward(0.5)
    >>> clock.monotonic() - before
    0.5
    """

    def __init__(self) -> None:
        self.seconds = 1024.0

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    def monotonic(self) -> float:
        """Give the time, as every clock of the module does."""
        return self.seconds

    time = perf_counter = process_time = monotonic
    sleep = forward
