"""What a worker does with its prediction log: each row before its answer; a broken log is told at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.errors import LogError, UnloggableError
from flightline.core.project import Project
from flightline.core.settings import PredictionLogSettings, Settings
from serving.prediction import prediction_logger as module
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import Predictor
from tests.support.small_service import INSTANCE, NOON, HandMadeFeatures
from tests.support.waiting import HandClock
from tests.toy_problem import Instance

INSTANCES = [Instance(**INSTANCE), Instance(**(INSTANCE | {"shop": None}))]


@pytest.fixture
def predictor(project: Project, model: ServedModel) -> Predictor:
    return Predictor(project, model, HandMadeFeatures())


def record(logger: PredictionLogger, predictor: Predictor) -> list[str]:
    results = predictor.predict(INSTANCES, NOON)
    return asyncio.run(logger.record("predict", predictor, NOON, results, INSTANCES))


def test_what_was_answered_is_in_the_log_with_what_it_rests_on(settings: Settings, predictor: Predictor) -> None:
    before = datetime.now(UTC)
    ids = record(PredictionLogger(settings), predictor)
    rows = PredictionLog.open(settings).read(ids=ids).set_index("prediction_id").loc[ids]
    results = predictor.predict(INSTANCES, NOON)
    assert rows["prediction"].tolist() == [result.value for result in results]
    assert rows["features"].tolist() == [dict(result.inputs) for result in results]
    assert rows["watermarks"].tolist() == [{"recent": NOON, "plan": NOON}] * 2
    assert rows["missing"].tolist() == [result.row.missing for result in results if result.row]
    assert rows["instance_key"].iloc[0] == instance_key(INSTANCES[0].model_dump())
    assert set(rows["clock"]) == {NOON}
    assert before <= rows["logged_at"].iloc[0] <= datetime.now(UTC)


def test_ready_rows_are_logged_without_keys(settings: Settings, predictor: Predictor) -> None:
    results = predictor.score([{"mean_units": 60.0}])
    (only,) = asyncio.run(PredictionLogger(settings).record("score", predictor, NOON, results, [None]))
    row = PredictionLog.open(settings).read(ids=[only]).iloc[0]
    assert (row["endpoint"], row["keys"], row["watermarks"]) == ("score", {}, {})


@pytest.fixture
def broken(settings: Settings) -> Settings:
    """A log whose folder is a file."""
    settings.prediction_log_file.parent.parent.mkdir(parents=True, exist_ok=True)
    settings.prediction_log_file.parent.write_text("in the way")
    return settings


def test_a_log_that_cannot_be_written_stops_the_answer(broken: Settings, predictor: Predictor) -> None:
    logger = PredictionLogger(broken)
    with pytest.raises(LogError, match="cannot be opened"):
        record(logger, predictor)
    assert "cannot be opened" in str(logger.reason_not_writable())


def test_an_open_breaker_refuses_at_once_and_then_tries_again(
    broken: Settings, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "time", clock := HandClock())
    logger = PredictionLogger(broken)
    for _ in range(2):
        with pytest.raises(LogError):
            record(logger, predictor)
    broken.prediction_log_file.parent.unlink()
    with pytest.raises(LogError):
        record(logger, predictor)
    clock.forward(module.PAUSE_SECONDS)
    assert len(record(logger, predictor)) == 2


@pytest.mark.parametrize("value", [{"mean_units": 60.0, "shop": "\ud800"}, {"mean_units": 60.0, "shop": object()}])
def test_a_row_that_no_log_could_hold_is_refused_and_breaks_nothing(
    settings, predictor: Predictor, value: dict
) -> None:
    logger = PredictionLogger(settings)
    bad = [replace(result, inputs=value) for result in predictor.score([{"mean_units": 60.0}])]
    with pytest.raises(UnloggableError, match="cannot be put into the log"):
        asyncio.run(logger.record("score", predictor, NOON, bad, [None]))
    assert len(record(logger, predictor)) == 2


def test_a_setting_lets_answers_leave_without_it(broken: Settings, predictor: Predictor) -> None:
    lenient = broken.model_copy(update={"prediction_log": PredictionLogSettings(required=False)})
    logger = PredictionLogger(lenient)
    assert len(record(logger, predictor)) == 2
    assert logger.reason_not_writable() is None


def test_a_setting_switches_it_off(settings: Settings, predictor: Predictor) -> None:
    off = settings.model_copy(update={"prediction_log": PredictionLogSettings(enabled=False)})
    assert len(set(record(PredictionLogger(off), predictor))) == 2
    assert not settings.prediction_log_file.exists()
