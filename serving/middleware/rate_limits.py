"""How often each may ask: counted by each worker for itself, or by all workers and replicas in one Redis."""

import asyncio
import logging
import math
import re
import time
from typing import Any
from urllib.parse import urlsplit

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from flightline.core.errors import StartError
from serving.telemetry.metrics import COUNTED_ALONE

PREFIX = "flightline-limits"
# What a request may wait for the shared count, and how long a Redis that failed is left alone.
ANSWER_SECONDS = 0.5
RETRY_SECONDS = 1.0
LOG = logging.getLogger("serving")
# What a Redis without a password says of one; so is a new ElastiCache until `make deploy` sets its own.
_HAS_NONE = "called without any password configured"
_EXPECTED = (
    "expected FLIGHTLINE_SERVING__LIMITS_URL as redis://:password@host:6379/1 (rediss:// for TLS), "
    "or nothing: then each worker counts for itself"
)


def check_shared_counts(url: str, password: str = "") -> None:
    """Refuse a URL that can never work; a Redis that is away, or has no password yet, is no reason not to start.

    Parameters
    ----------
    url
        Of Redis; empty: none.
    password
        For a URL that holds none.

    Raises
    ------
    StartError
        If it is no URL of Redis, or Redis refuses the password or the database. The message does not repeat it.
    """
    if not url:
        return
    from redis import Redis
    from redis.exceptions import AuthenticationError, RedisError, ResponseError

    try:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or not re.fullmatch(r"/?\d*", parts.path):
            raise ValueError
        client = Redis.from_url(url, password=password or None, socket_timeout=5, socket_connect_timeout=5)
    except ValueError:
        raise StartError(f"got a URL of the rate limits that is not one of Redis; {_EXPECTED}") from None
    try:
        client.ping()
    except (AuthenticationError, ResponseError) as err:
        if _HAS_NONE in str(err):
            LOG.warning("the Redis of the rate limits demands no password yet: until it does each worker counts alone")
            return
        raise StartError(f"the Redis of the rate limits refuses its URL: {err}; {_EXPECTED}") from None
    except (RedisError, OSError) as err:
        LOG.warning("the Redis of the rate limits is away (%s): until it is back each worker counts alone", err)
    finally:
        client.close()


class SharedCounts:
    """Counts in one Redis, for all that name it; its clock decides, not that of a machine.

    Parameters
    ----------
    url, password
        As `check_shared_counts` takes them. No connection is made before the first count.
    """

    def __init__(self, url: str, password: str = ""):
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter as SharedLimiter
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._errors = (RedisError, OSError)
        # Once more at once: connections that were idle when Redis was restarted are dead.
        self._pool: Any = ConnectionPool.from_url(url, password=password or None, retry=Retry(NoBackoff(), 1))
        given: dict[str, Any] = {"connection_pool": self._pool}  # limits' own hint knows numbers and text only
        storage = RedisStorage(url, implementation="redispy", key_prefix=PREFIX, **given)
        self._limiter = SharedLimiter(storage)
        self._is_away = False
        self._next_try = 0.0

    async def wait_seconds(self, item: RateLimitItem, *names: str) -> int | None:
        """Count one, as `RateLimit.wait_seconds`; None if Redis gives no answer."""
        if self._is_away:
            if time.monotonic() < self._next_try:
                return None
            self._next_try = time.monotonic() + RETRY_SECONDS  # one request asks, the others need not wait for it
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                is_within = await self._limiter.hit(item, *names)
                reset = 0.0 if is_within else (await self._limiter.get_window_stats(item, *names)).reset_time
        except self._errors as err:
            self._note_away(err)
            return None
        if self._is_away:
            self._is_away = False
            LOG.info("the Redis of the rate limits answers again")
        return 0 if is_within else _wait_until(reset)

    def _note_away(self, err: Exception) -> None:
        self._next_try = time.monotonic() + RETRY_SECONDS
        if not self._is_away:
            self._is_away = True
            LOG.warning(
                "the Redis of the rate limits gives no answer (%s: %s): this worker counts alone until it does",
                type(err).__name__,
                err,
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()


class RateLimit:
    """So many a minute for each name, in a window that slides.

    Parameters
    ----------
    why
        One of `metrics.LIMITS`: what is counted.
    per_minute
        0 for no limit.
    shared
        Where all count together; while it gives no answer, or without it, this process counts alone.
    """

    def __init__(self, why: str, per_minute: int, shared: SharedCounts | None = None):
        self._why = why
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._shared = shared
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def wait_seconds(self, name: str) -> int:
        """Count one; 0 if it is within the limit, else in how many seconds to come again."""
        if self._item is None:
            return 0
        if self._shared is not None:
            wait = await self._shared.wait_seconds(self._item, self._why, name)
            if wait is not None:
                return wait
            COUNTED_ALONE.inc()
        if self._limiter.hit(self._item, name):
            return 0
        return _wait_until(self._limiter.get_window_stats(self._item, name).reset_time)


def _wait_until(reset: float) -> int:
    return max(1, math.ceil(reset - time.time()))
