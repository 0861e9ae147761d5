"""A place of the profile `stack`: a registry in PostgreSQL, values in Redis; and Feast without its guard."""

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from flightline.adapters.feast.registry_guard import guarded_classes
from flightline.core.settings import Settings
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.redis_server import PASSWORD, RedisServer

REPOSITORY = Path(__file__).parents[3]
VARIABLES = ("FEAST_REGISTRY", "FEAST_REDIS", "FEAST_REDIS_PASSWORD")


@pytest.fixture
def stack(monkeypatch, tmp_path, postgres_server: PostgresServer, redis_server: RedisServer) -> Settings:
    """Settings of the profile stack, on servers that hold nothing yet."""
    redis.Redis.from_url(redis_server.url).flushall()
    url = postgres_server.new_database().replace("postgresql://", "postgresql+psycopg://")
    for name, value in zip(VARIABLES, (url, redis_server.address, PASSWORD), strict=True):
        monkeypatch.setenv(name, value)
    settings = Settings(root=tmp_path / "stack", profile="stack")
    settings.feature_repo.mkdir(parents=True)
    shutil.copy(REPOSITORY / "feature_repo" / "feature_store.stack.yaml", settings.feature_repo)
    return settings


@pytest.fixture(scope="module")
def unguarded() -> Iterator[None]:
    """Let Feast read all kinds of views; a test of another module may have put the guard on for the process."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in guarded_classes():
            method = vars(kind)["from_proto"]
            patch.setattr(kind, "from_proto", type(method)(inspect.unwrap(method.__func__)))
        yield
