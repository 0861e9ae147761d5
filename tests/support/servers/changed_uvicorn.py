"""A uvicorn whose private parts are others: `python -m tests.support.servers.changed_uvicorn` serves on it."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.support.servers.service_process import main

_plain = HttpToolsProtocol.__init__


class Connections:
    """Keeps connections for uvicorn itself, and cannot be counted, as `BoundedHttp` does."""

    def __init__(self, kept: set) -> None:
        self.add, self.discard = kept.add, kept.discard


def changed(self: HttpToolsProtocol, *given: Any, **named: Any) -> None:
    """Make a protocol of a uvicorn that keeps its connections in another way."""
    _plain(self, *given, **named)
    self.connections = Connections(self.connections)  # type: ignore[assignment]


if __name__ == "__main__":
    HttpToolsProtocol.__init__ = changed  # type: ignore[method-assign]
    main()
