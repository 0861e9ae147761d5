"""What a worker does with its prediction log: each row before its answer; a broken log is told at once."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.errors import LogError
from flightline.core.settings import PredictionLogSettings, Settings
from flightline.problem.api_schema import Instance
from serving.prediction import prediction_logger as module
from serving.prediction.prediction_logger import Recorder
from serving.prediction.predictor import Predictor
from tests.support.small_service import INSTANCE, NOON, HandMadeFeatures

INSTANCES = [Instance(**INSTANCE), Instance(**(INSTANCE | {"carrier": None}))]


@pytest.fixture
def predictor(model: ServedModel) -> Predictor:
    return Predictor(model, HandMadeFeatures())


def record(recorder: Recorder, predictor: Predictor) -> list[str]:
    answered = predictor.predict(INSTANCES, NOON)
    return asyncio.run(recorder.record("predict", predictor, NOON, answered, INSTANCES))


def test_what_was_answered_is_in_the_log_with_what_it_rests_on(settings: Settings, predictor: Predictor) -> None:
    ids = record(Recorder(settings), predictor)
    rows = PredictionLog.open(settings).read(ids=ids).set_index("prediction_id").loc[ids]
    answered = predictor.predict(INSTANCES, NOON)
    assert rows["prediction"].tolist() == [one.value for one in answered]
    assert rows["features"].tolist() == [dict(one.inputs) for one in answered]
    assert rows["watermarks"].tolist() == [{"recent": NOON, "weather": NOON}] * 2
    assert rows["missing"].tolist() == [one.row.missing for one in answered if one.row]
    assert rows["instance_key"].iloc[0] == instance_key(INSTANCES[0].model_dump())
    assert set(rows["clock"]) == {NOON}
    assert (datetime.now(UTC) - rows["logged_at"].iloc[0]).total_seconds() < 60


def test_ready_rows_are_logged_without_keys(settings: Settings, predictor: Predictor) -> None:
    answered = predictor.score([{"delay": 60.0}])
    (only,) = asyncio.run(Recorder(settings).record("score", predictor, NOON, answered, [None]))
    row = PredictionLog.open(settings).read(ids=[only]).iloc[0]
    assert (row["door"], row["keys"], row["watermarks"]) == ("score", {}, {})


@pytest.fixture
def broken(settings: Settings) -> Settings:
    """A log whose folder is a file."""
    settings.prediction_log_file.parent.parent.mkdir(parents=True, exist_ok=True)
    settings.prediction_log_file.parent.write_text("in the way")
    return settings


def test_a_log_that_cannot_be_written_stops_the_answer(broken: Settings, predictor: Predictor) -> None:
    recorder = Recorder(broken)
    with pytest.raises(LogError, match="cannot be opened"):
        record(recorder, predictor)
    assert "cannot be opened" in str(asyncio.run(recorder.why_not()))


def test_while_it_is_broken_others_are_told_at_once_and_then_it_is_tried_again(
    broken: Settings, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(broken)
    for _ in range(2):
        with pytest.raises(LogError):
            record(recorder, predictor)
    broken.prediction_log_file.parent.unlink()
    with pytest.raises(LogError):
        record(recorder, predictor)
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 2 * module.PAUSE_SECONDS)
    assert len(record(recorder, predictor)) == 2


def test_a_setting_lets_answers_leave_without_it(broken: Settings, predictor: Predictor) -> None:
    lenient = broken.model_copy(update={"prediction_log": PredictionLogSettings(required=False)})
    recorder = Recorder(lenient)
    assert len(record(recorder, predictor)) == 2
    assert asyncio.run(recorder.why_not()) is None


def test_a_setting_switches_it_off(settings: Settings, predictor: Predictor) -> None:
    off = settings.model_copy(update={"prediction_log": PredictionLogSettings(enabled=False)})
    assert len(set(record(Recorder(off), predictor))) == 2
    assert not settings.prediction_log_file.exists()
