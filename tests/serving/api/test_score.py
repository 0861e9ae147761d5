"""The door for ready features: rows of the model's own columns."""

import pytest
from fastapi.testclient import TestClient

from tests.support.small_service import INSTANCE, KINDS, PREDICT, SCORE

ROW = {"mean_units": 60.0, "shop": "S01", "seats": None, "opening_hour": 0}


def test_a_row_is_scored_as_the_prediction_it_belongs_to(client: TestClient) -> None:
    predicted = client.post(PREDICT, json={"instances": [INSTANCE]}).json()
    scored = client.post(SCORE, json={"instances": [ROW]}).json()
    assert scored["predictions"][0]["value"] == predicted["predictions"][0]["probability"]
    assert scored["model"] == predicted["model"]


def test_rows_are_scored_in_their_order(client: TestClient) -> None:
    rows = [ROW | {"mean_units": units} for units in (-20, 60, 10)]
    values = [score["value"] for score in client.post(SCORE, json={"instances": rows}).json()["predictions"]]
    assert values[0] < values[2] < values[1]


def test_columns_left_out_are_missing(client: TestClient) -> None:
    answers = client.post(SCORE, json={"instances": [{}, dict.fromkeys(KINDS)]}).json()["predictions"]
    assert answers[0]["value"] == answers[1]["value"]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"moon": 1}, "instances[0].moon", "the model has no such column"),
        ({"mean_units": "much"}, "instances[0].mean_units", "expected a finite number or null"),
        ({"shop": 6}, "instances[0].shop", "expected text or null"),
        ({"shop": "S" * 201}, "instances[0].shop", "expected text or null, 200 characters at most"),
    ],
)
def test_what_the_model_does_not_take_is_refused(client: TestClient, row: dict, field: str, reason: str) -> None:
    answer = client.post(SCORE, json={"instances": [row]})
    assert answer.status_code == 422
    (fault,) = answer.json()["fields"]
    assert fault["field"] == field
    assert fault["reason"].startswith(reason)


@pytest.mark.parametrize(
    "body", ['{"instances": []}', '{"instances": [1]}', '{"instances": [{"mean_units": [1]}]}', "{}"]
)
def test_a_body_of_another_shape_is_refused(client: TestClient, body: str) -> None:
    assert client.post(SCORE, content=body, headers={"content-type": "application/json"}).status_code == 422


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(client: TestClient, number: str) -> None:
    body = f'{{"instances": [{{"mean_units": {number}}}]}}'
    assert client.post(SCORE, content=body, headers={"content-type": "application/json"}).status_code in (400, 422)


def test_more_rows_than_the_settings_allow_are_refused(client: TestClient) -> None:
    assert client.post(SCORE, json={"instances": [ROW] * 6}).status_code == 422


def test_another_model_is_not_found(client: TestClient) -> None:
    assert client.post("/v1/models/other:score", json={"instances": [ROW]}).status_code == 404


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ('{"shop": "\\ud800"}', "instances[1].shop"),
        ('{"\\uDFFF": 1}', "instances[1].\\udfff"),
        ('{"shop": "x\\ud83dy"}', "instances[1].shop"),
    ],
)
def test_half_of_a_surrogate_pair_is_no_text_and_harms_nobody_else(client: TestClient, row: str, field: str) -> None:
    body = f'{{"instances": [{{"shop": "S01"}}, {row}]}}'
    answer = client.post(SCORE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["fields"] == [{"field": field, "reason": "expected text, got half of a surrogate pair"}]
    assert client.post(SCORE, json={"instances": [ROW]}).status_code == 200


def test_a_whole_surrogate_pair_is_text(client: TestClient) -> None:
    body = '{"instances": [{"shop": "\\ud83d\\ude00"}]}'
    assert client.post(SCORE, content=body, headers={"content-type": "application/json"}).status_code == 200
