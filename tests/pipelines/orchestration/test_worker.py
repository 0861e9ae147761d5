"""The worker for real: a Prefect server, deployments, automations and alerts in processes of their own, on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.deployments import run_deployment
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from flightline.adapters.mlflow import registry
from flightline.adapters.ports import free_port
from flightline.core.errors import StartError
from flightline.core.settings import AlertSettings, PageSettings, ScheduleSettings, Settings
from pipelines.common.servers.prefect_server import find_server, noted, server_program
from pipelines.common.servers.processes import running
from pipelines.orchestration.alerts import NO_TARGET, keep_alerts
from pipelines.orchestration.deployments import describe, make_deployments
from pipelines.orchestration.running import running_flows, wait_for_flows
from pipelines.orchestration.trigger import trigger
from tests.pipelines.orchestration.running_worker import (
    RARELY,
    SCHEDULES,
    START_SECONDS,
    Receiver,
    Working,
    processes_of,
    start_worker,
    stop_worker,
)
from tests.support.models.small_flows import FLOWS, PROBLEM, root_of, small_project
from tests.support.waiting import wait_until

RUN_SECONDS = 600
system = pytest.mark.system


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Working]:
    root, receiver = tmp_path_factory.mktemp("the wörker"), Receiver()
    process, output = start_worker(root, free_port(), receiver.url)
    try:
        yield Working(Settings(root=root, schedules=SCHEDULES), process, output, receiver)
    finally:
        stop_worker(process)
        receiver.close()
        assert processes_of(root) == []


@pytest.fixture
def working(started: Working) -> Iterator[Working]:
    with temporary_settings(find_server(started.settings).client_settings):
        yield started


def crons() -> list[str]:
    with get_client(sync_client=True) as client:
        return [item.schedule.cron for each in client.read_deployments() for item in each.schedules]


@system
def test_the_worker_says_what_starts_when_and_where_alerts_go(working: Working) -> None:
    said = working.output.read_text()
    assert f"training     {RARELY} UTC; after model.decision.retrain; after model.data.new-version" in said
    assert "alerts: retraining asked for, champion kept, flow run failed, by json" in said


@system
def test_what_is_deployed_is_what_the_settings_say(working: Working) -> None:
    assert crons() == [RARELY] * len(FLOWS)
    with get_client(sync_client=True) as client:
        training = client.read_deployment_by_name(f"training/{PROBLEM.model_name}")
    assert training.global_concurrency_limit.limit == 1
    assert training.concurrency_options.collision_strategy is ConcurrencyLimitStrategy.CANCEL_NEW
    assert not training.paused


@system
def test_a_decision_to_retrain_starts_one_training_only(working: Working) -> None:
    working.hold.touch()
    trigger(small_project(working.settings), "monitoring")  # a deployed flow tells of the decision
    wait_until(lambda: list(root_of(working.settings).glob("run-*")), RUN_SECONDS, working.output.read_text)
    assert working.states() == ["RUNNING"]
    working.tell("new-data")
    wait_until(lambda: working.states() == ["CANCELLED", "RUNNING"], RUN_SECONDS, working.states)
    working.hold.unlink()
    wait_until(lambda: working.states() == ["CANCELLED", "COMPLETED"], RUN_SECONDS, working.states)
    assert [note.read_text() for note in root_of(working.settings).glob("run-*")] == ["ended"]
    champion = registry.version_of(working.settings, PROBLEM.model_name, registry.CHAMPION)
    assert champion is not None


@system
def test_the_decision_reached_the_webhook_once(working: Working) -> None:
    wait_until(lambda: working.receiver.titles(), RUN_SECONDS, working.receiver.titles)
    (alert,) = working.receiver.received
    assert alert["title"] == f"{PROBLEM.model_name}: retraining asked for"
    assert alert["message"] == "retrain: made up\nthe loss rose"


@system
def test_a_deployment_waits_for_what_runs_or_says_what_it_ends(working: Working) -> None:
    before = working.states().count("COMPLETED")
    working.hold.touch()
    trigger(small_project(working.settings), "training")
    wait_until(lambda: running_flows(PROBLEM), RUN_SECONDS, working.output.read_text)
    assert wait_for_flows(PROBLEM, seconds=0).startswith("ends after 0 s of waiting: training (")

    def let_it_end(_: float) -> None:
        working.hold.unlink(missing_ok=True)
        wait_until(lambda: not running_flows(PROBLEM), RUN_SECONDS, working.output.read_text)

    assert wait_for_flows(PROBLEM, seconds=RUN_SECONDS, sleep=let_it_end) == "no flow runs"
    assert working.states().count("COMPLETED") == before + 1


@system
def test_a_new_data_version_starts_a_training_when_none_runs(working: Working) -> None:
    before = len(working.trainings())
    working.tell("new-data")
    wait_until(lambda: working.states().count("COMPLETED") == 3, RUN_SECONDS, working.states)
    assert len(working.trainings()) == before + 1


@system
def test_another_decision_or_another_model_starts_nothing(working: Working) -> None:
    before, ended = len(working.trainings()), working.states().count("COMPLETED")
    for event, model in (("watch", PROBLEM.model_name), ("ok", PROBLEM.model_name), ("retrain", "another-model")):
        working.tell(event, model)
    # Events are taken in their order: when what this one starts has ended, the others have had their effect.
    working.tell("new-data")
    wait_until(lambda: working.states().count("COMPLETED") == ended + 1, RUN_SECONDS, working.states)
    assert len(working.trainings()) == before + 1


@system
def test_what_the_gate_refuses_is_told(working: Working) -> None:
    run_deployment(f"training/{PROBLEM.model_name}", parameters={"model": "base_rate"}, timeout=0)
    wait_until(lambda: "champion kept" in str(working.receiver.titles()), RUN_SECONDS, working.receiver.titles)
    alert = working.receiver.received[-1]
    assert alert["title"] == f"{PROBLEM.model_name}: champion kept"
    assert "REJECT" in alert["message"]


@system
def test_a_failed_run_is_told(working: Working) -> None:
    trigger(small_project(working.settings), "labels")
    wait_until(lambda: "flow run failed" in str(working.receiver.titles()), RUN_SECONDS, working.receiver.titles)
    message = working.receiver.received[-1]["message"]
    assert "the labels cannot be had" in message
    assert f"{str(get_current_settings().api.url).removesuffix('/api')}/runs/flow-run/" in message


@system
def test_a_flow_that_is_not_deployed_is_named_with_those_that_are(working: Working) -> None:
    with pytest.raises(StartError, match=r"expected FLOW to be one of: labels, monitoring, training"):
        trigger(small_project(working.settings), "nothing")


@system
def test_registering_again_makes_nothing_twice(working: Working) -> None:
    def names() -> list[str]:
        with get_client(sync_client=True) as client:
            return sorted(found.name for found in client.read_automations())

    before = names()
    alerting = Settings(root=working.settings.root, alerts=AlertSettings(url=working.receiver.url))
    keep_alerts(small_project(alerting))
    for one in make_deployments(small_project(working.settings), FLOWS):
        one.apply()
    assert names() == before
    assert len(before) == 5
    assert crons() == [RARELY] * len(FLOWS)


@system
def test_without_a_target_the_alerts_go_away(working: Working) -> None:
    assert keep_alerts(small_project(working.settings)) == NO_TARGET
    before, ended = len(working.receiver.received), working.states().count("COMPLETED")
    working.tell("retrain")
    # What starts trainings is still there, and is told of the same decision.
    wait_until(lambda: working.states().count("COMPLETED") == ended + 1, RUN_SECONDS, working.states)
    with get_client(sync_client=True) as client:
        left = [found.name for found in client.read_automations()]
    assert [name for name in left if "starts training" not in name] == []
    assert len(working.receiver.received) == before


@system
def test_without_the_automation_nothing_starts(working: Working) -> None:
    """The fault that the tests above must see: the decision is told, and nothing follows."""
    with get_client(sync_client=True) as client:
        for found in client.read_automations():
            client.delete_automation(found.id)
    keep_alerts(small_project(Settings(root=working.settings.root, alerts=AlertSettings(url=working.receiver.url))))
    before, told = len(working.trainings()), len(working.receiver.received)
    working.tell("retrain")
    wait_until(lambda: len(working.receiver.received) > told, RUN_SECONDS, working.receiver.titles)
    assert len(working.trainings()) == before


@system
def test_stopping_a_worker_ends_its_runs_and_pauses_its_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a training under way, on a server of another process, which keeps the record."""
    settings = Settings(root=tmp_path, pages=PageSettings(prefect_port=free_port()))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with (
        running([server_program(settings)], tmp_path / "logs", START_SECONDS) as (own,),
        noted(settings, own) as server,
        temporary_settings(server.client_settings),
    ):
        process, output = start_worker(tmp_path, settings.pages.prefect_port, "")
        working = Working(settings, process, output, Receiver())
        assert f"uses the Prefect server at {server.api_url}" in output.read_text()
        working.hold.touch()
        trigger(small_project(settings), "training")
        wait_until(lambda: list(root_of(settings).glob("run-*")), RUN_SECONDS, output.read_text)
        assert len(processes_of(tmp_path)) >= 3  # the worker, what serves, and the run
        stop_worker(process)
        assert processes_of(tmp_path) == []
        with get_client(sync_client=True) as client:
            assert client.read_deployment_by_name(f"training/{PROBLEM.model_name}").paused
        assert working.states() != ["COMPLETED"]
        working.receiver.close()


@system
def test_a_worker_ends_when_a_server_it_did_not_start_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(root=tmp_path, pages=PageSettings(prefect_port=free_port()))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with running([server_program(settings)], tmp_path / "logs", START_SECONDS) as (own,), noted(settings, own):
        process, output = start_worker(tmp_path, settings.pages.prefect_port, "")
        own.process.kill()
        own.process.wait()
        assert process.wait(timeout=RUN_SECONDS) == 1
    assert "which something else started, has ended" in output.read_text()
    assert processes_of(tmp_path) == []


def test_a_server_that_does_not_answer_holds_no_deployment_up() -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert wait_for_flows(PROBLEM, seconds=600).startswith("Prefect does not say what runs (")


def test_without_a_worker_a_trigger_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="make worker"):
        trigger(small_project(Settings(root=tmp_path)), "training")


def test_a_flow_without_a_schedule_starts_only_after_an_event(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, schedules=ScheduleSettings(training="", timezone="Europe/Berlin"))
    said = describe(make_deployments(small_project(settings)))
    assert "training     not by itself; after model.decision.retrain; after model.data.new-version" in said
    assert "30 5 * * * Europe/Berlin" in said


@pytest.mark.parametrize(
    ("schedules", "name"), [({"labels": "hourly"}, "LABELS"), ({"timezone": "Mars/Olympus"}, "MATERIALISE")]
)
def test_a_schedule_that_is_none_is_refused_by_name(tmp_path: Path, schedules: dict[str, str], name: str) -> None:
    settings = Settings(root=tmp_path, schedules=ScheduleSettings(**schedules))
    with pytest.raises(StartError, match=rf"FLIGHTLINE_SCHEDULES__{name}=.* is no schedule.*five fields of cron"):
        make_deployments(small_project(settings))


def test_an_address_unknown_to_apprise_is_refused_without_its_secret(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, alerts=AlertSettings(url="pigeon://user:secret@loft"), pages=PageSettings())
    with pytest.raises(StartError, match="begins with 'pigeon'") as refused:
        keep_alerts(small_project(settings))
    assert "secret" not in str(refused.value)
