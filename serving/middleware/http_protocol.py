"""What uvicorn leaves unbounded: connections, and the size and duration of a request's head.

It builds on parts of uvicorn that are private to it, so pyproject.toml pins uvicorn's minor version, and
`check_internals` tries them at each start: where they have changed, the service runs on uvicorn's own protocol.
"""

import asyncio
import json
import logging
import re
from dataclasses import dataclass
from functools import cache

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from flightline.core.settings import Settings

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_END, _UPGRADE = b"\r\n\r\n", b"\r\nupgrade:"


@dataclass(frozen=True)
class ConnectionBounds:
    """What a connection may take; the numbers are those of `ServingSettings`."""

    max_connections: int = 1000
    max_header_bytes: int = 16_384
    head_seconds: float = 10


class BoundedHttp(HttpToolsProtocol):
    """Uvicorn's HTTP, with bounds on what comes before a request is one.

    Uvicorn makes one for each connection and is given the class by name, because it starts its
    workers by pickling; so the bounds are the class's, set by `set_connection_bounds`.
    """

    bounds = ConnectionBounds()
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_in_head = True
    _cut_off = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(503, "too many connections; try again")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse a head that is too large before it is whole."""
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            data = self._without_upgrade(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes:  # most heads are whole, and need no timer
            self._start_timer()
        if self._cut_off and not self._is_in_head:  # what was kept back belongs to a body
            data, self._cut_off = self._cut_off, b""
            super().data_received(data)
        if self._is_in_head and self._head_bytes > self.bounds.max_header_bytes:
            self._refuse_large_head()

    def _without_upgrade(self, data: bytes) -> bytes:
        """Give a part of a head in which nobody asks for another protocol: that header gets another name.

        Clients that offer HTTP/2 (`curl --http2`, Java's) send the body all the same, and httptools would drop it.
        """
        head, end, rest = (self._cut_off + data).partition(_END)
        kept = 0 if end else _unfinished(head)
        head, self._cut_off = head[: len(head) - kept], head[len(head) - kept :]
        return re.sub(_UPGRADE, b"\r\nx-not-upgraded:", head, flags=re.IGNORECASE) + end + rest

    def on_headers_complete(self) -> None:
        """Go on to the request, if its head is within the bound."""
        self._stop_timer()
        self._is_in_head, self._head_bytes = False, 0
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.bounds.max_header_bytes:
            self._refuse_large_head()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        self._is_in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in this service's own shape."""
        self._refuse(400, "this is not HTTP")

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._on_slow_head)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_slow_head(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_timer()  # an earlier request of this connection is being answered
            return
        self._refuse(408, f"the head did not arrive within {self.bounds.head_seconds:g} s")

    def _refuse_large_head(self) -> None:
        self._refuse(431, f"the head is larger than {self.bounds.max_header_bytes} bytes")

    def _refuse(self, status: int, error: str) -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.write(_response(status, error))
            self.transport.close()


def set_connection_bounds(settings: Settings) -> None:
    """Give the connections of this process the bounds of the settings."""
    serving = settings.serving
    BoundedHttp.bounds = ConnectionBounds(serving.max_connections, serving.max_header_bytes, serving.head_seconds)


def _unfinished(head: bytes) -> int:
    """Count the last bytes that may be a part of what is looked for."""
    ends = ((size, head[-size:].lower()) for size in range(min(len(head), len(_UPGRADE) - 1), 0, -1))
    return next((size for size, last in ends if _END.startswith(last) or _UPGRADE.startswith(last)), 0)


@cache
def _response(status: int, error: str) -> bytes:
    body = json.dumps({"error": error})
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        *(["retry-after: 1"] if status == 503 else []),
    ]
    return "\r\n".join([*lines, "", body]).encode()


class _Transport(asyncio.Transport):
    """A connection to nobody, which keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is written."""
        self.written += bytes(data)

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self._is_closing

    def close(self) -> None:
        """Note that it was closed."""
        self._is_closing = True


def check_internals() -> None:
    """Try the protocol on a head that is too large, one that is slow and one that is no HTTP.

    Raises
    ------
    Exception
        Of any kind, if uvicorn is not as `BoundedHttp` expects it.
    """
    loop = asyncio.new_event_loop()
    try:
        for expected, step in (
            (431, lambda protocol: protocol.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n")),
            (408, lambda protocol: protocol._on_slow_head()),
            (400, lambda protocol: protocol.data_received(b"\0")),
        ):
            # Without a `log_config` of None uvicorn would set up its own logs, in place of ours.
            config = Config(_no_app, log_config=None, lifespan="off", ws="none")
            protocol, transport = BoundedHttp(config, ServerState(), {}, loop), _Transport()
            protocol.bounds = ConnectionBounds(max_header_bytes=1)
            protocol.logger = logging.Logger("check", logging.CRITICAL)  # what is sent here is nobody's fault
            protocol.connection_made(transport)
            step(protocol)
            # A head that uvicorn would report in another way counts as unfinished, and is refused as well.
            is_head_seen = expected != 431 or not protocol._is_in_head
            if not transport.written.startswith(b"HTTP/1.1 %d " % expected) or not is_head_seen:
                raise RuntimeError(f"expected a refusal with {expected}, got {transport.written[:40]!r}")
            protocol.connection_lost(None)
    finally:
        loop.close()


async def _no_app(scope: object, receive: object, send: object) -> None:
    """Stand where uvicorn demands an application."""
