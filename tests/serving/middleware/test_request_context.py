"""What is around every answer of a real process: headers, a request id, a log line, and nothing of the inside."""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flightline.core.settings import ServingSettings, Settings
from serving.middleware import request_context
from serving.telemetry.logs import is_json
from tests.serving.conftest import TestClient
from tests.support.servers.service_process import Service, running
from tests.support.small_service import INSTANCE, PREDICT, STATUS
from tests.support.waiting import HandClock, wait_until

BODY = {"instances": [INSTANCE]}
LIBRARIES = ("uvicorn", "fastapi", "starlette", "pydantic", "python", "feast", "scikit-learn", "httptools")
# Traces, files, and a library beside its version.
INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|/srv/|secret|/(?:usr|home|root|tmp|var|opt)/|"
    r"(?:" + "|".join(LIBRARIES) + r")[/ =-]v?\d",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # So that no request is slow, or too late, because the machine is busy.
    settings = {"slow_request_seconds": 600, "request_seconds": 600, "hsts": True, "log_format": "json"}
    with running(tmp_path_factory.mktemp("enveloped"), **settings) as up:
        yield up


def _lines(service: Service, request_id: str, at_least: int) -> list[dict]:
    """Give the lines of a request; the last is written just after its answer is sent."""

    def lines() -> list[dict]:
        whole = service.log.read_text().rpartition("\n")[0]
        found = [line for line in map(json.loads, whole.splitlines()) if line["request_id"] == request_id]
        return found if len(found) >= at_least else []

    return wait_until(lines, said=service.log.read_text)


ASKED = [
    ("/health/live", None, {}),
    (STATUS, None, {}),
    (PREDICT, BODY, {}),
    (PREDICT, {"instances": [{}]}, {}),
    (PREDICT, {}, {}),
    (PREDICT, BODY, {"x_test_bug": "1"}),
    ("/v1/models/other", None, {}),
    ("/../../etc/passwd", None, {}),
    ("/%00", None, {}),
    ("/docs", None, {}),
    ("/openapi.json", None, {}),
    ("/metrics", None, {}),
    ("/health/live/", None, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "body", "headers"), ASKED)
def test_every_answer_has_its_headers_and_nothing_of_the_inside(
    service: Service, path: str, body: object, headers: dict[str, str]
) -> None:
    answer = service.ask(path, body, **headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert not {"server", "x-powered-by", "location"} & set(answer.headers)
    text = answer.body.decode() if path != "/docs" else ""
    assert INSIDE.findall(f"{answer.headers}\n{text}") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"hallo\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_not_http_is_answered_briefly(service: Service, content: bytes) -> None:
    with service.connect() as connection:
        connection.sendall(content)
        answer = connection.recv(65536).decode()
    assert re.match(r"HTTP/1.1 4\d\d ", answer), answer
    assert len(answer) < 700
    assert INSIDE.findall(answer) == []
    assert "server:" not in answer.lower()


@pytest.mark.slow
def test_a_bug_is_logged_with_its_request_id_and_not_answered(service: Service) -> None:
    answer = service.ask(PREDICT, BODY, x_test_bug="1", x_request_id="of-the-bug")
    assert answer.status == 500
    assert answer.json() == {"error": "the service failed on this request; the reason is in its log"}
    told, line = _lines(service, "of-the-bug", 2)
    assert "RuntimeError: the password is in" in told["exc_info"]
    assert (line["level"], line["status"], line["route"]) == ("WARNING", 500, "/v1/models/{name}:predict")


@pytest.mark.slow
@pytest.mark.parametrize("given", ["a", "A-b_c.1", "x" * 64])
def test_a_well_formed_request_id_is_kept(service: Service, given: str) -> None:
    assert service.ask(STATUS, x_request_id=given).headers["x-request-id"] == given


@pytest.mark.slow
@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"b', "a{b}", "\xe9", "a;b", "../a"])
def test_another_request_id_is_replaced(service: Service, given: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", service.ask(STATUS, x_request_id=given).headers["x-request-id"])


@pytest.mark.slow
def test_a_failed_request_has_one_line_and_others_none(service: Service) -> None:
    service.ask(PREDICT, BODY, x_request_id="quick")
    service.ask("/nowhere\nlevel=ERROR".replace("\n", "%0a"), x_request_id="wrong")
    (wrong,) = _lines(service, "wrong", 1)
    assert (wrong["level"], wrong["logger"], wrong["status"]) == ("INFO", "serving.requests", 404)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", wrong["time"])
    assert "nowhere" not in json.dumps(wrong)
    assert "quick" not in service.log.read_text()


@pytest.mark.parametrize(("seconds", "told"), [(0.25, []), (0.75, [("WARNING", 200, 0.75)])])
def test_a_slow_request_has_a_line(
    tmp_path: Path,
    seconds: float,
    told: list,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = HandClock()
    monkeypatch.setattr(request_context, "perf_counter", clock.perf_counter)

    async def answer_slowly(scope: Scope, receive: Receive, send: Send) -> None:
        clock.forward(seconds)
        await Response("done")(scope, receive, send)

    settings = Settings(root=tmp_path, serving=ServingSettings(slow_request_seconds=0.5))
    with caplog.at_level("INFO", logger="serving.requests"):
        assert TestClient(request_context.RequestContext(answer_slowly, settings)).get(STATUS).status_code == 200
    assert [(line.levelname, line.status, line.seconds) for line in caplog.records] == told


@pytest.mark.slow
def test_the_page_of_the_docs_may_run_its_own_script_and_no_other(service: Service) -> None:
    answer = service.ask("/docs")
    scripts = re.findall(r"<script>(.*?)</script>", answer.body.decode(), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = re.search(r"script-src ([^;]*)", answer.headers["content-security-policy"])
    assert allowed
    assert len(digests) == 1
    assert allowed[1].split() == ["https://cdn.jsdelivr.net", f"'sha256-{digests[0]}'"]
    assert {source.split("/")[2] for source in re.findall(r'(?:src|href)="(https:[^"]+)"', answer.body.decode())} <= {
        "cdn.jsdelivr.net",
        "fastapi.tiangolo.com",
    }


@pytest.mark.slow
def test_no_request_names_a_path_or_an_address(service: Service) -> None:
    api = service.ask("/openapi.json").json()
    fields = api["components"]["schemas"]["Instance"]["properties"]
    texts = [kind for field in fields.values() for kind in field.get("anyOf", [field]) if kind.get("type") == "string"]
    assert all({"pattern", "enum", "format"} & set(kind) for kind in texts)
    assert {kind.get("format", "date-time") for kind in texts} == {"date-time"}
    parameters = [
        item["name"] for path in api["paths"].values() for way in path.values() for item in way.get("parameters", ())
    ]
    assert set(parameters) == {"name"}


def test_the_check_for_what_is_inside_bites() -> None:
    for text in ('  File "x"', "at /usr/lib/x", "uvicorn/0.54", "Python 3.11", "pydantic v2", "errors.py:3"):
        assert INSIDE.search(text), text
    installed = {item.name.lower() for item in distributions()}
    assert set(LIBRARIES) - {"python"} <= installed


@pytest.mark.parametrize(
    ("profile", "log_format", "is_terminal", "expected"),
    [
        ("local", "auto", True, False),
        ("local", "auto", False, True),
        ("stack", "auto", True, True),
        ("local", "json", True, True),
        ("aws", "text", False, False),
    ],
)
def test_logs_are_text_for_a_person_only(
    tmp_path: Path, profile: str, log_format: str, is_terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(root=tmp_path, profile=profile, serving=ServingSettings(log_format=log_format))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert is_json(settings, sys.stderr) is expected
