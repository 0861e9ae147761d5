"""The link to an answer that was given before: what it shows, and to whom."""

from datetime import timedelta

import pytest

from flightline.adapters.prediction_log.label_table import record_labels
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.monitoring.labels import LABELLED, Label
from serving.middleware.api_keys import digest_of
from tests.serving.conftest import TestClient
from tests.serving.page.conftest import app_of, state_of
from tests.serving.page.test_explain import BODY, EXPLAIN, explained
from tests.support.small_service import NOON

TASKS = ["classification", "multiclass", "regression"]


def logged(client: TestClient, prediction_id: str, **headers: str) -> dict:
    answer = client.get(f"/page/predictions/{prediction_id}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("task", TASKS)
def test_it_shows_what_was_answered_and_what_drove_it(make_project, task):
    client = TestClient(app_of(make_project(task)))
    given = explained(client)
    found = logged(client, given["prediction"]["prediction_id"])
    assert found["changes"] == given["changes"]
    assert (found["version"], found["model_is_served"]) == ("3", True)
    both = found["prediction"].keys() & given["prediction"].keys() - {"notes"}
    assert {"prediction_id", "missing_features", "feature_ages_seconds"} < both
    assert {name: found["prediction"][name] for name in both} == {name: given["prediction"][name] for name in both}
    asked, became = found["prediction"]["notes"]
    assert asked.startswith("Asked at 2020-07-01 12:00 UTC on the event clock, about shop ")
    assert became == "What became of it is not known yet (make labels)."


@pytest.mark.parametrize(("label", "words"), [(1.0, " = 1, known at "), (None, "It has no label: closed.")])
def test_it_says_what_became_of_it(make_project, label, words):
    project = make_project()
    client = TestClient(app_of(project))
    own = explained(client)["prediction"]["prediction_id"]
    log = PredictionLog.open(project.settings)
    (key,) = log.read(ids=[own])["instance_key"]
    log.close()
    later = NOON + timedelta(days=2)
    told = {"instance_key": key, "revision": 1, "label": label, "known_at": later, "recorded_at": later, "clock": later}
    told |= {"outcome": "closed" if label is None else LABELLED, "data_md5": "data"}
    record_labels(project.settings, [Label(**told)])
    assert words in logged(client, own)["prediction"]["notes"][1]


def test_of_another_version_it_does_not_say_what_drove_it(make_project):
    project = make_project()
    own = explained(TestClient(app_of(project)))["prediction"]["prediction_id"]
    found = logged(TestClient(app_of(project, state_of(project, "4"))), own)
    assert (found["version"], found["model_is_served"], found["changes"]) == ("3", False, [])


def test_an_unknown_id_is_refused(make_project):
    answer = TestClient(app_of(make_project())).get("/page/predictions/0f3c")
    assert answer.status_code == 404
    assert "no prediction '0f3c' that this caller was given" in answer.json()["error"]


def test_nobody_sees_what_another_key_was_answered(make_project):
    keys = {"own": digest_of("fl_own"), "other": digest_of("fl_other")}
    client = TestClient(app_of(make_project(host="192.0.2.1", api_keys=keys)))
    answer = client.post(EXPLAIN, json=BODY, headers={"x-api-key": "fl_own"})
    own = answer.json()["explanations"][0]["prediction"]["prediction_id"]
    assert logged(client, own, **{"x-api-key": "fl_own"})["prediction"]["prediction_id"] == own
    path = f"/page/predictions/{own}"
    assert client.get(path, headers={"x-api-key": "fl_other"}).status_code == 404
    assert client.get(path).status_code == 401
