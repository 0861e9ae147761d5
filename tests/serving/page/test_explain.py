"""The endpoint behind the page: a prediction, logged as any, and what drove it."""

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.settings import Settings
from serving.app import create_app
from serving.middleware.api_keys import digest_of
from tests.serving.conftest import TestClient
from tests.serving.page.conftest import app_of, state_of, without_profile
from tests.support.small_service import INSTANCE, NOON, PREDICT, SCORE, STATUS
from tests.toy_problem import make_project as make_toy

EXPLAIN = f"{STATUS}:explain"
BODY = {"instances": [INSTANCE]}


def explained(client: TestClient, instance: dict[str, object] = INSTANCE) -> dict:
    answer = client.post(EXPLAIN, json={"instances": [instance]})
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"][0]


@pytest.mark.parametrize("task", ["classification", "multiclass", "regression"])
def test_each_change_is_what_score_answers_to_typical_values(make_project, task):
    client = TestClient(app_of(make_project(task)))
    found = explained(client)
    assert {change["group"] for change in found["changes"]} == {"recent", "plan", "request"}
    values = {name: value for change in found["changes"] for name, value in change["values"].items()}
    for change in found["changes"]:
        rows = {"instances": [values, values | change["typical"]]}
        now, then = (each["value"] for each in client.post(SCORE, json=rows).json()["predictions"])
        assert change["if_typical"] == pytest.approx(then, abs=1e-9)
        if task == "multiclass":
            assert change["change"] == pytest.approx({name: now[name] - then[name] for name in now}, abs=1e-9)
        else:
            assert change["change"] == pytest.approx(now - then, abs=1e-9)


def test_the_prediction_is_the_one_of_predict_and_logged_as_any(make_project):
    project = make_project()
    client = TestClient(app_of(project))
    found, plain = explained(client)["prediction"], client.post(PREDICT, json=BODY).json()["predictions"][0]
    own = found.pop("prediction_id")
    assert found == {name: value for name, value in plain.items() if name != "prediction_id"}
    log = PredictionLog.open(project.settings)
    (row,) = log.read(ids=[own]).to_dict("records")
    log.close()
    assert (row["endpoint"], row["role"], row["clock"]) == ("predict", "champion", NOON)


def test_more_instances_than_allowed_are_refused(make_project):
    client = TestClient(app_of(make_project(max_explained=2)))
    assert client.post(EXPLAIN, json={"instances": [INSTANCE] * 2}).status_code == 200
    answer = client.post(EXPLAIN, json={"instances": [INSTANCE] * 3})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["reason"].startswith("got 3, expected at most 2")


def test_what_is_over_is_refused_as_by_predict(make_project):
    answer = TestClient(app_of(make_project())).post(
        EXPLAIN, json={"instances": [INSTANCE | {"opens": NOON.isoformat()}]}
    )
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "instances[0].opens")


def test_a_model_of_before_profiles_predicts_and_explains_nothing(make_project):
    project = make_project()
    client = TestClient(app_of(project, without_profile(project)))
    found = explained(client)
    assert found["changes"] == []
    assert 0 < found["prediction"]["probability"] < 1


@pytest.mark.parametrize(("scopes", "status"), [(["score", "metrics"], 403), (["predict"], 503)])
def test_it_needs_the_scope_predict(tmp_path, scopes, status):
    keys = {"team": {"sha256": digest_of("fl_x"), "scopes": scopes}}
    settings = Settings(root=tmp_path, serving={"host": "192.0.2.1", "api_keys": keys})
    client = TestClient(create_app(make_toy(settings)))
    assert client.post(EXPLAIN, json=BODY, headers={"x-api-key": "fl_x"}).status_code == status


def test_the_state_of_these_tests_has_a_profile(make_project):
    assert state_of(make_project()).predictor.model.profile is not None
