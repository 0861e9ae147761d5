"""Bodies made to hurt: each is its own sender's 4xx, soon, and never a failure of the service or of its log."""

import json
import tracemalloc
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from serving.api.request_body import check_body
from serving.prediction.predictor import InstanceError
from serving.telemetry.metrics import render
from tests.support.small_service import INSTANCE, NOON, PREDICT, SCORE

JSON = {"content-type": "application/json"}
HALF = "expected text, got half of a surrogate pair"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """As large as they are by default."""
    set_clock(settings := Settings(root=tmp_path), NOON)
    return settings


def send(client: TestClient, path: str, body: bytes | dict) -> tuple[int, dict]:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":"))
    answer = client.post(path, content=content, headers=JSON)
    return answer.status_code, answer.json()


def log_failures() -> str:
    return next(line for line in render().decode().splitlines() if line.startswith("flightline_log_failures_total"))


@pytest.mark.parametrize("path", [PREDICT, SCORE])
@pytest.mark.parametrize(
    ("encoding", "instance"),
    [
        ("utf-8", '{"shop": "\\ud800"}'),
        ("utf-8", '{"\\ud800": 1}'),
        ("utf-8", '{"shop": "\\\\\\uDFFF"}'),
        ("utf-8", '{"shop": "\\ud83d\\ud83d\\ude00"}'),
        ("utf-16", '{"shop": "\\ud800"}'),
        ("utf-16-le", '{"\\ud800": 1}'),
        ("utf-32", '{"\\ud800": 1}'),
    ],
)
def test_half_a_surrogate_pair_harms_nobody_else(client: TestClient, path: str, encoding: str, instance: str) -> None:
    failures = log_failures()
    status, _ = send(client, path, f'{{"instances": [{instance}]}}'.encode(encoding))
    assert status == (422 if encoding == "utf-8" else 400)
    assert client.post(SCORE, json={"instances": [{"shop": "S01"}]}).status_code == 200
    assert log_failures() == failures
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("path", [PREDICT, SCORE])
@pytest.mark.parametrize("instance", [b'{"shop": "\xed\xa0\x80"}', b'{"\xed\xbf\xbf": 1}', b'{"shop": "\0"}'])
def test_bytes_that_are_no_utf_8_are_no_json(client: TestClient, path: str, instance: bytes) -> None:
    status, body = send(client, path, b'{"instances": [' + instance + b"]}")
    assert (status, body["error"].split(";")[0]) in [
        (400, "the body is not JSON in UTF-8"),
        (400, "the body is not JSON"),
    ]


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\\\ud800", "\U0001f600", "\\\\\\\\udfff", "\\u0000"])
def test_what_only_looks_like_it_is_text(client: TestClient, text: str) -> None:
    assert send(client, SCORE, f'{{"instances": [{{"shop": "{text}"}}]}}'.encode())[0] == 200


@pytest.mark.parametrize("path", [PREDICT, SCORE])
@pytest.mark.parametrize("above", ["instances[1]", "body"])
def test_columns_are_counted_before_they_are_validated(client: TestClient, path: str, above: str) -> None:
    many = dict.fromkeys(map("c{}".format, range(80_000)), 1)
    hostile = {"instances": [INSTANCE, many]} if above != "body" else many | {"instances": [INSTANCE]}
    status, body = send(client, path, hostile)
    assert status == 422
    (fault,) = body["fields"]
    assert fault["field"] == above
    assert fault["reason"].endswith("columns, expected at most 1000")


@pytest.mark.parametrize("instance", [dict.fromkeys(map("c{}".format, range(60)), "much"), {"city": 1}, 1, []])
@pytest.mark.parametrize(("path", "found"), [(PREDICT, 64), (SCORE, 20)])
def test_of_a_thousand_bad_instances_few_faults_are_collected(
    client: TestClient, path: str, found: int, instance: object
) -> None:
    status, body = send(client, path, {"instances": [instance] * 1000})
    assert status == 422
    assert int(body["error"].removeprefix("at least ").split()[0]) <= found
    assert len(body["fields"]) <= 20


def test_a_long_name_above_many_values_takes_no_memory_of_its_own() -> None:
    body = {"k" * 100_000: ["x"] * 5_000 + ["\ud800"]}
    content = json.dumps(body).encode()
    tracemalloc.start()
    try:
        with pytest.raises(InstanceError) as raised:
            check_body(content, body, max_instances=1000, max_columns=1000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # 500 MB, were the name copied for each value
    finally:
        tracemalloc.stop()
    ((name, reason),) = raised.value.field_errors
    assert len(name) <= 100
    assert reason == HALF


def test_a_field_behind_too_many_values_is_not_looked_for() -> None:
    body = {"instances": [{"x": ["x"] * 50_000 + ["\ud800"]}]}
    with pytest.raises(InstanceError) as raised:
        check_body(json.dumps(body).encode(), body, max_instances=1000, max_columns=1000)
    assert raised.value.field_errors == (("body", HALF),)
