"""The routes, on hand-made features and a tiny model."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from flightline.adapters.event_clock import move_clock, set_clock
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from serving.api.dependencies import get_serving_state
from serving.api.request_body import ModelRoute
from serving.app import create_app
from serving.prediction.model_loader import NO_MODEL, ServingState
from serving.prediction.predictor import WITHOUT_FEATURES, Predictor
from tests.support.small_service import INSTANCE, KINDS, NOON, PREDICT, STATUS, HandMadeFeatures, always
from tests.toy_problem import PROBLEM


def test_answers_in_the_protocols_shape(client: TestClient) -> None:
    answer = client.post(PREDICT, json={"instances": [INSTANCE]})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == {
        "name": PROBLEM.model_name,
        "version": "3",
        "feature_service": PROBLEM.feature_service,
    }
    (prediction,) = body["predictions"]
    assert 0.9 < prediction.pop("probability") < 1
    assert re.fullmatch("[0-9a-f]{32}", prediction.pop("prediction_id"))
    assert prediction == {
        PROBLEM.label: True,
        "prediction_time": "2020-07-01T12:00:00Z",
        "as_of": "2020-07-01T12:00:00Z",
        "missing_features": {"plan": "after the clock"},
        "feature_ages_seconds": {"recent": 300},
        "answered_by": None,
        "notes": [],
    }


def test_many_instances_are_answered_in_their_order(client: TestClient) -> None:
    shops = ["S02", "S01", "S02", "S01"]
    answer = client.post(PREDICT, json={"instances": [INSTANCE | {"shop": shop} for shop in shops]})
    assert [prediction[PROBLEM.label] for prediction in answer.json()["predictions"]] == [False, True, False, True]


def test_a_prediction_does_not_depend_on_its_neighbours(client: TestClient, ask: Callable[..., dict]) -> None:
    others = [INSTANCE | {"shop": "S99"}, INSTANCE | {"shop": "S02"}, INSTANCE]
    among, alone = client.post(PREDICT, json={"instances": others}).json()["predictions"][2], ask()
    assert among.pop("prediction_id") != alone.pop("prediction_id")
    assert among == alone


@pytest.mark.parametrize("changes", [{"shop": "S99"}, {"shop": None}])
def test_an_unknown_entity_is_answered_and_what_is_missing_named(
    ask: Callable[..., dict], changes: dict[str, object]
) -> None:
    prediction = ask(**changes)
    assert 0 <= prediction["probability"] <= 1
    assert prediction["missing_features"] == {"recent": "no value", "plan": "no value"}
    assert prediction["feature_ages_seconds"] == {}
    assert prediction["notes"] == [WITHOUT_FEATURES]


def counted(client: TestClient, name: str) -> float:
    return float(re.search(rf"^{name} (\S+)$", client.get("/metrics").text, re.MULTILINE)[1])


def test_answers_without_any_feature_are_counted(client: TestClient, ask: Callable[..., dict]) -> None:
    before = counted(client, "flightline_rows_without_features_total")
    for shop in ("S01", "S99"):
        ask(shop=shop)
    assert counted(client, "flightline_rows_without_features_total") == before + 1


def test_a_problem_may_refuse_what_the_store_knows_nothing_of(project: Project, state: ServingState) -> None:
    refusing = replace(project, problem=replace(project.problem, without_features="refuse"))
    app = create_app(refusing)
    app.dependency_overrides[get_serving_state] = always(state)
    client = TestClient(app, raise_server_exceptions=False)
    answer = client.post(PREDICT, json={"instances": [INSTANCE, INSTANCE | {"shop": "S99"}]})
    assert answer.status_code == 422
    (fault,) = answer.json()["fields"]
    assert fault["field"] == "instances[1]"
    assert "no value for it (recent: no value, plan: no value)" in fault["reason"]
    assert client.post(PREDICT, json={"instances": [INSTANCE]}).status_code == 200


def test_the_metrics_say_how_far_the_store_is_behind(settings: Settings, client: TestClient) -> None:
    set_clock(settings, NOON + timedelta(hours=4))
    assert client.get("/health/ready").status_code == 200
    assert counted(client, "flightline_features_behind_seconds") == 4 * 3600


def test_optional_fields_may_be_left_out(client: TestClient) -> None:
    least = {name: INSTANCE[name] for name in ("city", "opens")}
    assert client.post(PREDICT, json={"instances": [least]}).status_code == 200


@pytest.mark.parametrize(
    ("opens", "note"),
    [
        ("2020-07-01T12:00:01Z", "is past: answered as of the clock"),
        ("2020-07-01T23:59:59Z", "is past: answered as of the clock"),
        ("2020-07-02T00:00:00Z", None),
        ("2020-07-01T19:00:01-05:00", "Answered early"),
        ("2020-09-01T00:00:00Z", "Answered early"),
    ],
)
def test_a_note_says_when_the_answer_is_not_of_the_prediction_time(
    ask: Callable[..., dict], features: HandMadeFeatures, opens: str, note: str | None
) -> None:
    prediction = ask(opens=opens)
    assert [note in text for text in prediction["notes"]] == ([True] if note else [])
    assert prediction["as_of"] == "2020-07-01T12:00:00Z"
    assert features.reads_as_of == [NOON]
    event_time = datetime.fromisoformat(opens).astimezone(UTC)
    assert datetime.fromisoformat(prediction["prediction_time"]) == event_time - PROBLEM.prediction_horizon


@pytest.mark.parametrize("opens", ["2020-07-01T12:00:00Z", "2020-07-01T06:59:00-05:00", "2001-01-01T00:00:00Z"])
def test_what_has_happened_is_refused_by_index_and_field(client: TestClient, opens: str) -> None:
    gone = INSTANCE | {"opens": opens}
    answer = client.post(PREDICT, json={"instances": [INSTANCE, gone]})
    assert answer.status_code == 422
    (fault,) = answer.json()["fields"]
    assert fault["field"] == "instances[1].opens"
    assert "the event clock stands at 2020-07-01T12:00:00+00:00" in fault["reason"]


def test_the_clock_is_read_for_each_request(settings: Settings, ask: Callable[..., dict]) -> None:
    ask()
    set_clock(settings, NOON + timedelta(hours=1))
    assert ask()["as_of"] == "2020-07-01T13:00:00Z"


def test_it_follows_the_time_of_day_once_the_file_says_so(settings: Settings, ask: Callable[..., dict]) -> None:
    move_clock(settings, None, PROBLEM.first_clock)
    assert datetime.fromisoformat(ask(opens="2099-12-31T00:00:00Z")["as_of"]) > NOON


def test_without_a_clock_nothing_is_predicted_and_the_status_says_why(settings: Settings, client: TestClient) -> None:
    settings.clock_file.unlink()
    answer = client.post(PREDICT, json={"instances": [INSTANCE]})
    assert answer.status_code == 503
    assert "has not been set: run `make train`" in answer.json()["error"]
    status = client.get(STATUS).json()
    assert (status["ready"], status["clock"]) == (False, None)
    assert "has not been set" in status["reason"]
    assert client.get("/health/ready").status_code == 503


@pytest.mark.parametrize("path", ["/v1/models/other:predict", "/v1/models/other%2F..:predict"])
def test_predicting_with_another_model_is_not_found(client: TestClient, path: str) -> None:
    assert client.post(path, json={"instances": [INSTANCE]}).status_code == 404


def test_the_status_of_another_model_is_not_found(client: TestClient) -> None:
    answer = client.get("/v1/models/other")
    assert answer.status_code == 404
    assert answer.json() == {"error": f"got model 'other', expected {PROBLEM.model_name!r}"}


def test_the_status_of_a_ready_service(client: TestClient) -> None:
    assert client.get(STATUS).json() == {
        "name": PROBLEM.model_name,
        "ready": True,
        "version": "3",
        "feature_service": PROBLEM.feature_service,
        "columns": KINDS,
        "served_since": None,
        "watermarks": {"recent": "2020-07-01T12:00:00Z", "plan": "2020-07-01T12:00:00Z"},
        "clock": "2020-07-01T12:00:00Z",
        "refused": None,
        "reason": None,
    }
    assert client.get("/health/ready").json() == {"status": "ready", "reason": None}
    assert client.get("/health/live").json() == {"status": "live", "reason": None}


def test_a_service_that_is_not_ready_lives_and_says_why(app: FastAPI, client: TestClient) -> None:
    app.dependency_overrides[get_serving_state] = always(ServingState(reason=NO_MODEL))
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["reason"]) == (503, NO_MODEL)
    assert client.get(STATUS).json()["reason"] == NO_MODEL
    answer = client.post(PREDICT, json={"instances": [INSTANCE]})
    assert (answer.status_code, answer.json()) == (503, {"error": NO_MODEL})


def test_a_feature_store_that_fails_is_503(app: FastAPI, client: TestClient, project, model) -> None:
    class Failing(HandMadeFeatures):
        def read(self, entity_rows, as_of):
            raise FeatureError("the online store cannot be read (OperationalError)")

    app.dependency_overrides[get_serving_state] = always(ServingState(Predictor(project, model, Failing())))
    answer = client.post(PREDICT, json={"instances": [INSTANCE]})
    assert (answer.status_code, answer.json()["error"]) == (503, "the online store cannot be read (OperationalError)")


def test_a_bug_is_500_without_its_message(app: FastAPI, client: TestClient, project, model) -> None:
    class Broken(HandMadeFeatures):
        def read(self, entity_rows, as_of):
            raise RuntimeError("the secret is in secrets.txt")

    app.dependency_overrides[get_serving_state] = always(ServingState(Predictor(project, model, Broken())))
    answer = client.post(PREDICT, json={"instances": [INSTANCE]})
    assert answer.status_code == 500
    assert answer.json() == {"error": "the service failed on this request; the reason is in its log"}


def test_without_the_page_the_root_says_where_things_are(project: Project, state: ServingState) -> None:
    settings = project.settings
    plain = settings.model_copy(update={"serving": settings.serving.model_copy(update={"page": False})})
    app = create_app(project.at(plain))
    app.dependency_overrides[get_serving_state] = always(state)
    client = TestClient(app)
    places = client.get("/").json()
    assert {name: client.get(path).status_code for name, path in places.items()} == dict.fromkeys(places, 200)


def test_the_documented_example_can_be_predicted(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["Instance"]
    assert client.post(PREDICT, json={"instances": [schema["example"]]}).status_code == 200


def test_a_route_that_wants_more_than_it_is_given_is_refused_at_once() -> None:
    router = APIRouter(route_class=ModelRoute)

    async def predict(name: str, own: object, body: dict, page: int) -> None: ...

    with pytest.raises(TypeError, match="predict takes name, own, body, page; expected name, own and body"):
        router.post("/{name}")(predict)
