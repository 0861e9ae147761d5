"""Who gets an answer, of real processes: keys, refused starts, and how often each may ask."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import limits.storage.memory
import limits.strategies
import pytest
from fastapi.testclient import TestClient

from flightline.adapters.model_store.signing_keys import PUBLIC_FILE
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import RequestError, StartError
from flightline.core.settings import ServingSettings, Settings
from pipelines.commands.request import predict
from serving.app import create_app
from serving.middleware import rate_limits
from serving.middleware.api_keys import digest_of, issue_key, last_used, revoke_key
from serving.middleware.auth import check_start, needs_key
from serving.telemetry.metrics import render
from tests.support.servers.service_process import REPOSITORY, Service, environment_of, free_port, running
from tests.support.small_service import INSTANCE, PREDICT, STATUS
from tests.support.waiting import HandClock, wait_until
from tests.toy_problem import make_project

pytestmark = pytest.mark.system
BODY = {"instances": [INSTANCE]}
GUARDED = [STATUS, "/metrics", "/docs", "/openapi.json", "/page/content", "/nowhere"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Service]:
    file = Settings(root=root).api_keys_file
    key = issue_key(file, "team")
    fixed = f'{{"fixed": "{digest_of("fl_fixed")}"}}'
    # Outside of the profile local the service believes no key that is not named.
    named = {
        "FLIGHTLINE_PROFILE": "stack",
        "FLIGHTLINE_SIGNING__PUBLIC_KEY": Settings(root=root).signing_dir / PUBLIC_FILE,
    }
    with running(root, key, api_keys=fixed, **named) as up:
        yield up


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_key_nothing_is_answered(service: Service, path: str) -> None:
    answer = service.ask(path, authorization="")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "API key" in answer.json()["error"]


@pytest.mark.parametrize("path", GUARDED[:-1])
def test_with_a_key_everything_is(service: Service, path: str) -> None:
    assert service.ask(path).status == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_needs_none(service: Service, path: str) -> None:
    assert service.ask(path, authorization="").status == 200


@pytest.mark.parametrize("given", ["Bearer fl_wrong", "Basic dGVhbTp4", "Bearer", "Bearer \xff", "fl_fixed"])
def test_another_credential_is_refused(service: Service, given: str) -> None:
    assert service.ask(PREDICT, BODY, authorization=given).status == 401


@pytest.mark.parametrize("headers", [{"authorization": "bearer fl_fixed"}, {"x_api_key": "fl_fixed"}])
def test_a_key_of_the_settings_is_taken(service: Service, headers: dict[str, str]) -> None:
    service = Service(service.port, service.process, service.log)
    assert service.ask(PREDICT, BODY, **headers).status == 200


def test_make_predict_sends_the_key_it_is_given(service: Service, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(root=root, serving=ServingSettings(port=service.port))
    with pytest.raises(RequestError, match=r"401.*set FLIGHTLINE_API_KEY to a key that `make api-key` issued"):
        predict(make_project(settings), INSTANCE)
    monkeypatch.setenv("FLIGHTLINE_API_KEY", "fl_fixed")
    assert predict(make_project(settings), INSTANCE)["predictions"]


def test_a_new_key_works_and_a_revoked_one_stops_within_seconds(service: Service, root: Path) -> None:
    file = Settings(root=root).api_keys_file
    given = {"authorization": f"Bearer {issue_key(file, 'late')}"}
    wait_until(lambda: service.ask(STATUS, **given).status == 200, said="it works")
    revoke_key(file, "late")
    wait_until(lambda: service.ask(STATUS, **given).status == 401, said="it is revoked")
    assert service.ask(STATUS).status == 200


def test_a_key_is_for_its_scopes_and_the_log_names_it(service: Service, root: Path) -> None:
    file = Settings(root=root).api_keys_file
    given = {"authorization": f"Bearer {issue_key(file, 'narrow', scopes=['predict'])}"}
    answer = wait_until(lambda: (one := service.ask(PREDICT, BODY, **given)).status == 200 and one, said="it works")
    score, metrics = PREDICT.replace(":predict", ":score"), "/metrics"
    for path, body in ((score, {"instances": [{}]}), (score + "%0A", {"instances": [{}]}), (metrics, None)):
        refused = service.ask(path, body, **given)
        assert refused.status == 403, path
        assert "this API key is not for" in refused.json()["error"]
    log = PredictionLog.open(Settings(root=root))
    try:
        (made,) = answer.json()["predictions"]
        assert log.read(ids=[made["prediction_id"]], columns=("caller",))["caller"].tolist() == ["narrow"]
    finally:
        log.close()
    assert last_used(file, "narrow") is not None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    for module in (rate_limits, limits.storage.memory, limits.strategies):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def limited(tmp_path: Path, clock: HandClock) -> TestClient:
    """The service off loopback, with limits, in a test's own process: there the clock is moved by hand."""
    keys = {name: digest_of(f"fl_{name}") for name in ("busy", "team")}
    bounds = ServingSettings(host="192.0.2.1", api_keys=keys, requests_per_minute=20, failed_keys_per_minute=5)
    return TestClient(create_app(make_project(Settings(root=tmp_path, serving=bounds))))


def _asked(client: TestClient, key: str, times: int) -> list[int]:
    return [client.get("/docs", headers={"authorization": f"Bearer {key}"}).status_code for _ in range(times)]


def test_each_key_has_its_own_limit_and_is_told_when_to_come_again(limited: TestClient, clock: HandClock) -> None:
    before = _rate_limited("requests")
    assert _asked(limited, "fl_busy", 23) == [200] * 20 + [429] * 3
    assert _asked(limited, "fl_team", 1) == [200]
    assert _rate_limited("requests") == before + 3
    answer = limited.get("/docs", headers={"authorization": "Bearer fl_busy"})
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 60
    clock.forward(wait + 60)  # a window that slides still counts a part of the one before
    assert _asked(limited, "fl_busy", 2) == [200, 200]


def test_wrong_keys_are_limited_and_right_ones_are_not(limited: TestClient, clock: HandClock) -> None:
    before = _rate_limited("wrong_keys")
    assert _asked(limited, "fl_guess", 7) == [401] * 5 + [429] * 2
    answer = limited.get("/docs", headers={"authorization": "Bearer fl_guess"})
    assert int(answer.headers["retry-after"]) >= 1
    assert _asked(limited, "fl_team", 1) == [200]
    assert _rate_limited("wrong_keys") == before + 3
    clock.forward(120)
    assert _asked(limited, "fl_guess", 1) == [401]


def _rate_limited(reason: str) -> float:
    lines = [line.split() for line in render().decode().splitlines()]
    return sum(float(line[1]) for line in lines if line[0] == f'flightline_rate_limited_total{{why="{reason}"}}')


@pytest.mark.parametrize(
    ("host", "profile", "expected"),
    [
        ("127.0.0.1", "local", False),
        ("localhost", "local", False),
        ("::1", "local", False),
        ("0.0.0.0", "local", True),
        ("", "local", True),
        ("192.168.0.7", "local", True),
        ("127.0.0.1", "stack", True),
        ("127.0.0.1", "aws", True),
    ],
)
def test_only_loopback_in_the_profile_local_needs_no_key(
    tmp_path: Path, host: str, profile: str, expected: bool
) -> None:
    settings = Settings(root=tmp_path, profile=profile, serving=ServingSettings(host=host))
    assert needs_key(settings) is expected
    if expected:
        with pytest.raises(StartError, match="make api-key NAME=team"):
            check_start(settings)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        issue_key(settings.api_keys_file, "gone", expires=yesterday, now=yesterday - timedelta(days=1))
        with pytest.raises(StartError, match="no valid API key"):
            check_start(settings)
        issue_key(settings.api_keys_file, "team")
    check_start(settings)


@pytest.mark.parametrize(
    "changes", [{"host": "0.0.0.0"}, {"FLIGHTLINE_PROFILE": "stack"}, {"FLIGHTLINE_PROFILE": "aws"}]
)
def test_a_start_without_a_key_is_refused_with_the_remedy(tmp_path: Path, changes: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving"],
        cwd=REPOSITORY,
        env=environment_of(tmp_path, port=free_port(), **changes),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "make api-key NAME=team" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / ".state" / "metrics").iterdir()) == []


def test_a_service_without_keys_that_is_bound_elsewhere_stays_shut(tmp_path: Path) -> None:
    app = create_app(make_project(Settings(root=tmp_path)))

    async def from_elsewhere(scope, receive, send):
        await app({**scope, "server": ("10.0.0.5", 80)}, receive, send)

    assert TestClient(from_elsewhere).get("/docs").status_code == 403
    assert TestClient(app).get("/docs").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, 200) for host in ("127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000")),
        *((host, 403) for host in ("site.example:8000", "127.0.0.1.site.example", "10.0.0.5:8000", "")),
    ],
)
def test_a_service_without_keys_answers_no_other_name(tmp_path: Path, host: str, status: int) -> None:
    client = TestClient(create_app(make_project(Settings(root=tmp_path))))
    assert client.get("/docs", headers={"host": host}).status_code == status
