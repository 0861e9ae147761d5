"""Large requests: how many of their rows a worker takes, and in which order it predicts for them.

A few rows are predicted at once, in the event loop: handing them to a thread takes longer. A thousand rows there would
keep all other requests waiting, health included.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from flightline.core.errors import NoRoomError, ShareError
from flightline.core.settings import ServingSettings
from serving.prediction.side_thread import FEW_ROWS, SideThread
from serving.telemetry.metrics import record_busy, record_rate_limited

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass
class _Caller:
    """The large requests of one key: their rows, and whose turn it is."""

    rows: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class LargeRequests:
    """Predicts for large requests in one thread, in parts: of each key one request at a time, of many keys in turns.

    Parameters
    ----------
    serving
        For the bounds.
    """

    def __init__(self, serving: ServingSettings):
        self._max_rows, self._max_rows_per_key = serving.max_rows, serving.max_rows_per_key
        self._part_rows = serving.part_rows
        self._thread = SideThread("large-requests")
        self._callers: dict[str, _Caller] = {}

    @property
    def rows(self) -> int:
        """How many rows are being worked on."""
        return sum(held.rows for held in self._callers.values())

    @contextmanager
    def room(self, caller: str, rows: int) -> Iterator[None]:
        """Hold room for a request; few rows need none.

        Raises
        ------
        ShareError
            If other requests of the caller fill its share.
        NoRoomError
            If the requests of all callers fill the worker.
        """
        if rows <= FEW_ROWS:
            yield
            return
        self._refuse_if_full(caller, rows)
        own = self._callers.setdefault(caller, _Caller())
        own.rows += rows
        try:
            yield
        finally:
            own.rows -= rows
            if not own.rows:
                del self._callers[caller]

    def _refuse_if_full(self, caller: str, rows: int) -> None:
        """Refuse what does not fit beside others; alone, each request that is allowed at all fits."""
        every, own = self.rows, self._callers[caller].rows if caller in self._callers else 0
        if own and own + rows > self._max_rows_per_key:
            record_rate_limited("rows")
            raise ShareError(f"{own} rows of this key are being predicted, of {self._max_rows_per_key}; try again")
        if every and every + rows > self._max_rows:
            record_busy("rows")
            raise NoRoomError(f"{every} rows are being predicted, of {self._max_rows}; try again")

    async def predict(
        self, caller: str, work: Callable[[Sequence[Row]], list[Result]], rows: Sequence[Row], each: int = 1
    ) -> list[Result]:
        """Predict for rows, part by part if they are many; whoever cancels it waits for no more than a part.

        Parameters
        ----------
        caller
            Who holds `room` for them.
        work
            Predicts for some of the rows.
        each
            For how many rows each of them counts.
        """
        if len(rows) * each <= FEW_ROWS:
            return work(rows)
        at_a_time = max(1, self._part_rows // each)
        results: list[Result] = []
        async with self._callers[caller].turn:
            for first in range(0, len(rows), at_a_time):
                results += await self._thread.run(partial(work, rows[first : first + at_a_time]))
        return results
