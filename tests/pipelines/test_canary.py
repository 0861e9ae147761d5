"""The canary from log to decision, on a real registry, log and flow: it promotes, watches, drops and rolls back."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.canary_record import TAG, read_canary, write_canary
from flightline.adapters.mlflow.champion_moves import last_move
from flightline.adapters.model_store.canary_setting import SETTING_FILE, canary_folder, read_setting
from flightline.adapters.model_store.served_model import current_manifest
from flightline.adapters.prediction_log.challenger_counts import add_counts
from flightline.adapters.prediction_log.label_table import record_labels
from flightline.adapters.prediction_log.log import LoggedPrediction, instance_key
from flightline.core.errors import RegistryError
from flightline.core.problem_spec import Canary
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.monitoring.labels import LABELLED, Label
from flightline.promotion.canary import Action, CanaryDecision, ChallengerCounts
from pipelines import canary
from pipelines.canary import judge_canary, start_canary
from pipelines.commands.model_sync import ModelSync
from tests.support.filled_log import fill
from tests.support.models.small_registry import crown, register
from tests.support.small_service import INSTANCE, KINDS, fitted
from tests.support.small_training_set import run_in_flow
from tests.toy_problem import PROBLEM, make_project

pytestmark = pytest.mark.system
SMALL = replace(PROBLEM, canary=Canary(max_days=60))
START = datetime(2020, 10, 1, tzinfo=UTC)
DELAY = timedelta(days=4)  # of labels, and of the day's own end


@pytest.fixture
def settings(server: None, tmp_path: Path) -> Settings:
    """A registry with a champion, version 1, and another version, 2."""
    settings = Settings(root=tmp_path)
    set_clock(settings, START)
    crown(settings, register(settings, fitted(KINDS)))
    register(settings, fitted(KINDS, is_contrary=True))
    return settings


def small(settings: Settings) -> Project:
    return replace(make_project(settings), problem=SMALL)


def live(
    settings: Settings, days: int, noise: dict[str, float], first: datetime = START, with_labels: bool = True
) -> None:
    """Log what versions said of the same forty instances a day, each with noise of its own, and what became of them."""
    random = np.random.default_rng(days)
    rows, labels = [], []
    for number in range(days * 40):
        at = first + timedelta(days=number // 40, minutes=10 * (number % 40))
        keys = INSTANCE | {"shop": f"X{number}", "opens": at.isoformat()}
        odds = random.normal(-1, 1.5)
        label = float(random.random() < 1 / (1 + np.exp(-odds)))
        request = uuid.uuid4().hex
        for version, size in noise.items():
            said = 1 / (1 + np.exp(-odds - random.normal(0, size)))
            rows.append(
                LoggedPrediction(
                    prediction_id=uuid.uuid4().hex, request_id=request, logged_at=at, clock=at, prediction_time=at,
                    event_time=at + timedelta(hours=2), instance_key=instance_key(keys), keys=keys, features={},
                    event_timestamps={}, watermarks={}, missing={}, prediction=float(said),
                    model_name=PROBLEM.model_name, model_version=version, feature_service=PROBLEM.feature_service,
                    role="champion" if version == next(iter(noise)) else "shadow", endpoint="predict",
                )
            )  # fmt: skip
        labels.append(
            Label(
                instance_key=instance_key(keys), revision=1, outcome=LABELLED, label=label,
                known_at=at + timedelta(hours=5), recorded_at=at, clock=at + timedelta(hours=5), data_md5="d",
            )
        )  # fmt: skip
    fill(settings, rows)
    if with_labels:
        record_labels(settings, labels)
    set_clock(settings, first + timedelta(days=days) + DELAY)


def judge(settings: Settings) -> CanaryDecision | None:
    return run_in_flow(lambda: judge_canary(small(settings)))


def champion(settings: Settings) -> str:
    return str(registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version)


def start(settings: Settings, version: str = "2") -> None:
    start_canary(small(settings), version, "shadow", 0.0)


def test_a_champion_that_came_while_it_was_judged_is_not_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(*given: object) -> CanaryDecision:
        crown(settings, third)
        return canary_rule(*given)

    canary_rule, third = canary.decide_canary, register(settings, fitted(KINDS))
    start(settings)
    live(settings, 45, {"1": 1.5, "2": 0.1})
    monkeypatch.setattr(canary, "decide_canary", decide)
    with pytest.raises(RegistryError, match="compared with version 1, and champion stands at version 3 by now"):
        judge(settings)
    assert champion(settings) == third


def test_a_better_challenger_is_promoted_and_the_old_one_shadows(settings: Settings) -> None:
    start(settings)
    live(settings, 45, {"1": 1.5, "2": 0.1})
    decision = judge(settings)
    assert decision.action is Action.PROMOTE, decision
    assert champion(settings) == "2"
    move = last_move(settings, PROBLEM.model_name)
    assert (move["by"], move["from_version"], move["to_version"]) == ("canary", "1", "2")
    assert "credibly better" in move["why"]
    guard = read_canary(settings, PROBLEM.model_name)
    assert (guard.version, guard.champion, guard.mode, guard.purpose) == ("1", "2", "shadow", "rollback")
    (file,) = (settings.state_dir / "canary").rglob("*.json")
    record = json.loads(file.read_text())
    assert len(record["days"]) == record["judged_days"] == 45
    assert record["decision"]["lower"] > 0
    assert registry.get_version(settings, PROBLEM.model_name, "2").tags["canary"] == "promote"
    client = registry.connect(settings)
    (run,) = client.search_runs([client.get_experiment_by_name(f"{PROBLEM.model_name}-canary").experiment_id])
    assert run.data.params["action"] == "promote"
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["decision.json"]


def test_a_champion_that_turns_out_worse_is_rolled_back(settings: Settings) -> None:
    start(settings)
    live(settings, 45, {"1": 1.5, "2": 0.1})
    judge(settings)
    later = read_canary(settings, PROBLEM.model_name).since
    live(settings, 45, {"2": 1.5, "1": 0.1}, first=later + timedelta(days=1))
    decision = judge(settings)
    assert decision.action is Action.PROMOTE, decision
    assert champion(settings) == "1"
    assert last_move(settings, PROBLEM.model_name)["by"] == "rollback"
    assert read_canary(settings, PROBLEM.model_name) is None


def test_a_new_champion_that_holds_is_left_alone(settings: Settings) -> None:
    crown(settings, "2")
    start(settings, "1")
    assert read_canary(settings, PROBLEM.model_name).purpose == "rollback"
    live(settings, 45, {"2": 0.1, "1": 1.5})
    assert judge(settings).action is Action.DROP
    assert champion(settings) == "2"
    assert read_canary(settings, PROBLEM.model_name) is None


def test_a_worse_challenger_is_dropped(settings: Settings) -> None:
    start(settings)
    live(settings, 45, {"1": 0.1, "2": 1.5})
    decision = judge(settings)
    assert decision.action is Action.DROP
    assert "credibly worse" in decision.summary
    assert champion(settings) == "1"
    assert read_canary(settings, PROBLEM.model_name) is None


@pytest.mark.parametrize("with_labels", [True, False])
def test_too_few_labels_decide_nothing(settings: Settings, with_labels: bool) -> None:
    start(settings)
    live(settings, 45 if not with_labels else 4, {"1": 1.5, "2": 0.1}, with_labels=with_labels)
    decision = judge(settings)
    assert decision.action is Action.WATCH
    assert decision.judged_days == (4 if with_labels else 0)
    assert (champion(settings), read_canary(settings, PROBLEM.model_name).version) == ("1", "2")


def test_labels_after_the_clock_are_not_used(settings: Settings) -> None:
    start(settings)
    live(settings, 45, {"1": 1.5, "2": 0.1})
    set_clock(settings, START + timedelta(days=5))
    assert judge(settings).judged_days <= 2


def test_one_that_is_no_better_is_dropped_in_the_end(settings: Settings) -> None:
    start(settings)
    live(settings, 60, {"1": 0.3, "2": 0.3})
    decision = judge(settings)
    assert decision.action is Action.DROP
    assert "not credibly better after 60 days" in decision.summary


@pytest.mark.parametrize("counts", [{"failed": 30}, {"slow": 100}])
def test_errors_and_latency_drop_it_at_once(settings: Settings, counts: dict) -> None:
    start(settings)
    setting = read_canary(settings, PROBLEM.model_name)
    live(settings, 1, {"1": 1.5, "2": 0.1})
    for _ in range(2):
        add_counts(settings, setting, ChallengerCounts(asked=500, **{name: n // 2 for name, n in counts.items()}))
    decision = judge(settings)
    assert decision.action is Action.DROP
    assert "of 1,000 rows" in decision.summary
    assert read_canary(settings, PROBLEM.model_name) is None


def test_begun_again_it_is_counted_anew(settings: Settings) -> None:
    start(settings)
    live(settings, 1, {"1": 1.5, "2": 0.1})
    add_counts(settings, read_canary(settings, PROBLEM.model_name), ChallengerCounts(asked=100, failed=100))
    start(settings)
    assert judge(settings).action is Action.WATCH


def test_a_canary_beside_another_champion_ends(settings: Settings) -> None:
    start(settings)
    crown(settings, register(settings, fitted(KINDS)))
    assert judge(settings) is None
    assert read_canary(settings, PROBLEM.model_name) is None
    assert judge(settings) is None, "and there is none to judge"


def test_the_watcher_brings_the_challenger_and_takes_it_away(settings: Settings) -> None:
    sync, folder = ModelSync(make_project(settings)), canary_folder(settings)
    start(settings, "")
    setting = read_canary(settings, PROBLEM.model_name)
    assert setting.version == "2", "the one with the alias challenger"
    register(settings, fitted(KINDS))  # a training goes on, and moves the alias
    sync.poll()
    assert read_setting(folder) == setting
    assert current_manifest(folder).version == "2"
    assert current_manifest(settings.serving_models_dir).version == "1"
    write_canary(settings, PROBLEM.model_name, None)
    sync.poll()
    assert read_setting(folder) is None


def test_a_challenger_with_another_digest_is_not_brought(settings: Settings) -> None:
    registry.tag_version(settings, PROBLEM.model_name, "2", {"model_sha256": "0" * 64})
    start(settings)
    ModelSync(make_project(settings)).poll()
    assert not (canary_folder(settings) / SETTING_FILE).exists()
    assert current_manifest(settings.serving_models_dir).version == "1"


@pytest.mark.parametrize(
    ("version", "mode", "share", "reason"),
    [("1", "shadow", 0, "the champion itself"), ("9", "shadow", 0, "no version 9"), ("2", "split", 0.6, "got mode")],
)
def test_what_cannot_be_started_says_why(settings: Settings, version: str, mode: str, share: float, reason: str):
    with pytest.raises(RegistryError, match=reason):
        start_canary(small(settings), version, mode, share)


def test_a_rejected_version_runs_only_if_one_says_so(settings: Settings, monkeypatch, capsys) -> None:
    tags = {"verdict": "REJECT", "verdict_reasons": "brier is above its ceiling"}
    registry.tag_version(settings, PROBLEM.model_name, "2", tags)
    with pytest.raises(RegistryError, match=r"the gate rejected version 2 \(brier is above .* VERSION=2 ANYWAY=yes"):
        start(settings)
    assert read_canary(settings, PROBLEM.model_name) is None
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    assert canary.main(["start", "--version", "2", "--anyway"]) == 0
    assert "version 2 runs beside champion version 1" in capsys.readouterr().out


def test_a_tag_that_is_no_setting_says_what_to_do(settings: Settings) -> None:
    registry.connect(settings).set_registered_model_tag(PROBLEM.model_name, TAG, "shadow please")
    with pytest.raises(RegistryError, match="make canary-stop"):
        read_canary(settings, PROBLEM.model_name)


def test_the_command_line_starts_and_stops(settings: Settings, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    monkeypatch.setattr(canary, "by_hand", begun := Mock())
    assert canary.main(["judge"]) == 0
    assert ("no canary runs" in capsys.readouterr().out, begun.called) == (True, False)  # and so no server is started
    assert canary.main(["start", "--version", "2", "--mode", "split", "--share", "0.1"]) == 0
    assert "split, 10% of the instances" in capsys.readouterr().out
    assert read_canary(settings, PROBLEM.model_name).share == 0.1
    assert canary.main(["judge"]) == 0
    begun.assert_called_once_with(canary.canary)
    assert canary.main(["stop"]) == 0
    assert read_canary(settings, PROBLEM.model_name) is None
