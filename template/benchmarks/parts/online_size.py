"""A part of `bench_size`: the online store with many keys, and what it costs to count a request in Redis."""

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.feast import feature_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.core.settings import Settings
from serving.middleware.rate_limits import RateLimit, SharedCounts
from tests.support.servers.redis_server import PASSWORD, run_redis
from tests.support.small_service import NOON
from tests.support.small_store import REPOSITORY, make_store
from tests.toy_problem import PROBLEM

# So many become known at once, and are loaded before the next: Feast holds what it materialises, 3 GB of a million.
_AT_ONCE = 1_000_000
_APART = timedelta(minutes=1)


def measure_keys(
    kind: str,
    keys: int,
    folder: Path,
    timed: Callable[[str], AbstractContextManager[None]],
    each: Callable[[str, Callable[[int], object], int], None],
) -> None:
    """Materialise so many shops into SQLite or Redis, and read some as the service does."""
    print(f"\nonline store, {kind}, {keys:,} keys", flush=True)
    with ExitStack() as opened:
        settings = Settings(root=folder, profile="local")
        if kind == "redis":
            (folder / "redis").mkdir()
            server = opened.enter_context(run_redis(folder / "redis"))
            given = {"FEAST_REDIS": server.address, "FEAST_REDIS_PASSWORD": PASSWORD}
            given["FEAST_REGISTRY"] = f"sqlite:///{folder}/registry.db"
            opened.enter_context(patch.dict(os.environ, given))
            settings = Settings(root=folder, profile="stack")
            settings.feature_repo.mkdir()
            shutil.copy(REPOSITORY / "feature_repo" / "feature_store.stack.yaml", settings.feature_repo)
        make_store(settings)
        _write_shops(settings, keys)
        last = _known(keys - 1)
        with timed(f"materialise {keys:,} keys"):
            for first in range(0, keys, _AT_ONCE):
                feature_store.materialise_since(settings, _known(first) - _APART / 2, _known(first))
        features = OnlineFeatures.open(settings, PROBLEM.feature_service)
        rows = [{"shop": _shop(n), "city": "Bergen"} for n in random.sample(range(keys), 6000)]  # each asked for once
        as_of = last + _APART
        assert features.read(rows[:1], as_of)[0].values["mean_units"] is not None
        each("read a key", lambda n: features.read([rows[n + 1]], as_of), 1000)
        each("read 100 keys", lambda n: features.read(rows[1001 + 100 * n : 1101 + 100 * n], as_of), 49)
        features.close()
        if kind == "redis":
            import redis

            with redis.Redis.from_url(server.url) as client:
                print(f"  {client.dbsize():,} keys in {client.info('memory')['used_memory'] / 1e9:.2f} GB of Redis")
        else:
            print(f"  {(settings.state_dir / 'feast' / 'online.db').stat().st_size / 1e9:.2f} GB of SQLite")


def _shop(n: int) -> str:
    return f"K{n:08d}"


def _known(n: int) -> datetime:
    return NOON + _APART * (1 + n // _AT_ONCE)


def _write_shops(settings: Settings, keys: int) -> None:
    """Write the table that is to be materialised, some rows at a time."""
    file = settings.features_dir / "current" / "recent.parquet"
    schema = pq.read_schema(file).remove_metadata()
    with pq.ParquetWriter(file, schema) as writer:
        for first in range(0, keys, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, keys))
            known = [_known(first)] * len(numbers)
            given = {
                "shop": [_shop(n) for n in numbers],
                "mean_units": [float(n % 60) for n in numbers],
                "event_timestamp": known,
                "created_timestamp": known,
            }
            writer.write_table(pa.table(given).select(schema.names).cast(schema))


def measure_limits(folder: Path, requests: int = 5000) -> None:
    """Count requests of one key in memory, and in Redis: one after the other, and 16 at a time."""

    async def count(limit: RateLimit, at_once: int) -> None:
        async def ask() -> None:
            for _ in range(requests // at_once):
                await limit.wait_seconds("team")

        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(ask() for _ in range(at_once)))
        wall, processor = ((after - before) / requests * 1e6 for before, after in _since(began, used))
        where = "in memory" if limit._shared is None else "in Redis"
        print(f"  {where}, {at_once:2} at a time {wall:8.0f} us, {processor:6.0f} us of processor", flush=True)

    async def count_all(url: str) -> None:
        shared = SharedCounts(url)
        for limit in (RateLimit("requests", 10**9), RateLimit("requests", 10**9, shared)):
            await limit.wait_seconds("team")
            for at_once in (1, 16):
                await count(limit, at_once)
        await shared.close()

    print("\nthe count of a request", flush=True)
    with run_redis(folder) as server:
        asyncio.run(count_all(server.url))


def _since(began: float, used: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (began, time.perf_counter()), (used, time.process_time())
