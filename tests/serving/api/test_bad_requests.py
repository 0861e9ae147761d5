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
from serving.api.dependencies import get_assets
from serving.app import create_app
from serving.prediction.model_loader import Assets
from serving.prediction.predictor import Predictor
from tests.support.small_service import INSTANCE, NOON, PREDICT, HandMadeFeatures, fitted, manifest_of

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("origin", "SFO", "Input should be 'EWR', 'JFK' or 'LGA'"),
        ("origin", None, "Input should be"),
        ("dest", "lax", "String should match pattern"),
        ("dest", "LAXX", "String should match pattern"),
        ("dest", "LAX\n", "String should match pattern"),
        ("dest", "\u0141\u00c5X", "String should match pattern"),
        ("carrier", "b6", "String should match pattern"),
        ("carrier", "", "String should match pattern"),
        ("carrier", 6, "Input should be a valid string"),
        ("carrier", "x" * 5000, "String should match pattern"),
        ("tailnum", "N1", "String should match pattern"),
        ("tailnum", ["N729JB"], "Input should be a valid string"),
        ("flight", 0, "greater than or equal to 1"),
        ("flight", 10000, "less than or equal to 9999"),
        ("flight", 10**400, "less than or equal to 9999"),
        ("flight", True, "valid integer"),
        ("flight", "23", "valid integer"),
        ("flight", 23.5, "valid integer"),
        ("flight", None, "valid integer"),
        ("scheduled_departure", "2013-12-31T14:00:00", "has no time zone"),
        ("scheduled_departure", "2013-12-31", "has no time zone"),
        ("scheduled_departure", "tomorrow", "valid datetime"),
        ("scheduled_departure", 1388498400, "expected ISO 8601 text"),
        ("scheduled_departure", "1388498400", "expected ISO 8601 text"),
        ("scheduled_departure", "-1388498400.5", "expected ISO 8601 text"),
        ("scheduled_departure", None, "expected ISO 8601 text"),
        ("scheduled_departure", "2013-13-31T14:00:00Z", "valid datetime"),
        ("scheduled_departure", "2013-12-31T14:00:00+99:00", "valid datetime"),
        ("scheduled_departure", "0001-01-01T00:00:00+23:59", "lies outside 2000 to 2100"),
        ("scheduled_departure", "9999-12-31T23:59:59-23:59", "lies outside 2000 to 2100"),
        ("scheduled_departure", "2100-01-01T00:00:00Z", "lies outside 2000 to 2100"),
        ("delay", 5, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_field_is_named_with_its_reason(client: TestClient, field: str, value: object, reason: str) -> None:
    body = {"instances": [INSTANCE, INSTANCE | {field: value}]}
    answer = client.post(PREDICT, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    (fault,) = answer.json()["fields"]
    assert fault["field"] == f"instances[1].{field}"
    assert reason in fault["reason"]


@pytest.mark.parametrize("field", ["origin", "dest", "flight", "scheduled_departure"])
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
        ('{"instances": [{"carrier": "\\ud800\\u0000"}]}', 422),
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
    app = create_app(Settings(root=tmp_path_factory.mktemp("root")))
    set_clock(app.state.settings, NOON)
    kinds = {"delay": "float64", "carrier": "str", "day_of_week": "float64"}
    assets = Assets(Predictor(ServedModel(manifest_of(kinds), fitted(kinds)), HandMadeFeatures()), "3")
    app.dependency_overrides[get_assets] = lambda: assets
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
