"""A challenger in shadow changes no answer, with split traffic it answers its own instances, broken it harms nobody."""

import math
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flightline.adapters.model_store.canary_setting import canary_folder, write_setting
from flightline.adapters.model_store.model_file import save_model
from flightline.adapters.model_store.signatures import APPROVAL_FILE
from flightline.adapters.prediction_log.challenger_counts import read_counts
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.settings import ServingSettings, Settings
from flightline.promotion.canary import CanarySetting, ChallengerCounts
from serving.app import create_app
from serving.prediction import canary as canary_module
from serving.prediction import challenger as challenger_module
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
from tests.support.waiting import HandClock, wait_until
from tests.toy_problem import make_project

# A busy machine reaches neither of these.
PATIENT_SECONDS = 600.0


def setting_of(mode: str = "shadow", share: float = 0.0, **changes: object) -> CanarySetting:
    return CanarySetting(**({"version": "4", "champion": "3", "mode": mode, "share": share, "since": NOON} | changes))


def put_challenger(settings: Settings, setting: CanarySetting | None, pipeline: object = None) -> None:
    """Do what the model sync does."""
    folder = canary_folder(settings)
    if setting is not None:
        file = settings.root / "challenger.skops"
        digest = save_model(pipeline or fitted(KINDS, is_contrary=True), file)
        put_signed(settings, manifest_of(KINDS, digest, version=setting.version), file, folder)
    write_setting(folder, setting)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    patient = ServingSettings(poll_seconds=0.05, max_instances=500).model_copy(
        update={"canary_seconds": PATIENT_SECONDS}
    )
    return settings.model_copy(update={"serving": patient})


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A whole service with a real champion, on hand-made features."""
    monkeypatch.setattr(canary_module, "SHADOW_SECONDS", PATIENT_SECONDS)
    stand_in_registry(settings.root)
    put_model(settings, "3")
    app = create_app(make_project(settings), lambda _: HandMadeFeatures())
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def wait_for_challenger(client: TestClient, setting: CanarySetting | None) -> None:
    def is_it() -> bool:
        running = client.app.state.canary.challenger
        return (running.setting if running else None) == setting

    wait_until(is_it, said=f"{setting} runs")


def instances_of(numbers: range) -> list[dict]:
    """Make instances that differ in the second of their event time, and in nothing the models look at."""
    opens = datetime.fromisoformat(INSTANCE["opens"])
    return [INSTANCE | {"opens": (opens + timedelta(seconds=number)).isoformat()} for number in numbers]


def ask(client: TestClient, numbers: range = range(1, 2)) -> list[dict]:
    answer = client.post(PREDICT, json={"instances": instances_of(numbers)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == "3"
    return answer.json()["predictions"]


def logged(settings: Settings):
    log = PredictionLog.open(settings)
    try:
        return log.read()
    finally:
        log.close()


def without_ids(predictions: list[dict]) -> list[dict]:
    return [{name: value for name, value in one.items() if name != "prediction_id"} for one in predictions]


def test_a_shadow_is_scored_and_logged_and_changes_no_answer(client, settings: Settings) -> None:
    before = ask(client, range(1, 30))
    put_challenger(settings, setting_of())
    wait_for_challenger(client, setting_of())
    after = ask(client, range(1, 30))
    assert without_ids(after) == without_ids(before)
    assert {one["probability"] > 0.5 for one in after} == {True}
    wait_until(lambda: (logged(settings)["role"] == "shadow").sum() == 29)
    rows = logged(settings)
    shadow, champion = rows[rows["role"] == "shadow"], rows[rows["role"] == "champion"]
    assert set(shadow["model_version"]) == {"4"}
    assert (shadow["prediction"] < 0.5).all()
    assert len(champion) == 58
    assert set(shadow["request_id"]) < set(champion["request_id"])
    assert set(shadow["instance_key"]) == set(champion["instance_key"])
    assert shadow.iloc[0]["features"] == champion.iloc[0]["features"]


def test_a_share_is_split_by_instance_and_stays_so(client, settings: Settings) -> None:
    setting = setting_of("split", 0.2)
    put_challenger(settings, setting)
    wait_for_challenger(client, setting)
    first, again = ask(client, range(1, 401)), ask(client, range(1, 401))
    theirs = [one["answered_by"] == "4" for one in first]
    assert 0.14 < sum(theirs) / 400 < 0.26  # three standard deviations about 0.2
    assert [one["answered_by"] == "4" for one in again] == theirs
    assert [one["probability"] < 0.5 for one in first] == theirs
    alone = ask(client, range(theirs.index(True) + 1, theirs.index(True) + 2))
    assert alone[0]["answered_by"] == "4"
    rows = logged(settings).set_index("prediction_id")
    for one, is_theirs in zip(first, theirs, strict=True):
        row = rows.loc[one["prediction_id"]]
        assert (row["role"], row["model_version"]) == (("challenger", "4") if is_theirs else ("champion", "3"))
        assert row["prediction"] == one["probability"]


def test_with_a_share_both_have_predicted_every_instance(client, settings: Settings) -> None:
    setting = setting_of("split", 0.2)
    put_challenger(settings, setting)
    wait_for_challenger(client, setting)
    ask(client, range(1, 101))
    wait_until(lambda: len(logged(settings)) == 200)
    rows = logged(settings)
    assert set(rows.groupby("instance_key")["model_version"].agg(lambda given: tuple(sorted(given)))) == {("3", "4")}
    assert set(rows["role"]) == {"champion", "challenger", "shadow"}


def test_the_setting_changes_without_a_restart(client, settings: Settings) -> None:
    for setting in (setting_of(), setting_of("split", 0.5), None, setting_of("split", 0.3)):
        put_challenger(settings, setting)
        wait_for_challenger(client, setting)
        is_theirs = [one["answered_by"] == "4" for one in ask(client, range(1, 41))]
        assert any(is_theirs) == bool(setting and setting.share)


@pytest.mark.parametrize(
    ("mode", "share", "fault"),
    [("shadow", 0.0, "raises"), ("split", 0.5, "raises"), ("split", 0.5, "hangs"), ("split", 0.5, "is no number")],
)
def test_a_broken_challenger_harms_no_request(client, settings, monkeypatch, mode: str, share: float, fault: str):
    setting = setting_of(mode, share)
    put_challenger(settings, setting)
    wait_for_challenger(client, setting)

    is_over = threading.Event()

    def broken(model, inputs):
        if fault == "raises":
            raise RuntimeError("broken")
        if fault == "hangs":
            is_over.wait()  # so an answer that waited for it would never come
        return [math.nan] * len(inputs)

    monkeypatch.setattr(challenger_module, "predict_with", broken)
    monkeypatch.setattr(challenger_module, "time", HandClock())
    if fault == "hangs":
        client.app.state.canary._serving = settings.serving.model_copy(update={"canary_seconds": 0.1})
    try:
        for number in range(1, 41):
            (one,) = ask(client, range(number, number + 1))
            assert one["answered_by"] is None
    finally:
        is_over.set()

    def written() -> ChallengerCounts | None:  # the service writes them too, now and then, and counts anew
        client.portal.call(client.app.state.canary.write_counts)
        counts = read_counts(settings, setting)
        return counts if (counts.failed or counts.slow) and counts.dropped else None

    wait_until(written, said="one that fails again and again is left alone for a while")


@pytest.mark.parametrize("broken", ["flipped byte", "other columns", "of another champion"])
def test_a_challenger_that_cannot_serve_does_not_run(client, settings: Settings, broken: str) -> None:
    if broken == "flipped byte":
        file = settings.root / "challenger.skops"
        digest = save_model(fitted(KINDS), file)
        put_signed(settings, manifest_of(KINDS, digest, version="4"), file, canary_folder(settings))
        copy = canary_folder(settings) / "4" / "model.skops"
        copy.write_bytes(copy.read_bytes()[:-1] + b"x")
        write_setting(canary_folder(settings), setting_of("split", 0.5))
    elif broken == "other columns":
        file = settings.root / "moon.skops"
        digest = save_model(fitted({"moon": "float64"}), file)
        put_signed(settings, manifest_of({"moon": "float64"}, digest, version="4"), file, canary_folder(settings))
        write_setting(canary_folder(settings), setting_of())
    else:
        put_challenger(settings, setting_of("split", 0.5, champion="2"))
    # What looks for it every moment does just this.
    client.app.state.canary.refresh(client.app.state.model_loader.state)
    assert {one["answered_by"] for one in ask(client, range(1, 20))} == {None}
    assert client.app.state.canary.challenger is None


def test_a_shadow_without_an_approval_may_not_begin_to_answer(client, settings: Settings) -> None:
    put_challenger(settings, setting_of())
    (canary_folder(settings) / "4" / APPROVAL_FILE).unlink()
    wait_for_challenger(client, setting_of())
    write_setting(canary_folder(settings), setting_of("split", 0.5))
    wait_for_challenger(client, None)


def test_ready_features_are_the_champions_alone(client, settings: Settings) -> None:
    put_challenger(settings, setting_of("split", 0.5))
    wait_for_challenger(client, setting_of("split", 0.5))
    for more in range(20):
        assert (
            client.post(SCORE, json={"instances": [{"mean_units": 30 + more}]}).json()["predictions"][0]["value"] > 0.5
        )
    assert set(logged(settings)["role"]) == {"champion"}


def test_what_was_counted_is_shared_by_all(client, settings: Settings) -> None:
    setting = setting_of("split", 0.5)
    put_challenger(settings, setting)
    wait_for_challenger(client, setting)
    ask(client, range(1, 51))
    client.portal.call(client.app.state.canary.write_counts)
    counts = read_counts(settings, setting)
    assert (counts.asked, counts.failed, counts.dropped) == (50, 0, 0)
    assert counts.seconds > 0
    other = setting_of("split", 0.4)
    assert read_counts(settings, setting_of("shadow")).asked == 0
    assert read_counts(settings, other).asked == 50, "another share of the same canary"


def test_it_is_told_in_the_metrics(client, settings: Settings) -> None:
    put_challenger(settings, setting_of())
    wait_for_challenger(client, setting_of())
    text = client.get("/metrics").text
    assert 'flightline_model_workers{role="shadow",version="4"} 1.0' in text
    assert 'flightline_canary_errors_total{reason="slow"}' in text
    ask(client)
    wait_until(lambda: 'flightline_predictions_total{role="shadow",version="4"}' in client.get("/metrics").text)


def test_the_folder_of_the_champion_is_left_alone(client, settings: Settings, tmp_path: Path) -> None:
    put_challenger(settings, setting_of())
    put_model(settings, "5")
    assert (canary_folder(settings) / "4" / "model.skops").is_file()


def test_a_challenger_may_take_columns_that_the_champion_does_not(client, settings: Settings) -> None:
    put_model(settings, "5", {"mean_units": "float64"})
    setting = setting_of("split", 0.5, champion="5")
    put_challenger(settings, setting)
    wait_for_challenger(client, setting)
    answer = client.post(PREDICT, json={"instances": instances_of(range(1, 41))}).json()
    ids = [one["prediction_id"] for one in answer["predictions"] if one["answered_by"] == "4"]
    rows = logged(settings).set_index("prediction_id")
    assert answer["model"]["version"] == "5"
    assert {tuple(rows.loc[one, "features"]) for one in ids} == {tuple(KINDS)}
    assert rows.loc[ids[0], "features"]["opening_hour"] == 0


def test_when_the_champion_moves_the_challenger_stops(client, settings: Settings) -> None:
    put_challenger(settings, setting_of("split", 0.5))
    wait_for_challenger(client, setting_of("split", 0.5))
    put_model(settings, "5")
    wait_for_challenger(client, None)
    answer = client.post(PREDICT, json={"instances": instances_of(range(1, 41))}).json()
    assert answer["model"]["version"] == "5"
    assert {one["answered_by"] for one in answer["predictions"]} == {None}
