"""A service of a problem of three classes: answers, scores, large requests, a challenger beside it, and the log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.canary_setting import canary_folder, write_setting
from flightline.adapters.model_store.model_file import save_model
from flightline.adapters.model_store.served_model import load_served_model
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import ModelFileError
from flightline.core.settings import ServingSettings, Settings
from flightline.promotion.canary import CanarySetting
from serving.app import create_app
from serving.prediction.side_thread import FEW_ROWS
from tests.serving.conftest import TestClient
from tests.support.small_service import (
    INSTANCE,
    KINDS,
    NOON,
    PREDICT,
    SCORE,
    HandMadeFeatures,
    fitted,
    manifest_of,
    put_model,
    put_signed,
    stand_in_registry,
)
from tests.support.waiting import wait_until
from tests.toy_multiclass import PROBLEM, make_project

CHAMPION = fitted(KINDS, task="multiclass")
MANY = FEW_ROWS + 40


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    patient = ServingSettings(poll_seconds=0.05, max_instances=500).model_copy(update={"canary_seconds": 600.0})
    settings = Settings(root=tmp_path, serving=patient)
    set_clock(settings, NOON)
    stand_in_registry(settings.root)
    put_model(settings, "3", pipeline=CHAMPION, problem=PROBLEM)
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(make_project(settings), lambda _: HandMadeFeatures())) as client:
        yield client


def ask(client: TestClient, count: int = 1) -> list[dict]:
    opens = datetime.fromisoformat(INSTANCE["opens"])
    instances = [INSTANCE | {"opens": (opens + timedelta(seconds=1 + number)).isoformat()} for number in range(count)]
    answer = client.post(PREDICT, json={"instances": instances})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def logged(settings: Settings) -> pd.DataFrame:
    log = PredictionLog.open(settings)
    try:
        return log.read().set_index("prediction_id")
    finally:
        log.close()


def test_an_answer_names_every_class_and_the_likeliest(client: TestClient, settings: Settings) -> None:
    (answer,) = ask(client)
    assert tuple(answer["probabilities"]) == PROBLEM.classes
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["left_over"] == max(answer["probabilities"], key=answer["probabilities"].get) == "much"
    row = logged(settings).loc[answer["prediction_id"]]
    assert row["probabilities"] == answer["probabilities"]
    assert row["prediction"] == answer["probabilities"]["much"]


def test_the_many_rows_of_a_request_are_answered_as_one(client: TestClient) -> None:
    (alone,), many = ask(client), ask(client, MANY)
    for answer in many:
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-12)


def test_a_score_is_the_probability_of_each_class(client: TestClient) -> None:
    row = {"mean_units": 60.0, "shop": "S01", "seats": None, "opening_hour": 0.0}
    answer = client.post(SCORE, json={"instances": [row]})
    assert answer.status_code == 200, answer.text
    expected = CHAMPION.predict_proba(pd.DataFrame([row]).astype({"seats": float}))[0]
    assert answer.json()["predictions"][0]["value"] == pytest.approx(dict(zip(PROBLEM.classes, expected, strict=True)))


@pytest.mark.parametrize(("mode", "share"), [("shadow", 0.0), ("split", 0.5)])
def test_a_challenger_runs_beside_it(client: TestClient, settings: Settings, mode: str, share: float) -> None:
    setting = CanarySetting(version="4", champion="3", mode=mode, share=share, since=NOON)
    file = settings.root / "challenger.skops"
    digest = save_model(fitted(KINDS, task="multiclass", is_contrary=True), file)
    put_signed(settings, manifest_of(KINDS, digest, PROBLEM, version="4"), file, canary_folder(settings), PROBLEM)
    write_setting(canary_folder(settings), setting)
    wait_until(lambda: client.app.state.canary.challenger is not None, said="the challenger runs")
    answers = ask(client, 20)
    theirs = [answer["answered_by"] == "4" for answer in answers]
    assert any(theirs) is (mode == "split")
    assert [answer["left_over"] for answer in answers] == ["none" if its else "much" for its in theirs]
    wait_until(lambda: (logged(settings)["role"] == "shadow").sum() == 20)
    rows = logged(settings)
    for version, likeliest in (("3", "much"), ("4", "none")):
        given = rows.loc[rows["model_version"] == version, "probabilities"]
        assert {max(row, key=row.get) for row in given} == {likeliest}


@pytest.mark.parametrize("classes", [("little", "none", "much"), ("none", "little", "much", "all")])
def test_a_model_of_other_classes_is_refused(settings: Settings, classes: tuple[str, ...]) -> None:
    other = replace(make_project(settings), problem=replace(PROBLEM, classes=classes))
    with pytest.raises(ModelFileError, match=r"has the classes none, little, much, expected .* train a model for them"):
        load_served_model(settings.serving_models_dir, other)


def test_only_the_manifest_of_several_classes_names_any() -> None:
    """A service of before, which knows no such field, can read all others."""
    assert manifest_of(KINDS, problem=PROBLEM).model_dump()["classes"] == PROBLEM.classes
    assert "classes" not in manifest_of(KINDS).model_dump()
