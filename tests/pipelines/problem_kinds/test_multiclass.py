"""A problem of three classes goes the whole loop: trained, promoted, served, logged, labelled, monitored, rebuilt."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.prediction_log.label_table import record_labels
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog, instance_key
from flightline.core.errors import LogError
from flightline.core.prediction_record import logged_answer
from flightline.core.project import Project
from flightline.core.purpose import Purpose
from flightline.core.settings import Settings
from flightline.monitoring.labels import LABELLED, Label
from flightline.monitoring.replay_plan import Plan
from flightline.promotion.canary import CanarySetting
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines.monitoring import MonitoringResult, run_monitoring
from pipelines.monitoring_steps.champion import find_champion
from pipelines.monitoring_steps.sentences import reasons
from pipelines.promotion_steps.canary_rows import collect_days
from pipelines.promotion_steps.champion import load_version
from pipelines.replay.parity import ParityReport, check_parity
from pipelines.replay.staleness_cost import StalenessCost, measure_staleness_cost
from pipelines.simulation import SimulatedDay, run_simulation
from pipelines.training import TrainingResult, run_training
from tests.support.clones import make_toy_clone
from tests.support.filled_log import fill
from tests.support.small_training_set import run_in_flow
from tests.toy_multiclass import PROBLEM, make_project
from tests.toy_problem import SHOPS

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
DAYS = 8
PURPOSE = Purpose("A shop orders for tomorrow by it.", ("Not for shops that have just opened.",))
BEGIN = PROBLEM.first_clock
PLAN = Plan(BEGIN, BEGIN + timedelta(days=DAYS), timedelta(days=1))


@dataclass
class Lived:
    """What a training and some simulated days came to."""

    trained: TrainingResult
    simulated: Project
    days: list[SimulatedDay]
    monitored: MonitoringResult
    staleness: StalenessCost
    parity: ParityReport


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, server: None) -> Lived:
    package = make_project.__module__
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", package)
        settings = make_toy_clone(tmp_path_factory.mktemp("three clässes")).settings
        project = make_project(settings.model_copy(update={"problem_package": package}))
        project = replace(project, problem=replace(PROBLEM, refit=True, purpose=PURPOSE))
        set_clock(settings, PLAN.end)

        def story() -> Lived:
            trained = run_training(project, TrainingParameters(model="logistic_regression"))
            simulated, days = run_simulation(project, PLAN, read_data_version(settings))
            monitored = run_monitoring(simulated)
            return Lived(
                trained, simulated, days, monitored, measure_staleness_cost(simulated), check_parity(simulated)
            )

        return run_in_flow(story)


def test_a_good_model_is_promoted(lived: Lived) -> None:
    verdict, folder = lived.trained.verdict, lived.trained.evaluation.folder
    assert verdict.decision is Decision.PROMOTE, verdict.reasons
    metrics, baseline = lived.trained.evaluation.metrics, lived.trained.evaluation.baseline_metrics
    assert metrics["log_loss"] < 0.85 * baseline["log_loss"]
    assert {"calibration.png", "confusion.png", "importance.png", "partial_dependence.png"} <= {
        file.name for file in folder.iterdir()
    }
    assert set(pd.read_csv(folder / "calibration.csv")["class"]) == set(PROBLEM.classes)


def test_what_is_served_is_fitted_anew_up_to_the_newest_label(lived: Lived) -> None:
    found, _ = find_champion(lived.simulated)
    assert found.tags["refit_of"] == lived.trained.registered.version


def test_the_cards_say_what_was_judged_and_what_it_is_for(lived: Lived) -> None:
    newest, _ = find_champion(lived.simulated)
    judged = registry.get_version(lived.simulated.settings, PROBLEM.model_name, newest.tags["refit_of"])
    of_judged, of_newest = (load_version(lived.simulated, str(found.version)).card for found in (judged, newest))
    for card in (of_judged, of_newest):
        assert card is not None
        assert PURPOSE.intended_use in card
        assert f"- {PURPOSE.limits[0]}\n" in card
    assert "| log_loss | " in of_judged
    assert all(f"| {name} | " in of_judged for name in PROBLEM.classes)
    assert f"Version {judged.version}, with the same settings, was judged by the gate" in of_newest
    assert "| log_loss | " not in of_newest


def test_every_answer_is_logged_with_its_probabilities(lived: Lived) -> None:
    log = PredictionLog.open(lived.simulated.settings)
    logged = log.read()
    log.close()
    assert len(logged) == sum(day.predictions for day in lived.days) == SHOPS * DAYS
    assert [tuple(given) for given in logged["probabilities"]] == [PROBLEM.classes] * len(logged)
    assert [max(given.values()) for given in logged["probabilities"]] == logged["prediction"].tolist()


def test_what_was_answered_is_rebuilt_and_judged_by_its_labels(lived: Lived) -> None:
    assert lived.parity.mismatches == ()
    assert lived.parity.predictions == SHOPS * DAYS
    assert lived.staleness.labelled == lived.days[-1].labelled > 50
    assert lived.staleness.loss < lived.trained.evaluation.baseline_metrics["log_loss"]


def test_the_monitor_judges_every_class(lived: Lived) -> None:
    decision = lived.monitored.decision
    assert decision.is_judged, reasons(decision)
    assert [each.name for each in decision.latest.criteria] == [
        "promise", "confidence", "slope", "loss", *(f"calibration of {name}" for name in PROBLEM.classes),
        "discrimination",
    ]  # fmt: skip
    assert any("calibration of little kept: the share of the class minus" in reason for reason in reasons(decision))
    assert lived.monitored.page.read_text().count("data:image/png;base64,") >= 5


def live(settings: Settings, noise: dict[str, float], classes: tuple[str, ...] = PROBLEM.classes) -> datetime:
    """Log what two versions said of forty instances on each of six days, each with noise of its own, and the labels."""
    random, rows, labels = np.random.default_rng(0), [], []
    for number in range(240):
        at = datetime(2020, 10, 1, tzinfo=UTC) + timedelta(days=number // 40, minutes=10 * (number % 40))
        keys = {"shop": f"X{number}", "city": "Bergen", "opens": at.isoformat()}
        logits = random.normal(0, 2, 3)
        label = float(random.choice(3, p=np.exp(logits) / np.exp(logits).sum()))
        request = uuid.uuid4().hex
        for version, size in noise.items():
            weights = np.exp(logits + random.normal(0, size, 3))
            prediction, probabilities = logged_answer(classes, (weights / weights.sum()).tolist())
            rows.append(
                LoggedPrediction(
                    prediction_id=uuid.uuid4().hex, request_id=request, logged_at=at, clock=at, prediction_time=at,
                    event_time=at + timedelta(hours=2), instance_key=instance_key(keys), keys=keys, features={},
                    event_timestamps={}, watermarks={}, missing={}, prediction=prediction,
                    model_name=PROBLEM.model_name, model_version=version, feature_service=PROBLEM.feature_service,
                    role="champion" if version == "1" else "shadow", endpoint="predict", probabilities=probabilities,
                )
            )  # fmt: skip
        known = at + timedelta(hours=5)
        labels.append(
            Label(
                instance_key=instance_key(keys), revision=1, outcome=LABELLED, label=label, known_at=known,
                recorded_at=at, clock=known, data_md5="d",
            )
        )  # fmt: skip
    fill(settings, rows)
    record_labels(settings, labels)
    return datetime(2020, 10, 20, tzinfo=UTC)


def test_a_canary_is_judged_by_whole_answers(tmp_path: Path) -> None:
    project = make_project(Settings(root=tmp_path))
    clock = live(project.settings, {"1": 2.0, "2": 0.1})
    setting = CanarySetting(version="2", champion="1", mode="shadow", since=datetime(2020, 10, 1, tzinfo=UTC))
    days = collect_days(project, setting, clock)
    assert [day.pairs for day in days] == [40] * 6
    assert np.mean([day.gain for day in days]) > 0.1


def test_answers_of_other_classes_are_not_compared(tmp_path: Path) -> None:
    project = make_project(Settings(root=tmp_path))
    clock = live(project.settings, {"1": 2.0, "2": 0.1}, ("none", "little", "all"))
    setting = CanarySetting(version="2", champion="1", mode="shadow", since=datetime(2020, 10, 1, tzinfo=UTC))
    with pytest.raises(LogError, match="predictions of other classes than none, little, much"):
        collect_days(project, setting, clock)
