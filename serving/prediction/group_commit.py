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
        self._is_due = False
        self._task: asyncio.Task[None] | None = None

    async def put(self, rows: Sequence[Row]) -> None:
        """Write a request's rows; they are on disk when this returns.

        Raises
        ------
        LogError
            If they cannot be written; of rows that the database refuses only their own request is told.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((rows, written))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._begin)
        await written

    def _begin(self) -> None:
        if self._is_beside:
            self._task = asyncio.create_task(self._write_beside())  # held, or it might be collected
        else:
            self._is_due = False
            group = self._taken()
            _settle(group, self._errors(group))

    async def _write_beside(self) -> None:
        try:
            while group := self._taken():
                try:
                    errors = await asyncio.to_thread(self._errors, group)
                except RuntimeError as err:  # no thread can be started
                    errors = [err] * len(group)
                _settle(group, errors)
        finally:
            self._is_due = False

    def _taken(self) -> list[Waiting]:
        group, self._waiting = self._waiting, []
        return group

    def _errors(self, group: Sequence[Waiting]) -> list[Exception | None]:
        """Write the rows of a group, and give what went wrong for each of its requests."""
        error = self._try([row for rows, _ in group for row in rows])
        if isinstance(error, LogError) and is_refused_row(error) and len(group) > 1:
            return [self._try(rows) for rows, _ in group]
        return [error] * len(group)

    def _try(self, rows: Sequence[Row]) -> Exception | None:
        try:
            self._write(rows)
        except Exception as err:  # noqa: BLE001  # raised where it is waited for
            return err
        return None


def _settle(group: Sequence[Waiting], errors: Sequence[Exception | None]) -> None:
    for (_, written), error in zip(group, errors, strict=True):
        if written.done():
            continue  # whoever waited for it was cancelled
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
