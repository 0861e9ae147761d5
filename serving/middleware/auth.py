"""Who may ask, and how often."""

import ipaddress
import re
from datetime import UTC, datetime
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from flightline.core.errors import StartError
from flightline.core.settings import Settings
from serving.api.errors import refusal
from serving.middleware.api_keys import KeyRing, StoredKey, digest_of, read_keys
from serving.middleware.rate_limits import RateLimit, SharedCounts, check_shared_counts
from serving.page.routes import FILES
from serving.telemetry.logs import caller
from serving.telemetry.metrics import UNAUTHORISED, record_rate_limited

# An orchestrator asks without a key.
OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
DEFAULT_PER_MINUTE = 6000
MAX_KEY_LENGTH = 200
KEY_HEADERS = frozenset({b"authorization", b"x-api-key"})
# `$` as in the routes' own patterns, which a line break at the end passes too.
_NEEDS_SCOPE = re.compile(r":(predict|score|explain)$|^/(metrics)$")


@lru_cache(maxsize=100)
def is_loopback(host: str) -> bool:
    """Say whether only programs of this machine reach an address.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def needs_key(settings: Settings) -> bool:
    """Say whether requests need a key: everywhere but on loopback in the profile local."""
    return settings.profile != "local" or not is_loopback(settings.serving.host)


def check_start(settings: Settings) -> None:
    """Refuse to serve where keys are needed and there is none, or where the limits cannot be counted as set.

    Raises
    ------
    StartError
        With the remedy.
    """
    check_shared_counts(
        settings.serving.limits_url.get_secret_value(), settings.serving.limits_password.get_secret_value()
    )
    if not needs_key(settings) or settings.serving.api_keys:
        return
    now = datetime.now(UTC)
    if any(key.is_valid(now) for key in read_keys(settings.api_keys_file)):
        return
    raise StartError(
        f"got host {settings.serving.host} in the profile {settings.profile} and no valid API key; expected one there: "
        "issue it with `make api-key NAME=team`, or set FLIGHTLINE_SERVING__API_KEYS to a JSON object of names and "
        "sha256 digests. Without a key the service runs on 127.0.0.1 in the profile local only"
    )


def needed_scope(path: str) -> str | None:
    """Give the scope that a path needs; None if any valid key will do.

    Examples
    --------
    >>> [needed_scope(f"/v1/models/m{verb}") for verb in (":predict", ":explain", ":score", "")]
    ['predict', 'predict', 'score', None]
    >>> needed_scope("/metrics")
    'metrics'
    """
    found = _NEEDS_SCOPE.search(path)
    if found is None:
        return None
    return "predict" if found[1] == "explain" else found[1] or found[2]


class Auth:
    """Let requests with a valid key through, each key so often a minute.

    Without keys (see `needs_key`) it lets through what comes by loopback and is asked for it by name,
    so that a service that some other program binds elsewhere, or leads others to, does not stand open.
    """

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app = app
        self._keys = KeyRing.of(settings) if needs_key(settings) else None
        # The shell of the page has a field for the key, and nothing that needs one.
        self._open_paths = OPEN_PATHS | (frozenset(FILES) if self._keys and settings.serving.page else frozenset())
        default = DEFAULT_PER_MINUTE if self._keys else 0
        limit = settings.serving.requests_per_minute
        url = settings.serving.limits_url.get_secret_value()
        self._shared = SharedCounts(url, settings.serving.limits_password.get_secret_value()) if url else None
        self._limit = RateLimit("requests", default if limit is None else limit, self._shared)
        self._failures = RateLimit("wrong_keys", settings.serving.failed_keys_per_minute, self._shared)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 429."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self.app(scope, receive, send)
            return
        key = self._key(scope)
        if key is None:
            await self._refuse(scope, receive, send)
            return
        name = scope["caller"] = key.name
        if self._keys is not None:
            caller.set(name)
            self._keys.note_use(name)
        if wait := await self._limit.wait_seconds(name):
            record_rate_limited("requests")
            answer = refusal(429, "too many requests; come again later", {"Retry-After": str(wait)})
            await answer(scope, receive, send)
            return
        if (needed := needed_scope(scope["path"])) and needed not in key.scopes:
            error = f"this API key is not for {needed}, but for {', '.join(key.scopes)}; ask for one with that scope"
            await refusal(403, error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application live from its start to its end, and close what this layer has opened meanwhile."""
        try:
            await self.app(scope, receive, send)
        finally:
            if self._shared is not None:
                await self._shared.close()

    def _key(self, scope: Scope) -> StoredKey | None:
        if self._keys is None:
            is_own = _came_by_loopback(scope) and _was_asked_for_loopback(scope)
            return _without_key(_client(scope)) if is_own else None
        return next(filter(None, map(self._keys.find, _presented(scope))), None)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        UNAUTHORISED.inc()
        if self._keys is None:
            answer = refusal(403, "this service has no keys, so it answers on 127.0.0.1 only")
        elif wait := await self._failures.wait_seconds(_client(scope)):
            record_rate_limited("wrong_keys")
            answer = refusal(429, "too many requests without a valid key", {"Retry-After": str(wait)})
        else:
            error = "expected the header `Authorization: Bearer <key>` with a valid API key"
            answer = refusal(401, error, {"WWW-Authenticate": "Bearer"})
        await answer(scope, receive, send)


@lru_cache(maxsize=100)
def _without_key(client: str) -> StoredKey:
    """Give what stands for the key of an address where no keys are needed."""
    return StoredKey(name=client, sha256=digest_of(""))


def _presented(scope: Scope) -> list[str]:
    """Give the first key of each of the two headers; another kind of credential, as a proxy may add, is none."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        kind, _, key = (b"bearer", b"", value) if name == b"x-api-key" else value.partition(b" ")
        if name in KEY_HEADERS and kind.lower() == b"bearer" and name not in found:
            found[name] = key.strip().decode("latin-1")[:MAX_KEY_LENGTH]
    return list(found.values())


def _client(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "-"


def _came_by_loopback(scope: Scope) -> bool:
    """Say whether the connection ends on loopback, on no network at all, or in a test's client."""
    host = scope["server"][0] if scope.get("server") else "localhost"
    return host == "testserver" or host.startswith("/") or is_loopback(host)


def _was_asked_for_loopback(scope: Scope) -> bool:
    """Say whether Host names this machine; a page of another site whose name leads here (DNS rebinding) has its own."""
    return _names_loopback(next((value for name, value in scope["headers"] if name == b"host"), b"localhost"))


@lru_cache(maxsize=100)
def _names_loopback(value: bytes) -> bool:
    host = value.decode("latin-1")
    name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
    return name == "testserver" or is_loopback(name.strip("[]"))
