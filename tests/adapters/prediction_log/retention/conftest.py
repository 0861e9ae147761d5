"""The log of these tests is patient: a checkpoint, which locks SQLite too, takes as long as the machine lets it."""

import pytest

from flightline.core.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    patient = settings.prediction_log.model_copy(update={"busy_timeout_seconds": 60})
    return settings.model_copy(update={"prediction_log": patient})
