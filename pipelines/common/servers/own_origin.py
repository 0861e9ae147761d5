"""Keeps the pages of other sites away from servers on this machine.

A page of any site may send requests to 127.0.0.1, and one whose name its owner lets lead there (DNS rebinding) may read
the answers. A browser says for whom it asks: the headers Host and Origin. Programs send no Origin.
"""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
REFUSAL = "this server answers pages of its own address alone"


def is_own(host: str | None, origin: str | None) -> bool:
    """Say whether a request is for this machine by name, and comes from no page of another origin.

    Parameters
    ----------
    host, origin
        The headers; a port forwarded over SSH may be another than the server's.

    Examples
    --------
    >>> [is_own("127.0.0.1:8888", None), is_own("localhost:9", "http://localhost:9")]
    [True, True]
    >>> [is_own("site.example:8888", None), is_own("127.0.0.1:8888", "http://site.example"), is_own(None, None)]
    [False, False, False]
    """
    if host is None or host.partition(":")[0] not in HOSTS:
        return False
    return origin is None or origin == f"http://{host}"


class OwnOrigin:
    """Answers 403 to what is not asked for its own pages; lets the rest through."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        headers = Headers(scope=scope) if scope["type"] in {"http", "websocket"} else None
        if headers is None or is_own(headers.get("host"), headers.get("origin")):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSAL, 403)(scope, receive, send)
