"""A connection to PostgreSQL that gives up on a server that stands still.

The server ends a statement itself by `statement_timeout`, unless it is frozen; and of a frozen process
TCP knows nothing, since its kernel goes on to acknowledge what is sent.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg


class NoAnswerError(psycopg.OperationalError):
    """The server gave no answer in time; whether it did what it was sent is not known."""


def bounded_connection(seconds: float) -> type[psycopg.Connection[Any]]:
    """Make the class of connections that wait so long for the server and no longer.

    After that `NoAnswerError` is raised, and the connection is closed.
    """

    class BoundedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
            try:
                return super().wait(_bounded(gen, seconds), *arguments, **options)
            except NoAnswerError:
                self.pgconn.finish()
                raise

    return BoundedConnection


def _bounded(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """Pass on what psycopg waits for; it is told every 0.1 s that nothing has come."""
    end = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > end:
                raise NoAnswerError(f"the server gave no answer within {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value
