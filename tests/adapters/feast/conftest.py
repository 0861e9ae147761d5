"""A place of the profile `stack`: a registry in PostgreSQL, values in Redis."""

import shutil
from pathlib import Path

import pytest
import redis

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
