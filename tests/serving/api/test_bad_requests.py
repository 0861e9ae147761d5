"""Whatever is sent, the answer is below 500, has the shape of a failure and says which field is wrong."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.settings import Settings
from serving.api.dependencies import get_serving_state
from serving.app import create_app
from serving.prediction.model_loader import ServingState
from serving.prediction.predictor import Predictor
from tests.support.small_service import INSTANCE, NOON, PREDICT, HandMadeFeatures, always, fitted, manifest_of
from tests.toy_problem import make_project

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("city", "bergen", "String should match pattern"),
        ("city", None, "Input should be a valid string"),
        ("city", "B", "String should match pattern"),
        ("city", "Bergen\n", "String should match pattern"),
        ("city", "B\u00e9rgen", "String should match pattern"),
        ("shop", "s01", "String should match pattern"),
        ("shop", "", "String should match pattern"),
        ("shop", 1, "Input should be a valid string"),
        ("shop", 10**400, "Input should be a valid string"),
        ("shop", True, "Input should be a valid string"),
        ("shop", "x" * 5000, "String should match pattern"),
        ("shop", ["S01"], "Input should be a valid string"),
        ("opens", "2020-07-02T00:00:00", "with a time zone"),
        ("opens", "2020-07-02", "with a time zone"),
        ("opens", "tomorrow", "valid datetime"),
        ("opens", 1593648000, "expected ISO 8601 text"),
        ("opens", "1593648000", "expected ISO 8601 text"),
        ("opens", "-1593648000.5", "expected ISO 8601 text"),
        ("opens", None, "expected ISO 8601 text"),
        ("opens", "2020-13-02T00:00:00Z", "valid datetime"),
        ("opens", "2020-07-02T00:00:00+99:00", "valid datetime"),
        ("opens", "0001-01-01T00:00:00+23:59", "of this century"),
        ("opens", "9999-12-31T23:59:59-23:59", "of this century"),
        ("opens", "2100-01-01T00:00:00Z", "of this century"),
        ("mean_units", 5, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_field_is_named_with_its_reason(client: TestClient, field: str, value: object, reason: str) -> None:
    body = {"instances": [INSTANCE, INSTANCE | {field: value}]}
    answer = client.post(PREDICT, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    (fault,) = answer.json()["fields"]
    assert fault["field"] == f"instances[1].{field}"
    assert reason in fault["reason"]


@pytest.mark.parametrize("field", ["city", "opens"])
def test_a_field_left_out_is_named(client: TestClient, field: str) -> None:
    answer = client.post(PREDICT, json={"instances": [{k: v for k, v in INSTANCE.items() if k != field}]})
    assert answer.status_code == 422
    assert answer.json()["fields"] == [{"field": f"instances[0].{field}", "reason": "Field required"}]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("", 422),
        ("{", 400),
        ("nope", 400),
        ("[" * 100_000, 413),
        ("[" * 19_000, 400),
        ('{"a":' * 3000 + "1" + "}" * 3000, 400),
        ('{"instances": ' + "[" * 5000 + "]" * 5000 + "}", 400),
        ("1" * 5000, 400),
        (b"\xff\xfe\x00", 400),
        (b'{"instances": ["\xff"]}', 400),
        ("null", 422),
        ("[]", 422),
        ("NaN", 422),
        ("{}", 422),
        ('{"instances": null}', 422),
        ('{"instances": {}}', 422),
        ('{"instances": []}', 422),
        ('{"instances": [[]]}', 422),
        ('{"instances": [NaN, Infinity, -1e999]}', 422),
        ('{"instances": [{"\\ud800": "\\udfff"}]}', 422),
        ('{"instances": [{"shop": "\\ud800\\u0000"}]}', 422),
        ('{"instances": [{"' + "k" * 15_000 + '": 1}]}', 422),
        ('{"instances": [{}], "signature_name": "x"}', 422),
    ],
)
def test_a_broken_body_is_refused_briefly(client: TestClient, content: str | bytes, status: int) -> None:
    answer = client.post(PREDICT, content=content, headers=JSON)
    # How deep a body may nest before it counts as no JSON at all differs between Pythons: then the schema refuses it.
    assert answer.status_code in (status, 422), answer.text
    assert set(answer.json()) <= {"error", "fields"}
    assert len(answer.content) < 2000


@pytest.mark.parametrize("body", [[], 1, "a", {"instances": ["a"]}])
def test_a_body_of_another_type_names_no_class_of_ours(client: TestClient, body: object) -> None:
    answer = client.post(PREDICT, json=body)
    assert answer.status_code == 422
    assert "valid dictionary or object" in answer.text
    assert "instance of" not in answer.text


@pytest.mark.parametrize("header", [{}, {"content-type": "text/plain"}, {"content-type": "application/xml;json"}])
def test_another_content_type_is_refused(client: TestClient, header: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=json.dumps({"instances": [INSTANCE]}).encode(), headers=header)
    assert answer.status_code == 415
    assert answer.json() == {"error": "expected the header content-type: application/json"}


def test_a_content_type_with_a_charset_is_taken(client: TestClient) -> None:
    header = {"content-type": "application/json; charset=utf-8"}
    assert client.post(PREDICT, content=json.dumps({"instances": [INSTANCE]}), headers=header).status_code == 200


def test_as_many_instances_as_the_settings_allow(client: TestClient) -> None:
    assert client.post(PREDICT, json={"instances": [INSTANCE] * 5}).status_code == 200
    answer = client.post(PREDICT, json={"instances": [INSTANCE] * 6})
    assert answer.status_code == 422
    assert answer.json()["fields"] == [
        {"field": "instances", "reason": "got 6, expected at most 5; send them in parts"}
    ]


def test_a_body_that_does_not_declare_its_size_is_cut_off_too(client: TestClient) -> None:
    parts = (b" " * 1000 for _ in range(30))
    assert client.post(PREDICT, content=parts, headers=JSON).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(client: TestClient, method: str) -> None:
    # GET names a model called "<name>:predict", which there is none of.
    assert client.request(method, PREDICT).status_code == (404 if method == "GET" else 405)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.dictionaries(st.sampled_from([*INSTANCE, "other"]), _VALUES, max_size=3)
_ALMOST_RIGHT = _FIELDS.map(lambda changes: {"instances": [INSTANCE | changes]})


@pytest.fixture(scope="module")
def own_client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    project = make_project(Settings(root=tmp_path_factory.mktemp("root")))
    app = create_app(project)
    set_clock(project.settings, NOON)
    kinds = {"mean_units": "float64", "shop": "str", "day_of_week": "float64"}
    model = ServedModel(manifest_of(kinds), fitted(kinds), "classification")
    state = ServingState(Predictor(project, model, HandMadeFeatures()))
    app.dependency_overrides[get_serving_state] = always(state)
    return TestClient(app, raise_server_exceptions=False)


@hypothesis_settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(body=_VALUES | _ALMOST_RIGHT | st.fixed_dictionaries({"instances": st.lists(_FIELDS | _VALUES, max_size=3)}))
def test_no_json_at_all_makes_the_service_fail(own_client: TestClient, body: object) -> None:
    answer = own_client.post(PREDICT, content=json.dumps(body), headers=JSON)
    assert answer.status_code in (200, 400, 422), answer.text


def test_no_refusal_shows_where_the_code_is(client: TestClient) -> None:
    answers = [client.post(PREDICT, content=text, headers=JSON).text for text in ("{", "[]", '{"instances": [1]}')]
    for answer in answers:
        assert str(Path(__file__).parents[3]) not in answer
        assert "Traceback" not in answer
        assert "pydantic" not in answer
