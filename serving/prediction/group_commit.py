"""One transaction for what several requests of a worker bring at the same time; each waits until its own is on disk."""

import asyncio
from collections.abc import Callable, Sequence

from flightline.adapters.prediction_log.log import is_refused_row
from flightline.adapters.prediction_log.rows import Row
from flightline.core.errors import LogError

Waiting = tuple[Sequence[Row], "asyncio.Future[None]"]


class GroupCommit:
    """Writes rows together: all that came while the one before was written, or in the same turn of the event loop.

    Parameters
    ----------
    write
        Puts rows on the disk, all or none.
    is_beside
        Whether it waits for a disk or a server, and must do so in a thread.
    """

    def __init__(self, write: Callable[[Sequence[Row]], None], is_beside: bool):
        self._write, self._is_beside = write, is_beside
        self._waiting: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, rows: Sequence[Row]) -> None:
        """Write a request's rows; they are on disk when this returns.

        Raises
        ------
        LogError
            If they cannot be written; of rows that the database refuses only their own request is told.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, written))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            error = await self._try([row for rows, _ in group for row in rows])
            if isinstance(error, LogError) and is_refused_row(error) and len(group) > 1:
                for rows, written in group:
                    _settle(written, await self._try(rows))
            else:
                for _, written in group:
                    _settle(written, error)

    async def _try(self, rows: Sequence[Row]) -> Exception | None:
        try:
            if self._is_beside:
                await asyncio.to_thread(self._write, rows)
            else:
                self._write(rows)
        except Exception as err:  # noqa: BLE001  # raised where it is waited for
            return err
        return None


def _settle(written: "asyncio.Future[None]", error: Exception | None) -> None:
    if written.done():
        return  # whoever waited for it was cancelled
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
