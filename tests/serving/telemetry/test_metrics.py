"""What Prometheus reads from a real service of two workers, and each function that counts."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.telemetry.metrics_folder import VARIABLES, shared_metrics
from tests.support.servers.service_process import REPOSITORY, Answer, Service, environment_of, running
from tests.support.small_service import INSTANCE, PREDICT
from tests.support.waiting import wait_until

WORKERS = 2
# What those do whose callers live in other processes or modules: the model sync and the log.
CALLERS = """
from datetime import UTC, datetime
from serving.telemetry.metrics import *
record_refused_model("model"); record_refused_model("move")
record_log_write(0.02, 3); record_log_failure(); set_log_free_bytes(12)
set_served("shadow", "7", datetime(2026, 1, 1, tzinfo=UTC)); set_served("shadow", "8")
record_features([{"seats": "stale"}, {"seats": "stale", "mean_units": "no value"}], [{"recent": 30}, {"recent": 5000}])
record_rows("score", 40, "8", "shadow")
print(render().decode())
"""


@pytest.fixture(scope="module")
def began() -> float:
    return datetime.now(UTC).timestamp()


@pytest.fixture(scope="module")
def service(began: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("measured"), workers=WORKERS) as up:
        yield up


def _pids(service: Service) -> set[int]:
    (folder,) = _folders(service)
    return {int(file.stem.rsplit("_", 1)[1]) for file in folder.glob("gauge_livesum_*.db")} - {service.process.pid}


def _folders(service: Service) -> list[Path]:
    return list((service.log.parent / ".state" / "metrics").iterdir())


@pytest.mark.system
def test_counts_are_those_of_all_workers_whoever_answers(service: Service, began: float) -> None:
    before = service.metrics().get('flightline_rows_total{endpoint="predict"}', 0)
    for rows in range(1, 21):
        assert service.ask(PREDICT, {"instances": [INSTANCE] * rows}).status == 200
    answers = [service.metrics() for _ in range(6)]
    assert {answer['flightline_rows_total{endpoint="predict"}'] - before for answer in answers} == {210}
    metrics = answers[-1]
    assert metrics['flightline_predictions_total{role="champion",version="3"}'] - before == 210
    assert metrics['flightline_features_missing_total{feature="plan",reason="after the clock"}'] - before == 210
    assert metrics['flightline_feature_age_seconds_bucket{le="600.0",view="recent"}'] >= 1
    assert metrics['flightline_model_workers{role="champion",version="3"}'] == WORKERS
    served = metrics['flightline_model_timestamp_seconds{role="champion"}']
    assert began <= served <= datetime.now(UTC).timestamp()
    # A request is counted, and no longer active, when its answer has left: its caller may be faster.
    answered = 'flightline_request_seconds_count{route="/v1/models/{name}:predict",status="200"}'
    wait_until(lambda: service.metrics()[answered] >= 20, said=answered)


@pytest.mark.system
def test_what_a_client_sends_becomes_no_label(service: Service) -> None:
    for path in ("/v1/models/made-up", "/made/up", "/v1/models/made-up:predict", "/%6dade-up"):
        assert service.ask(path).status == 404
    metrics = service.metrics()
    assert [name for name in metrics if "made" in name] == []
    unknown = 'flightline_request_seconds_count{route="none",status="404"}'
    wait_until(lambda: service.metrics().get(unknown, 0) >= 2, said=unknown)


@pytest.mark.system
def test_a_killed_worker_is_dropped_from_gauges_and_kept_in_counts(service: Service) -> None:
    service.ask(PREDICT, {"instances": [INSTANCE]})
    before = service.metrics()
    killed = min(_pids(service))
    os.kill(killed, signal.SIGKILL)

    def is_replaced() -> bool:
        metrics = service.metrics()
        return metrics["flightline_workers"] == metrics["flightline_workers_ready"] == WORKERS

    # Asked for its metrics, a worker first removes those of the dead.
    wait_until(lambda: is_replaced() and killed not in _pids(service), said="it is replaced")
    metrics = service.metrics()
    assert killed not in _pids(service)
    assert metrics["flightline_workers"] == metrics["flightline_workers_ready"] == WORKERS
    assert metrics['flightline_model_workers{role="champion",version="3"}'] == WORKERS
    wait_until(lambda: service.metrics()["flightline_requests_active"] == 1, said="only the one that asks is active")
    rows = 'flightline_rows_total{endpoint="predict"}'
    assert metrics[rows] >= before[rows]


@pytest.mark.system
def test_any_worker_says_so_while_another_is_not_ready(service: Service) -> None:
    (folder,) = _folders(service)
    code = "from serving.telemetry.metrics import set_ready; set_ready(False); print('', flush=True); input()"
    environment = environment_of(service.log.parent) | dict.fromkeys(VARIABLES, str(folder))
    command = [sys.executable, "-c", code]
    other = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout
        other.stdout.readline()
        # Each worker keeps what it found for a second, and the next answer may be another's.
        found: list[Answer] = []

        def all_say_so() -> bool:
            found[:] = [service.ask("/health/ready") for _ in range(6)]
            return {one.status for one in found} == {503}

        wait_until(all_say_so, said="any of them says so")
        assert {"1 of 3 workers cannot predict" in one.json()["reason"] for one in found} == {True}
    finally:
        other.kill()
        other.communicate()
    wait_until(lambda: service.ask("/health/ready").status == 200, said="those that run can")


@pytest.mark.system
def test_a_file_that_a_killed_worker_had_only_begun_hides_nothing(service: Service) -> None:
    (folder,) = _folders(service)
    for name in ("counter_1.db", "gauge_livesum_999999999.db", "histogram_1.db"):
        (folder / name).touch()
    assert service.metrics()["flightline_workers"] == WORKERS
    for name in ("counter_1.db", "histogram_1.db"):
        (folder / name).unlink()


@pytest.mark.system
def test_another_process_of_the_service_adds_to_them(service: Service) -> None:
    (folder,), before = _folders(service), service.metrics()
    environment = environment_of(service.log.parent) | dict.fromkeys(VARIABLES, str(folder))
    command = [sys.executable, "-c", CALLERS + "input()"]
    other = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout
        other.stdout.readline()
        metrics = service.metrics()
        assert metrics["flightline_models_refused_total"] == 2
        assert metrics['flightline_model_refused{about="move"}'] == 1
        assert metrics['flightline_model_refused{about="model"}'] == 0
        for name, added in (("flightline_log_write_seconds_count", 1), ("flightline_log_rows_total", 3)):
            assert metrics[name] == before[name] + added
        assert metrics["flightline_log_failures_total"] == 1
        assert metrics['flightline_log_free_bytes{log="predictions"}'] == 12
        assert metrics["flightline_workers"] == WORKERS
        assert metrics['flightline_model_workers{role="shadow",version="8"}'] == 1
        assert metrics['flightline_model_workers{role="shadow",version="7"}'] == 0
        assert metrics['flightline_features_missing_total{feature="seats",reason="stale"}'] == 2
        assert metrics['flightline_feature_age_seconds_bucket{le="10800.0",view="recent"}'] >= 1
        assert metrics['flightline_rows_total{endpoint="score"}'] == 40
    finally:
        other.kill()
        other.communicate()
    after = service.metrics()
    assert (after['flightline_model_refused{about="move"}'], after["flightline_models_refused_total"]) == (0, 2)


def _python(code: str, root: Path, **more: str) -> str:
    command = [sys.executable, "-c", code]
    environment = environment_of(root, **more)
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout


AFTER_FEAST = (
    "import os\n"
    "from pathlib import Path\n"
    "from serving.telemetry.metrics_folder import shared_metrics\n"
    "with {entered} as folder:\n"
    "    import feast.metrics\n"
    "    from serving.telemetry.metrics import record_rows, render\n"
    "    record_rows('predict', 5, '1', 'champion')\n"
    "    print(os.environ['PROMETHEUS_MULTIPROC_DIR'])\n"
    "    print([line for line in render().decode().splitlines() if line.startswith('flightline_rows_total')])\n"
)


@pytest.mark.system
def test_feast_does_not_take_the_metrics_elsewhere(tmp_path: Path) -> None:
    told = _python(
        AFTER_FEAST.format(entered="shared_metrics(Path.cwd().joinpath(os.environ['M']))"), tmp_path, M=str(tmp_path)
    )
    folder, rows = told.splitlines()
    assert Path(folder).parent == tmp_path
    assert rows == "['flightline_rows_total{endpoint=\"predict\"} 5.0']"


@pytest.mark.system
def test_without_the_folder_feast_would(tmp_path: Path) -> None:
    told = _python("from contextlib import nullcontext\n" + AFTER_FEAST.format(entered="nullcontext()"), tmp_path)
    assert "feast_metrics_" in told


def test_folders_of_ended_services_are_removed_and_others_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:  # whatever Feast set in this process is there again afterwards
        monkeypatch.delenv(variable, raising=False)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = os.uname().nodename
    for name in (f"{host}-{ended.pid}", f"{host}-{os.getppid()}", f"elsewhere-{ended.pid}"):
        (tmp_path / name).mkdir()
    with shared_metrics(tmp_path) as folder:
        assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)
        assert {entry.name for entry in tmp_path.iterdir()} == {
            f"{host}-{os.getppid()}",
            f"elsewhere-{ended.pid}",
            folder.name,
        }
    assert not folder.exists()
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
