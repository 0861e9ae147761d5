"""How many requests a worker takes at a time, and for how long."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flightline.core.settings import Settings
from serving.api.errors import refusal
from serving.telemetry.metrics import ACTIVE, record_busy

# To be answered by a worker that has no room left, too.
UNBOUNDED = frozenset({"/health/live", "/health/ready", "/metrics"})
RETRY_SECONDS = 1


class Concurrency:
    """Answer 503 beyond so many requests at a time, 408 for a slow body, 503 for a slow answer."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app = app
        self._max_concurrent = settings.serving.max_concurrent
        self._body_seconds = settings.serving.body_seconds
        self._request_seconds = settings.serving.request_seconds
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if there is room."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        if self._active >= self._max_concurrent and scope["path"] not in UNBOUNDED:
            record_busy("concurrent")
            await _refuse(exchange, 503, f"{self._max_concurrent} requests are being answered; try again")
            return
        self._active += 1
        ACTIVE.set(self._active)
        try:
            # Lets all that arrived meanwhile be counted: predicting does not give the event loop away.
            await asyncio.sleep(0)
            await self._answer_in_time(exchange)
        finally:
            self._active -= 1
            ACTIVE.set(self._active)

    async def _answer_in_time(self, exchange: "_Exchange") -> None:
        loop = asyncio.get_running_loop()
        first = self._request_seconds if exchange.is_read else min(self._body_seconds, self._request_seconds)
        try:
            async with asyncio.timeout(first) as timer:
                exchange.on_read = lambda: timer.reschedule(loop.time() + self._request_seconds)
                await self.app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError:
            if not timer.expired() or exchange.is_started:
                raise
            await self._refuse_late(exchange)

    async def _refuse_late(self, exchange: "_Exchange") -> None:
        if exchange.is_read:
            record_busy("time")
            await _refuse(exchange, 503, f"no answer within {self._request_seconds:g} s; try again with fewer rows")
            return
        record_busy("body")
        await _refuse(exchange, 408, f"the body did not arrive within {self._body_seconds:g} s; send it faster")


class _Exchange:
    """A request whose body may still be on its way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self.scope = scope
        self._receive = receive
        self._send = send
        self.is_read = not _has_body(scope)
        self.is_started = False
        self.on_read = _do_nothing

    async def receive(self) -> Message:
        """Read on, and note the end of the body."""
        message = await self._receive()
        if not self.is_read and not message.get("more_body", False):
            self.is_read = True
            self.on_read()
        return message

    async def send(self, message: Message) -> None:
        """Pass on what is sent; hang up if the client might go on sending a body nobody reads."""
        if message["type"] == "http.response.start":
            self.is_started = True
            if not self.is_read:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await self._send(message)


async def _refuse(exchange: _Exchange, status: int, error: str) -> None:
    answer = refusal(status, error, {"Retry-After": str(RETRY_SECONDS)})
    await answer(exchange.scope, exchange.receive, exchange.send)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _do_nothing() -> None:
    """Do nothing."""
