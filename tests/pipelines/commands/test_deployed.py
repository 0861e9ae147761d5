"""What a deployment asks for inside: only its own predictions are compared, and none at all is no success."""

from datetime import UTC, datetime, timedelta

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import LogError
from flightline.core.settings import Settings
from pipelines.replay.parity import read_log
from tests.adapters.prediction_log.predictions import prediction

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)


@pytest.fixture
def logged(tmp_path) -> Settings:
    settings = Settings(root=tmp_path)
    log = PredictionLog.open(settings)
    log.write(
        [
            prediction(prediction_id=f"{number:032x}", logged_at=NOW + timedelta(minutes=number), endpoint="predict")
            for number in range(3)
        ]
    )
    log.close()
    return settings


def test_only_what_was_logged_since_is_compared(logged):
    ((asked, left_out),) = read_log(logged, NOW + timedelta(minutes=1))
    assert list(asked["prediction_id"]) == [f"{number:032x}" for number in (1, 2)]
    assert left_out == 0
    assert [len(asked) for asked, _ in read_log(logged, rows_at_once=2)] == [2, 1]


def test_nothing_logged_since_is_an_error(logged):
    with pytest.raises(LogError, match="no prediction with features of the store is logged"):
        list(read_log(logged, NOW + timedelta(hours=1)))
