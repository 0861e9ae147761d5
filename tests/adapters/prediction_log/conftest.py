"""The log on each database it can be on."""

from collections.abc import Iterator

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import migrate
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import settings_of


@pytest.fixture(params=["sqlite", "postgresql"])
def unmigrated(request, tmp_path) -> Settings:
    """Settings that name an empty database."""
    if request.param == "sqlite":
        return settings_of(tmp_path, url=f"sqlite:///{tmp_path / 'given.db'}")
    return settings_of(tmp_path, url=request.getfixturevalue("postgres_server").new_database())


@pytest.fixture
def settings(unmigrated: Settings) -> Settings:
    """Settings that name a database with the schema of today."""
    migrate(unmigrated)
    return unmigrated


@pytest.fixture
def log(settings: Settings) -> Iterator[PredictionLog]:
    opened = PredictionLog.open(settings)
    yield opened
    opened.close()
