"""Parts of deploying that need no cloud: which plans are refused, what is recorded, and what a smoke test demands."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from tests.support.waiting import HandClock
from tests.toy_problem import PROBLEM
from tools.deploy import checks, images, plan, release, roll_back, rollout, steps
from tools.deploy.environment import Record, Release

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a' * 64}"
FIRST, SECOND, THIRD = (Release(f"r/service@sha256:{one * 64}", f"r/flows@{DIGEST}") for one in "123")


def planned(*changes: tuple[str, str, list[str]]) -> dict:
    return {
        "resource_changes": [
            {
                "address": address,
                "type": kind,
                "mode": "managed",
                "change": {"actions": actions, "before": {"size": 1, "password": "old"}, "after": {"size": 2}},
            }
            for address, kind, actions in changes
        ]
    }


def test_changes_are_told_apart():
    found = plan.changes_of(
        planned(
            ("a.new", "aws_ecs_service", ["create"]),
            ("a.same", "aws_ecs_service", ["no-op"]),
            ("a.moved", "aws_ecs_task_definition", ["delete", "create"]),
            ("a.other", "aws_db_instance", ["update"]),
        )
    )
    assert [(one.address, one.action) for one in found] == [
        ("a.new", "create"),
        ("a.moved", "replace"),
        ("a.other", "update"),
    ]
    assert plan.in_words(found) == "1 to make, 1 to change, 1 to replace"
    plan.refuse_loss(found)


@pytest.mark.parametrize("actions", [["delete"], ["delete", "create"], ["create", "delete"]])
@pytest.mark.parametrize(
    "kind", ["aws_db_instance", "aws_s3_bucket", "aws_kms_key", "aws_elasticache_replication_group"]
)
def test_a_plan_that_loses_data_is_refused(kind, actions):
    with pytest.raises(steps.DeployError, match=r"would lose what holds data:\n.*module.x"):
        plan.refuse_loss(plan.changes_of(planned(("module.x", kind, actions))))


def test_a_plan_as_markdown_holds_fields_and_no_value():
    changes = plan.changes_of(planned(("a.b", "aws_s3_bucket", ["delete"]), ("c.d", "x", ["update"])))
    told = plan.as_markdown("staging", changes)
    assert "| change | `c.d` | password, size |" in told
    assert "refuses this plan" in told
    assert "old" not in told
    assert plan.as_markdown("staging", ()) == "### Plan of `staging`: nothing to change\n"


@pytest.mark.parametrize("text", ["r/service:latest", "r/service@sha256:abc", f"service@{DIGEST}", ""])
def test_an_image_without_host_and_digest_is_refused(text):
    with pytest.raises(steps.DeployError, match="expected host/repository@sha256"):
        images.parse(text)


def test_a_rollback_goes_further_back_each_time():
    record = Record().with_live(FIRST).with_live(SECOND).with_live(SECOND).with_live(THIRD)
    assert [len(record.releases), record.before.service] == [3, SECOND.service]
    back = record.without_live()
    assert (back.live.service, back.before.service) == (SECOND.service, FIRST.service)
    assert back.without_live().before is None
    assert Record().before is None


def test_a_record_from_before_a_renaming_is_read():
    record = Record((FIRST, SECOND), is_filled=True)
    text = json.dumps(asdict(record))
    assert Record.parse(text) == record
    assert Record.parse(text.replace("is_filled", "is_bootstrapped")) == record


def test_of_an_old_release_the_last_are_kept():
    record = Record()
    for number in range(30):
        record = record.with_live(replace(FIRST, flows=f"r/flows@sha256:{number:064d}"))
    assert len(record.releases) == 20


def test_waiting_ends_with_what_was_missing(capsys, monkeypatch):
    monkeypatch.setattr(steps, "time", HandClock())
    with pytest.raises(steps.DeployError, match="services: not so after 60 s: one task"):
        steps.wait_until(lambda: "one task", 60, "services")
    assert capsys.readouterr().out == "     33 s: one task\n"


def test_a_step_that_fails_says_which_and_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(steps, "time", HandClock())
    story = steps.Steps("deploy staging")
    with story.step("images", "push them") as say:
        say("2 found")
    told = r"step 2 \(plan\) failed after 0 s: no bucket\n  do: correct it"
    with pytest.raises(steps.StepError, match=told), story.step("plan", "correct it"):
        raise steps.DeployError("no bucket")
    assert "2 found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seen", "refusal"),
    [
        ({"answers": 500, "errors": 5, "slow": 0.1}, None),
        ({"answers": 500, "errors": 6, "slow": 0.1}, "errors"),
        ({"answers": 500, "errors": 0, "slow": 0.6}, "slow"),
        ({"answers": 0, "errors": 0, "slow": 0.0}, None),
    ],
)
def test_a_canary_is_judged_by_errors_and_latency(seen, refusal):
    if refusal is None:
        assert "answers" in rollout.judge(seen)
        return
    with pytest.raises(steps.DeployError, match=refusal):
        rollout.judge(seen)


class Answers(http.server.BaseHTTPRequestHandler):
    """A service that answers as it is told to."""

    told: ClassVar[dict[str, tuple[int, dict]]] = {}

    def do_GET(self) -> None:  # as below
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.told[self.path]
        self.send_response(status)
        text = json.dumps(body).encode()
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815  # the server looks for this name

    def log_message(self, *given: object) -> None:
        pass


MODEL = f"/v1/models/{PROBLEM.model_name}"
PREDICTED = {"predictions": [{"sold_out": True}]}


@pytest.fixture
def service(monkeypatch):
    """Give what asks a service, and what it is told to answer."""
    status = {"clock": "2013-12-31T12:00:00+00:00", "refused": None, "version": "1"}
    monkeypatch.setattr(Answers, "told", {MODEL: (200, status)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield checks.Service(f"http://127.0.0.1:{server.server_port}", "key"), Answers.told
    server.shutdown()
    server.server_close()


def test_a_smoke_test_counts_predictions(service):
    asked, told = service
    told[f"{MODEL}:predict"] = (200, PREDICTED)
    assert asked.smoke()[0] == checks.PREDICTIONS


@pytest.mark.parametrize("answer", [(500, {}), (200, {"predictions": []}), (302, {}), (503, {"error": "busy"})])
def test_a_smoke_test_refuses_any_other_answer(service, answer):
    asked, told = service
    told[f"{MODEL}:predict"] = answer
    with pytest.raises(steps.DeployError, match="prediction 1 of 20 was answered with"):
        asked.smoke()


def test_slow_predictions_are_refused(service, monkeypatch):
    asked, told = service
    told[f"{MODEL}:predict"] = (200, PREDICTED)
    monkeypatch.setattr(checks, "SLOWEST_SECONDS", 0.0)
    with pytest.raises(steps.DeployError, match="one in twenty predictions takes"):
        asked.smoke()


def test_a_service_is_ready_when_all_who_answer_for_it_are(service, monkeypatch):
    asked, told = service
    answers = iter([(200, {}), (200, {}), (503, {"reason": "no model"})])
    monkeypatch.setattr(Answers, "told", Turns(told, answers))
    assert asked.why_not_ready() == "no model"
    monkeypatch.setattr(Answers, "told", told | {"/health/ready": (200, {})})
    assert asked.why_not_ready() is None


class Turns(dict):
    """What several processes behind one address answer, in turn."""

    def __init__(self, told: dict, answers: Iterator[tuple[int, dict]]) -> None:
        super().__init__(told)
        self.answers = answers

    def __getitem__(self, path: str) -> tuple[int, dict]:
        return next(self.answers) if path == "/health/ready" else super().__getitem__(path)


def test_a_refused_champion_is_the_models_fault(service, monkeypatch):
    asked, told = service
    refused = {"version": "2", "reason": "its signature is wrong"}
    told[MODEL] = (200, {"clock": None, "refused": refused, "version": "1"})
    with pytest.raises(checks.ModelError, match="version 2 is refused: its signature is wrong"):
        asked.demand_champion()
    told["/health/ready"] = (503, {"reason": "no model"})
    monkeypatch.setattr(checks, "REFUSED_SECONDS", -1.0)
    with pytest.raises(checks.ModelError):
        asked.wait_until_ready()


def environment_of(record: Record, changes=()) -> SimpleNamespace:
    """An environment whose plans make the changes that are given, and which says when it applies one."""
    return SimpleNamespace(
        name="staging", session=None, read_record=lambda: record, write_record=lambda _: None, deployment={"url": "u"},
        variables=lambda _: [], plan=lambda _: changes, apply=lambda: print("the apply"),
    )  # fmt: skip


@pytest.fixture
def flows_run(monkeypatch):
    """Nothing but flows that run; every check passes."""
    monkeypatch.setattr(release.passwords, "write", lambda *_, **__: "")
    monkeypatch.setattr(release.images, "demand", lambda *_: None)
    monkeypatch.setattr(release.tasks, "run_flow", lambda _, command, **__: f"after {command[-1]} s: training")
    for module in (release, roll_back):
        monkeypatch.setattr(module, "settle", lambda *_, **__: True)


REPLACED = plan.Change(plan.WORKER, "aws_ecs_service", "update", ("task_definition",))


@pytest.mark.parametrize(
    ("change", "is_said"),
    [
        (REPLACED, True),
        (replace(REPLACED, action="replace", fields=()), True),
        (replace(REPLACED, fields=("tags",)), False),
        (replace(REPLACED, action="create", fields=()), False),
        (replace(REPLACED, address="module.mlflow.aws_ecs_service.this"), False),
    ],
)
def test_a_plan_that_replaces_the_worker_waits_for_its_flows(flows_run, capsys, change, is_said):
    """Also where the images stay and a setting changes."""
    release.deploy(environment_of(Record((FIRST,), is_filled=True), [change]), release.DeployRequest(FIRST))
    said = capsys.readouterr().out
    assert "the apply" in said
    assert ("after 1800 s: training" in said.split("the apply")[0]) is is_said


def test_a_rollback_says_which_flows_it_ends(flows_run, capsys):
    roll_back.roll_images_back(environment_of(Record((FIRST, SECOND), is_filled=True), [REPLACED]), "a test")
    assert "after 0 s: training" in capsys.readouterr().out.split("the apply")[0]


def test_the_worker_is_where_the_plan_is_asked_for_it():
    module, kind, name = plan.WORKER.removeprefix("module.").split(".")
    assert f'module "{module}"' in (ROOT / "infra" / "main.tf").read_text()
    assert f'resource "{kind}" "{name}"' in (ROOT / "infra" / "modules" / module / "main.tf").read_text()


def test_passwords_are_made_anew_with_the_live_images_and_wait_for_flows(monkeypatch, capsys):
    """With a canary beside, half of the answers would know another key."""
    record = Record((FIRST,), is_filled=True)
    environment = SimpleNamespace(
        name="production", session=None, read_record=lambda: record, write_record=lambda _: None,
        deployment={"url": "u"}, variables=lambda _: [],
    )  # fmt: skip
    monkeypatch.setattr(release.images, "demand", lambda *_: None)
    monkeypatch.setattr(release.passwords, "write", lambda *_, anew: print(f"written anew: {anew}") or "")
    monkeypatch.setattr(release, "wait_for_flows", lambda *_: print("waited") or "")
    monkeypatch.setattr(release, "bring", lambda *_: False)
    monkeypatch.setattr(release, "settle", lambda *_, with_restart: print(f"restarted: {with_restart}") or True)
    with pytest.raises(steps.DeployError, match="goes with the images that are live"):
        release.deploy(environment, release.DeployRequest(SECOND, 10, new_secrets=True))
    assert "written" not in capsys.readouterr().out
    release.deploy(environment, release.DeployRequest(FIRST, 10, new_secrets=True))
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line for line in said if line.startswith(("written", "waited", "restarted"))] == [
        "written anew: True", "waited", "restarted: True",
    ]  # fmt: skip


def test_an_image_that_cannot_say_what_runs_holds_no_deployment_up(monkeypatch):
    def fail(*_, **__):
        raise steps.DeployError("task worker ended with 1: no module\n    a log")

    monkeypatch.setattr(release.tasks, "run_flow", fail)
    assert "what runs is ended" in release.wait_for_flows(SimpleNamespace(), 0)
