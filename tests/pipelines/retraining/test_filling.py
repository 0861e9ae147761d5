"""The matrix of a small training set: what was known decides, what is unchanged is kept, the page is the same again."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.core.settings import Settings
from flightline.evaluation.losses import row_losses
from flightline.retraining.comparison import compare_policies, default_price
from flightline.training.fit import TrainingParameters
from pipelines.retraining.cut import ANSWERS_FILE, FACTS_FILE, measure_cut
from pipelines.retraining.filling import cut_keys, fill_matrix, retraining_dir, week_keys
from pipelines.retraining.plan import JUDGED_WEEKS, judged_weeks, parameters_of_run, plan_year
from pipelines.retraining.report import LivedYear, write_report
from pipelines.retraining.week import judge_week
from tests.support.small_training_set import START, small_problem, small_project, write_training_set

MODELS = {"classification": "logistic_regression", "regression": "ridge_regression"}
FIRST = START + timedelta(days=61)


def plan_of(folder: Path, task: str):
    parameters = TrainingParameters(model=MODELS[task], calibrations=())
    return plan_year(small_problem(task), f"key of {task}", folder, parameters, FIRST)


@pytest.fixture(scope="module", params=["classification", "regression"])
def filled(request, tmp_path_factory):
    """A project with a small training set, its plan, and its matrix."""
    settings = Settings(root=tmp_path_factory.mktemp("a yéar"), threads=1)
    project = small_project(settings, request.param)
    write_training_set(settings.root / "set", request.param)
    plan = plan_of(settings.root / "set", request.param)
    return project, plan, fill_matrix(project, plan)


def test_each_model_is_judged_on_every_later_week(filled):
    _, plan, (matrix, verdicts) = filled
    assert matrix.size == plan.weeks == 8
    assert np.array_equal(np.isfinite(matrix.weekly), np.triu(np.ones((8, 8), dtype=bool)))
    assert matrix.weekly_rows.tolist() == [140] * 8
    assert sum(verdicts.values()) == 8 * 7 / 2
    later = np.triu(np.ones((8, 8), dtype=bool), 1)
    assert np.isfinite(matrix.drift[later]).all()
    assert ((matrix.drift[later] >= 0) & (matrix.drift[later] <= 1)).all()
    assert np.isfinite(matrix.excess[0, 2:]).all()


def test_a_loss_is_that_of_the_answers_of_the_model(filled):
    project, plan, (matrix, _) = filled
    problem, cut = project.problem, JUDGED_WEEKS + 2
    folder = retraining_dir(project.settings) / "cuts" / cut_keys(problem, plan)[cut][:16]
    examples = pd.read_parquet(plan.folder / "examples.parquet")
    later = examples[examples["event_timestamp"] >= plan.cuts[cut]]
    losses = row_losses(problem.task, problem.primary_metric, later[problem.label], np.load(folder / ANSWERS_FILE))
    week = ((later["event_timestamp"] - plan.cuts[cut]) // timedelta(days=7)).to_numpy()
    assert matrix.weekly[2, 5] == pytest.approx(losses[week == 3].sum())


def test_nothing_is_fitted_again_and_what_is_missing_is(filled, capsys):
    project, plan, (matrix, _) = filled
    files = sorted(retraining_dir(project.settings).glob("cuts/*/answers.npy"))
    before, gone = [file.stat().st_mtime_ns for file in files], files[3]
    content = gone.read_bytes()
    gone.unlink()
    gone.with_name(FACTS_FILE).unlink()
    gone.parent.rmdir()
    again, _ = fill_matrix(project, plan)
    assert gone.read_bytes() == content
    assert [file.stat().st_mtime_ns for file in files if file != gone] == [*before[:3], *before[4:]]
    assert np.array_equal(again.losses, matrix.losses, equal_nan=True)
    assert "1 of 12 to do in 1 process(es) (11 kept from before)" in capsys.readouterr().out


def test_a_threshold_of_the_gate_asks_for_no_fit(filled):
    project, plan, _ = filled
    stricter = replace(project.problem, thresholds=replace(project.problem.thresholds, confidence=0.99))
    keys, again = (cut_keys(problem, plan) for problem in (project.problem, stricter))
    assert keys == again
    assert week_keys(project.problem, keys, [9]) != week_keys(stricter, keys, [9])
    other = replace(plan, parameters=replace(plan.parameters, seed=1))
    assert not set(keys) & set(cut_keys(project.problem, other))


def test_the_same_seed_gives_the_same_bytes(filled, tmp_path):
    project, plan, (matrix, verdicts) = filled
    for name in ("once", "twice"):
        compared = compare_policies(matrix, default_price(matrix), seed=3)
        write_report(LivedYear(project.problem, plan, "1", matrix, verdicts, compared), tmp_path / name)
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("once", "twice")
    )
    assert first == second
    assert set(first) == {"page.html", "replay.png", "policies.csv", "weeks.csv", "replay.json"}
    record = json.loads(first["replay.json"])
    assert [each["policy"] for each in record["policies"]].count("learned") == 2
    page = first["page.html"].decode()
    assert page.index("<figure") < page.index("<table")
    assert "best with hindsight" in page
    assert (tmp_path / "latest_page.html").read_bytes() == first["page.html"]


def test_labels_that_come_later_change_nothing(tmp_path):
    """At a decision, neither fit, gate nor monitor see what is known only afterwards: here labels take three days."""
    task = "classification"
    decision, problem = JUDGED_WEEKS + 3, small_problem(task)
    found = []
    for name in ("as it was", "spoiled"):
        write_training_set(tmp_path / name, task)
        file = tmp_path / name / "examples.parquet"
        examples = pd.read_parquet(file)
        examples["label_known_at"] += timedelta(days=3)
        plan = plan_of(tmp_path / name, task)
        examples.to_parquet(file)
        if name == "spoiled":
            unknown = examples["label_known_at"] >= plan.cuts[decision]
            examples.loc[unknown, "label"] = 1 - examples.loc[unknown, "label"]
            examples.to_parquet(file)
        folders = tuple(tmp_path / f"{name} {number}" for number in range(decision + 1))
        for cut, folder in zip(plan.cuts, folders, strict=False):
            measure_cut(problem, problem.monitoring, plan, cut, folder)
        week = judge_week(problem, plan, decision, folders[:decision], tmp_path / f"{name}.json")
        found.append((week.read_text(), *((folder / ANSWERS_FILE).read_bytes() for folder in folders)))
    assert found[0] == found[1]
    assert unknown[examples["event_timestamp"] < plan.cuts[decision]].sum() == 60


def test_too_few_weeks_are_refused(tmp_path):
    training_set = write_training_set(tmp_path / "set", "regression")
    with pytest.raises(TrainingError, match="a replay needs 8 weeks"):
        plan_year(
            small_problem("regression"), "key", training_set.folder, TrainingParameters(), START + timedelta(days=90)
        )


def test_where_labels_take_weeks_models_are_judged_longer_before_a_decision():
    daily, weekly = (pd.Series(pd.date_range(START, periods=40, freq=freq)) for freq in ("D", "7D"))
    problem = small_problem("classification")
    slow = replace(problem, monitoring=replace(problem.monitoring, label_delay=timedelta(days=29)))
    assert judged_weeks(problem, daily) == 4
    assert judged_weeks(slow, daily) == 4 + 4
    assert judged_weeks(slow, weekly) == 10 + 4  # the gate asks for ten days


def test_without_a_label_by_then_nothing_is_judged_and_nothing_breaks(tmp_path):
    problem, task = small_problem("regression"), "regression"
    write_training_set(tmp_path / "set", task)
    plan = plan_of(tmp_path / "set", task)
    examples = pd.read_parquet(tmp_path / "set" / "examples.parquet")
    examples["label_known_at"] += timedelta(days=30)
    examples.to_parquet(tmp_path / "set" / "examples.parquet")
    folders = tuple(tmp_path / f"cut {number}" for number in range(6))
    for folder in folders:
        measure_cut(problem, problem.monitoring, plan, plan.cuts[folders.index(folder)], folder)
    found = json.loads(judge_week(problem, plan, 6, folders, tmp_path / "week.json").read_text())
    assert {(each["gate"], each["fires"], each["excess"]) for each in found.values()} == {("HOLD", False, None)}


def test_the_settings_of_a_run_are_read_back():
    logged = {
        "model": "hist_gradient_boosting", "seed": "3", "chosen.max_iter": "90", "chosen.learning_rate": "0.1",
        "calibration": "sigmoid", "pca_components": "None", "kmeans_segments": "8", "max_iterations": "140",
    }  # fmt: skip
    parameters = parameters_of_run(logged)
    assert dict(parameters.settings) == {"max_iter": 90, "learning_rate": 0.1}
    assert (parameters.seed, parameters.calibrations) == (3, ("sigmoid",))
    assert parameters.steps() == {"kmeans_segments": 8}
