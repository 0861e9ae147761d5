"""Metrics with their intervals, of each kind of problem."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.problem_spec import Problem
from flightline.evaluation.bootstrap import daily_losses
from flightline.evaluation.losses import row_losses
from flightline.evaluation.metrics import evaluate, metrics_of
from flightline.promotion.evidence import summarise_evaluation
from pipelines.evaluation_steps.held_out import METRICS_FILE, SLOPES_FILE, with_bounds, write_metrics
from tests import toy_multiclass, toy_problem, toy_regression

PROBLEMS = {each.PROBLEM.task: each.PROBLEM for each in (toy_problem, toy_multiclass, toy_regression)}
ROWS = 1200


def rows_of(problem: Problem) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Make up labels of thirty days, and predictions that know half of them."""
    random = np.random.default_rng(0)
    times = pd.Series(pd.date_range("2020-06-01", periods=ROWS, freq="36min", tz="UTC"))
    hidden = random.normal(0, 1, ROWS)
    truth = hidden + random.normal(0, 1, ROWS)
    if problem.task == "regression":
        return times, truth, hidden
    chance = 1 / (1 + np.exp(-hidden))
    if problem.task == "classification":
        return times, (random.random(ROWS) < chance).astype(float), chance
    shares = np.stack([chance, (1 - chance) / 2, (1 - chance) / 2], axis=1)
    label = (random.random(ROWS)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return times, label.astype(float), shares


@pytest.mark.parametrize("task", list(PROBLEMS))
def test_every_metric_lies_in_its_interval(task: str, tmp_path: Path) -> None:
    problem = PROBLEMS[task]
    times, label, predicted = rows_of(problem)
    metrics = metrics_of(problem.task, label, predicted)
    write_metrics(problem, tmp_path, times, label, predicted, metrics, {problem.primary_metric: 9.0})
    table = pd.read_csv(tmp_path / METRICS_FILE).set_index("metric")
    assert set(table.index) == {*metrics, "gap", "slope"}
    assert table.loc[problem.primary_metric, "baseline"] == 9.0
    bounded = table.drop(index=[name for name in ("ece", "calibration_error") if name in table.index])
    assert bounded[["lower", "upper"]].notna().all(axis=None)
    assert bounded["value"].between(bounded["lower"], bounded["upper"]).all()


@pytest.mark.parametrize("task", list(PROBLEMS))
def test_the_slope_of_a_month_that_is_predicted_too_boldly_is_below_the_others(task: str, tmp_path: Path) -> None:
    problem = PROBLEMS[task]
    times, label, predicted = rows_of(problem)
    is_late = times >= times[0] + pd.Timedelta(days=15)
    bold = 3 * predicted if task == "regression" else predicted**3
    bold = bold / bold.sum(axis=1, keepdims=True) if task == "multiclass" else bold
    if task == "classification":
        bold = bold / (bold + (1 - predicted) ** 3)
    predicted[is_late] = bold[is_late]
    write_metrics(problem, tmp_path, times + pd.Timedelta(days=15), label, predicted, {}, {})
    slopes = pd.read_csv(tmp_path / SLOPES_FILE).set_index("month")
    assert list(slopes.index) == ["2020-06", "2020-07"]
    assert slopes["rows"].sum() == ROWS
    assert slopes.loc["2020-07", "upper"] < slopes.loc["2020-06", "lower"]
    assert slopes.loc["2020-06", "lower"] < slopes.loc["2020-06", "value"] < slopes.loc["2020-06", "upper"]


def test_the_loss_of_a_smaller_slice_is_less_certain() -> None:
    problem = replace(PROBLEMS["regression"], primary_metric="rmse")
    times, label, predicted = rows_of(problem)
    losses = row_losses("regression", "rmse", label, predicted)
    is_few = np.arange(ROWS) % 10 == 0
    days = {
        f"size={name}": daily_losses(times[here], losses[here]) for name, here in (("few", is_few), ("all", ~is_few))
    }
    found = with_bounds(problem, pd.DataFrame({"slice": "size", "value": ["few", "all"], "rmse": [1.0, 1.0]}), days)
    few, many = (found["upper"] - found["lower"]).tolist()
    assert few > 2 * many
    assert found.loc[1, "lower"] < np.sqrt(losses[~is_few].mean()) < found.loc[1, "upper"]
    assert with_bounds(problem, found.head(0), {}).empty


def test_slices_may_be_numbers_moments_and_texts_beside_each_other() -> None:
    problem = PROBLEMS["classification"]
    times, label, predicted = rows_of(problem)
    parity = np.arange(ROWS) % 2
    slices = pd.DataFrame(
        {
            "whole": parity,
            "part": parity + 0.5,
            "moment": pd.Timestamp("2020-06-01") + pd.to_timedelta(parity, unit="D"),
            "text": np.where(parity == 1, "NA", None),
        }
    )
    losses = row_losses(problem.task, problem.primary_metric, label, predicted)
    judged = evaluate(problem.task, times, pd.Series(label), predicted, slices, 100)
    summary = summarise_evaluation(judged.metrics, judged.rows_digest, losses, times, slices)
    bounded = with_bounds(problem, judged.slices, summary.slices)
    assert bounded["value"].tolist()[:4] == ["0", "1", "0.5", "1.5"]
    assert bounded["log_loss"].between(bounded["lower"], bounded["upper"]).tolist() == [True] * 8
