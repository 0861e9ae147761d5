"""Training month after month on the toy problem: windows move with the labels, and a refit learns from the newest."""

from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
import pytest
from prefect import flow

from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.core.project import Project
from flightline.core.windows import MovingWindows
from flightline.evaluation.bootstrap import Improvement
from flightline.promotion.gate import Decision
from pipelines.monitoring_steps.champion import find_judged
from pipelines.promotion_steps import refit as refit_step
from pipelines.promotion_steps.champion import find_champion, load_version
from pipelines.promotion_steps.refit import Trial
from pipelines.steps.summary import TrainingResult
from tests.support.clones import make_toy_clone
from tests.support.models.toy_flow import BOOSTED, toy_training
from tests.toy_problem import PROBLEM

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
WINDOWS = MovingWindows(fit=PROBLEM.windows.fit.start, validation=30, test=45, unit="days")
LATER = PROBLEM.first_clock + timedelta(days=14)


def learned_until(project: Project, version: str) -> datetime:
    found = registry.get_version(project.settings, PROBLEM.model_name, version)
    return datetime.fromisoformat(found.tags["learned_until"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone of the toy problem with windows that move and a refit before serving."""
    made = make_toy_clone(tmp_path_factory.mktemp("moving"))
    return replace(made, problem=replace(PROBLEM, windows=WINDOWS, refit=True))


@pytest.fixture(scope="module")
def first(project: Project, server: None) -> TrainingResult:
    return toy_training(project)


@pytest.fixture(scope="module")
def second(project: Project, first: TrainingResult) -> TrainingResult:
    """Train again two weeks later, when the champion has learned from all that was labelled before."""
    set_clock(project.settings, LATER)
    return toy_training(project, replace(BOOSTED, seed=1))


def test_the_windows_end_with_the_newest_label(first):
    newest = pd.read_parquet(first.training_set.examples_file)["event_timestamp"].max()
    assert first.training_set.windows.test.end == (newest + timedelta(days=1)).normalize()
    assert first.verdict.decision is Decision.PROMOTE


def test_what_is_served_has_learned_up_to_the_newest_label(project, first):
    judged, test = first.registered.version, first.training_set.windows.test
    found = registry.get_version(project.settings, PROBLEM.model_name, "2")
    assert (found.tags["refit_of"], found.tags["verdict"]) == (judged, "PROMOTE")
    newest = pd.read_parquet(first.training_set.examples_file)["event_timestamp"].max()
    assert learned_until(project, judged) < test.start < learned_until(project, "2") == newest
    assert load_version(project, "2").manifest.sha256 == found.tags["model_sha256"]
    assert not [name for name in registry.metrics_of_version(project.settings, found) if name.startswith("test_")]


def test_the_reference_of_a_refit_is_the_model_that_was_judged(project, first):
    champion = registry.get_version(project.settings, PROBLEM.model_name, "2")
    judged = find_judged(project, champion)
    assert str(judged.version) == first.registered.version
    assert find_judged(project, judged) is judged


def test_without_a_later_label_there_is_nothing_to_compare(project, first):
    again = toy_training(project, replace(BOOSTED, seed=2))
    assert again.verdict.decision is Decision.HOLD
    assert "version 2, learned from rows up to" in again.verdict.reasons[1]
    assert "no labelled row is later: there is nothing to compare on" in again.verdict.reasons[1]


def test_later_windows_hold_later_rows(first, second):
    assert second.training_set.windows.test.start - first.training_set.windows.test.start == timedelta(days=14)
    assert second.model.learned_until > first.model.learned_until


def test_models_are_compared_on_rows_that_neither_has_seen(project, second):
    learned = learned_until(project, "2")
    assert second.champion.summary.first_prediction > learned
    assert second.champion.learned_until == learned
    days = next(check for check in second.verdict.checks if check.name == "test days")
    assert days.value == len(second.champion.summary.losses.days) < 45


def test_a_refit_that_newer_rows_make_worse_is_not_served(project, second, monkeypatch, capsys):
    worse = Trial(LATER, 700, Improvement(-0.02, -0.03, -0.01))
    monkeypatch.setattr(refit_step, "try_newer_rows", lambda *_: worse)
    before = find_champion(project).version

    @flow(validate_parameters=False)
    def refit_alone() -> object:
        return refit_step.refit(project, BOOSTED, None, second.training_set, second.model, second.registered)

    assert refit_alone() is None
    assert find_champion(project).version == before
    assert f"newer rows make it worse: version {second.registered.version} stays" in capsys.readouterr().out
