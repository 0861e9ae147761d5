"""The worker for real: a Prefect server, deployments, automations and alerts in processes of their own, on loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, FlowRun
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flightline.adapters import mlflow_registry as registry
from flightline.errors import StartError
from flightline.settings import AlertSettings, PageSettings, ScheduleSettings, Settings
from pipelines.alerts import NO_TARGET, keep_alerts
from pipelines.deployments import FLOWS, describe, make_deployments
from pipelines.prefect_server import find_server, noted, server_program
from pipelines.processes import running
from pipelines.simulated_service import free_port
from pipelines.trigger import trigger
from tests.pipelines.small_worker import MODULE, PROBLEM, root_of

REPOSITORY = Path(__file__).parents[2]
START_SECONDS, RUN_SECONDS, NOTHING_SECONDS = 180, 180, 20
slow = pytest.mark.slow


class Receiver:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        received = self.received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self._server.server_port}/alerts"

    def titles(self) -> list[str]:
        return [one["title"] for one in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Working:
    """A running worker and what belongs to it."""

    settings: Settings
    process: subprocess.Popen
    output: Path
    receiver: Receiver

    @property
    def hold(self) -> Path:
        return root_of(self.settings) / "hold"

    def tell(self, event: str, model: str = PROBLEM.model_name) -> None:
        """Tell of an event in a process of its own, which ends when the server has it."""
        subprocess.run(
            [sys.executable, "-m", MODULE, "tell", event, model], cwd=REPOSITORY, check=True, timeout=120,
            env=os.environ | {"PREFECT_API_URL": str(get_current_settings().api.url), "NO_PROXY": "127.0.0.1"},
        )  # fmt: skip

    def trainings(self) -> list[FlowRun]:
        """Runs that were started by something, not those a schedule has ahead."""
        with get_client(sync_client=True) as client:
            flows = {found.id: found.name for found in client.read_flows()}
            runs = client.read_flow_runs(limit=200)
        return [run for run in runs if flows[run.flow_id] == "training" and not run.auto_scheduled]

    def states(self) -> list[str]:
        return sorted(run.state.type.value for run in self.trainings())


def processes_of(root: Path) -> list[int]:
    """Find every process that was started for a root, by its environment."""
    wanted = f"FLIGHTLINE_ROOT={root}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended, or is another user's
    return [pid for pid in found if pid != os.getpid()]


def wait_until(is_so: Callable[[], object], seconds: float, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.3)


def environment_of(root: Path, port: int, alerts: str) -> dict[str, str]:
    return os.environ | {
        "FLIGHTLINE_ROOT": str(root),
        "FLIGHTLINE_PAGES__PREFECT_PORT": str(port),
        "FLIGHTLINE_ALERTS__URL": alerts,
        "PREFECT_HOME": str(root / ".state" / "prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1",
    }


def start_worker(root: Path, port: int, alerts: str) -> tuple[subprocess.Popen, Path]:
    (root / ".state" / "prefect").mkdir(parents=True, exist_ok=True)
    output = root / "worker.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "work"], cwd=REPOSITORY, env=environment_of(root, port, alerts),
            stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    wait_until(
        lambda: "start one now" in output.read_text() or process.poll() is not None, START_SECONDS, output.read_text
    )
    assert process.poll() is None, output.read_text()
    return process, output


def stop_worker(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Working]:
    root, receiver = tmp_path_factory.mktemp("worker"), Receiver()
    process, output = start_worker(root, free_port(), receiver.url)
    try:
        yield Working(Settings(root=root), process, output, receiver)
    finally:
        stop_worker(process)
        receiver.close()
        assert processes_of(root) == []


@pytest.fixture
def working(started: Working) -> Iterator[Working]:
    with temporary_settings({PREFECT_API_URL: find_server(started.settings).api_url}):
        yield started


@slow
def test_the_worker_says_what_starts_when_and_where_alerts_go(working: Working) -> None:
    said = working.output.read_text()
    assert "training     0 4 * * 1 UTC; after model.decision.retrain; after model.data.new-version" in said
    assert "alerts: retraining asked for, champion kept, flow run failed, by json" in said


@slow
def test_what_is_deployed_is_what_the_settings_say(working: Working) -> None:
    with get_client(sync_client=True) as client:
        training = client.read_deployment_by_name(f"training/{PROBLEM.model_name}")
    assert [item.schedule.cron for item in training.schedules] == [ScheduleSettings().training]
    assert training.global_concurrency_limit.limit == 1
    assert training.concurrency_options.collision_strategy is ConcurrencyLimitStrategy.CANCEL_NEW
    assert not training.paused


@slow
def test_a_decision_to_retrain_starts_one_training_and_a_second_trigger_no_other(working: Working) -> None:
    working.hold.touch()
    trigger(working.settings, PROBLEM, "monitoring")  # a deployed flow tells of the decision
    wait_until(lambda: list(root_of(working.settings).glob("run-*")), RUN_SECONDS, working.output.read_text)
    assert working.states() == ["RUNNING"]
    working.tell("new-data")
    wait_until(lambda: working.states() == ["CANCELLED", "RUNNING"], RUN_SECONDS, working.states)
    working.hold.unlink()
    wait_until(lambda: working.states() == ["CANCELLED", "COMPLETED"], RUN_SECONDS, working.states)
    assert [note.read_text() for note in root_of(working.settings).glob("run-*")] == ["ended"]
    champion = registry.version_of(working.settings, PROBLEM.model_name, registry.CHAMPION)
    assert champion is not None


@slow
def test_the_decision_reached_the_webhook_once(working: Working) -> None:
    wait_until(lambda: working.receiver.titles(), RUN_SECONDS, working.receiver.titles)
    (alert,) = working.receiver.received
    assert alert["title"] == f"{PROBLEM.model_name}: retraining asked for"
    assert alert["message"] == "retrain: made up\nthe loss rose"


@slow
def test_a_new_data_version_starts_a_training_when_none_runs(working: Working) -> None:
    before = len(working.trainings())
    working.tell("new-data")
    wait_until(lambda: working.states().count("COMPLETED") == 2, RUN_SECONDS, working.states)
    assert len(working.trainings()) == before + 1


@slow
@pytest.mark.parametrize(
    ("event", "model"), [("watch", PROBLEM.model_name), ("ok", PROBLEM.model_name), ("retrain", "another-model")]
)
def test_another_decision_or_another_model_starts_nothing(working: Working, event: str, model: str) -> None:
    before = len(working.trainings())
    working.tell(event, model)
    time.sleep(NOTHING_SECONDS / 2)
    assert len(working.trainings()) == before


@slow
def test_what_the_gate_refuses_is_told(working: Working) -> None:
    run_deployment(f"training/{PROBLEM.model_name}", parameters={"model": "base_rate"}, timeout=0)
    wait_until(lambda: "champion kept" in str(working.receiver.titles()), RUN_SECONDS, working.receiver.titles)
    alert = working.receiver.received[-1]
    assert alert["title"] == f"{PROBLEM.model_name}: champion kept"
    assert "REJECT" in alert["message"]


@slow
def test_a_failed_run_is_told(working: Working) -> None:
    trigger(working.settings, PROBLEM, "labels")
    wait_until(lambda: "flow run failed" in str(working.receiver.titles()), RUN_SECONDS, working.receiver.titles)
    message = working.receiver.received[-1]["message"]
    assert "the labels cannot be had" in message
    assert f"{str(get_current_settings().api.url).removesuffix('/api')}/runs/flow-run/" in message


@slow
def test_a_flow_that_is_not_deployed_is_named_with_those_that_are(working: Working) -> None:
    with pytest.raises(StartError, match=r"expected FLOW to be one of: labels, monitoring, training"):
        trigger(working.settings, PROBLEM, "nothing")


@slow
def test_registering_again_makes_nothing_twice(working: Working) -> None:
    def names() -> list[str]:
        with get_client(sync_client=True) as client:
            return sorted(found.name for found in client.read_automations())

    before = names()
    keep_alerts(Settings(root=working.settings.root, alerts=AlertSettings(url=working.receiver.url)), PROBLEM)
    for one in make_deployments(working.settings, PROBLEM, {"training": FLOWS["training"]}):
        one.apply()
    assert names() == before
    assert len(before) == 5


@slow
def test_without_a_target_the_alerts_go_away(working: Working) -> None:
    assert keep_alerts(working.settings, PROBLEM) == NO_TARGET
    before = len(working.receiver.received)
    working.tell("retrain")
    time.sleep(NOTHING_SECONDS)
    with get_client(sync_client=True) as client:
        left = [found.name for found in client.read_automations()]
    assert [name for name in left if "starts training" not in name] == []
    assert len(working.receiver.received) == before


@slow
def test_without_the_automation_nothing_starts(working: Working) -> None:
    """The fault that the tests above must see: the decision is told, and nothing follows."""
    with get_client(sync_client=True) as client:
        for found in client.read_automations():
            client.delete_automation(found.id)
    before = len(working.trainings())
    working.tell("retrain")
    time.sleep(NOTHING_SECONDS)
    assert len(working.trainings()) == before


@slow
def test_stopping_a_worker_ends_its_runs_and_pauses_its_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a training under way, on a server of another process, which keeps the record."""
    settings = Settings(root=tmp_path, pages=PageSettings(prefect_port=free_port()))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with (
        running([server_program(settings)], tmp_path / "logs", START_SECONDS) as (own,),
        noted(settings, own) as server,
        temporary_settings({PREFECT_API_URL: server.api_url}),
    ):
        process, output = start_worker(tmp_path, settings.pages.prefect_port, "")
        working = Working(settings, process, output, Receiver())
        assert f"uses the Prefect server at {server.api_url}" in output.read_text()
        working.hold.touch()
        trigger(settings, PROBLEM, "training")
        wait_until(lambda: list(root_of(settings).glob("run-*")), RUN_SECONDS, output.read_text)
        assert len(processes_of(tmp_path)) >= 3  # the worker, what serves, and the run
        stop_worker(process)
        assert processes_of(tmp_path) == []
        with get_client(sync_client=True) as client:
            assert client.read_deployment_by_name(f"training/{PROBLEM.model_name}").paused
        assert working.states() != ["COMPLETED"]
        working.receiver.close()


@slow
def test_a_worker_ends_when_a_server_it_did_not_start_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(root=tmp_path, pages=PageSettings(prefect_port=free_port()))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with running([server_program(settings)], tmp_path / "logs", START_SECONDS) as (own,), noted(settings, own):
        process, output = start_worker(tmp_path, settings.pages.prefect_port, "")
        own.process.kill()
        own.process.wait()
        assert process.wait(timeout=90) == 1
    assert "which something else started, has ended" in output.read_text()
    assert processes_of(tmp_path) == []


def test_without_a_worker_a_trigger_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="make worker"):
        trigger(Settings(root=tmp_path), PROBLEM, "training")


def test_a_flow_without_a_schedule_starts_only_after_an_event(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, schedules=ScheduleSettings(training="", timezone="Europe/Berlin"))
    said = describe(make_deployments(settings, PROBLEM))
    assert "training     not by itself; after model.decision.retrain; after model.data.new-version" in said
    assert "30 5 * * * Europe/Berlin" in said


@pytest.mark.parametrize("schedules", [{"labels": "hourly"}, {"timezone": "Mars/Olympus"}])
def test_a_schedule_that_is_none_is_refused_by_name(tmp_path: Path, schedules: dict[str, str]) -> None:
    settings = Settings(root=tmp_path, schedules=ScheduleSettings(**schedules))
    with pytest.raises(StartError, match=r"FLIGHTLINE_SCHEDULES__LABELS=.* is no schedule.*five fields of cron"):
        make_deployments(settings, PROBLEM)


def test_an_address_apprise_does_not_know_is_refused_without_its_secret(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, alerts=AlertSettings(url="pigeon://user:secret@loft"), pages=PageSettings())
    with pytest.raises(StartError, match="begins with 'pigeon'") as refused:
        keep_alerts(settings, PROBLEM)
    assert "secret" not in str(refused.value)
