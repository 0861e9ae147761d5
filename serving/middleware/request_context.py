"""Around every request: its id, security headers, its count, its line in the log, its span, the last resort.

Pure ASGI, as all middleware here: Starlette's BaseHTTPMiddleware costs a task a request.
"""

import base64
import hashlib
import logging
import re
from time import perf_counter

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flightline.core.settings import Settings
from serving.api.errors import UNEXPECTED, refusal
from serving.page.routes import PATHS, POLICY
from serving.telemetry.logs import begin_request
from serving.telemetry.metrics import record_request
from serving.telemetry.tracing import describe_request, request_span

LOG = logging.getLogger("serving.requests")
DOCS = "/docs"
CLIENT_GONE = 499  # as nginx counts it; nobody is sent this
_NOTHING = b"default-src 'none'; frame-ancestors 'none'"
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
Headers = tuple[tuple[bytes, bytes], ...]


class _Exchange:
    """One request and what became of it."""

    def __init__(self, send: Send, headers: Headers):
        self._send = send
        self._headers = headers
        self.status = 0

    async def send(self, message: Message) -> None:
        """Pass on what is sent, with this service's headers on it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


class RequestContext:
    """Give each request an id and each answer its headers, and count and log it.

    Parameters
    ----------
    settings
        For the bound of slow requests and HSTS.
    """

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app = app
        self._slow_seconds = settings.serving.slow_request_seconds
        always = (*_ALWAYS, _HSTS) if settings.serving.hsts else _ALWAYS
        self._headers: Headers = (*always, (b"content-security-policy", _NOTHING))
        of_page = dict.fromkeys(PATHS, POLICY) if settings.serving.page else {}
        policies = {DOCS: _docs_policy(), **of_page}
        self._own_headers: dict[str, Headers] = {
            path: (*always, (b"content-security-policy", policy)) for path, policy in policies.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens behind."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        request_id = begin_request(scope["headers"])
        headers = self._own_headers.get(scope["path"], self._headers)
        exchange = _Exchange(send, (*headers, (b"x-request-id", request_id.encode())))
        with request_span(scope["headers"], scope["method"], request_id) as opened:
            try:
                await self._answer(scope, receive, exchange)
            finally:
                seconds, route = perf_counter() - started, _route(scope)
                record_request(route, exchange.status, seconds)
                describe_request(opened, route, exchange.status)
                self._log(scope, exchange.status, route, seconds)

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            await self.app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
        except Exception:
            LOG.exception("failed on a request")
            if exchange.status:
                raise  # half an answer is sent: the server closes the connection
            await refusal(500, UNEXPECTED)(scope, receive, exchange.send)

    def _log(self, scope: Scope, status: int, route: str, seconds: float) -> None:
        is_slow = seconds > self._slow_seconds
        if 0 < status < 400 and not is_slow:
            return
        level = logging.WARNING if is_slow or status >= 500 or not status else logging.INFO
        caller = scope.get("caller", "-")
        LOG.log(
            level,
            "%s %s answered %s in %.3f s",
            scope["method"],
            route,
            status,
            seconds,
            extra={
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "caller": caller,
            },
        )


def _route(scope: Scope) -> str:
    """Give the template of the route taken: what a client sends must not become a label."""
    route = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or "none"


def _docs_policy() -> bytes:
    """Let the page of /docs load Swagger UI from where FastAPI takes it, and run its own script."""
    page = bytes(get_swagger_ui_html(openapi_url="/openapi.json", title="").body).decode()
    source = "https://cdn.jsdelivr.net"
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256((script[1] if script else "").encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src {source} 'sha256-{digest}'; style-src {source} 'unsafe-inline'; "
        "img-src data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
    )
    return policy.encode()
