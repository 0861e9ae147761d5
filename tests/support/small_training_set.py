"""A made-up training set for any task, and a flow to run tasks in: no data, no Feast."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from prefect import flow

from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.core.windows import Interval, Windows
from pipelines.common.artifacts import TrainingSet
from tests import toy_problem

ROWS = 2_400
START = datetime(2020, 1, 1, tzinfo=UTC)


def small_problem(task: str) -> Problem:
    """Describe a problem of a task: 60 days to learn from, 20 to choose on, 40 to test on."""
    cuts = [START + timedelta(days=day) for day in (0, 60, 80, 120)]
    windows = Windows(*(Interval(*pair) for pair in pairwise(cuts)))
    metric = "rmse" if task == "regression" else "log_loss"
    return replace(
        toy_problem.PROBLEM, model_name=f"small-{task}", task=task, label="label", slices=("side",),
        primary_metric=metric, windows=windows, entity_keys=("side",), request_columns=(),
        classes=("ebb", "flow", "still") if task == "multiclass" else (),
    )  # fmt: skip


def small_project(settings: Settings, task: str) -> Project:
    """Give the toy project, with the small problem of a task in the place of its own."""
    return replace(toy_problem.make_project(settings), problem=small_problem(task))


def write_training_set(folder: Path, task: str) -> TrainingSet:
    """Write twenty examples a day; the label follows the first number and the side."""
    random = np.random.default_rng(0)
    moments = pd.Series(pd.date_range(START, periods=ROWS, freq="72min"))
    features = pd.DataFrame(
        {
            "first": random.normal(0, 1, ROWS),
            "second": np.where(random.random(ROWS) < 0.2, np.nan, random.normal(0, 1, ROWS)),
            "side": random.choice(["left", "right"], ROWS).astype(object),
        }
    )
    follows = 2 * features["first"] + (features["side"] == "left")
    label = follows + random.normal(0, 0.5, ROWS)
    if task == "classification":
        label = (random.random(ROWS) < 1 / (1 + np.exp(-follows))).astype(float)
    if task == "multiclass":
        weights = np.exp(np.stack([-follows, follows, np.full(ROWS, 0.5)], axis=1))
        chances = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
        label = (random.random(ROWS)[:, None] > chances[:, :2]).sum(axis=1).astype(float)
    examples = pd.DataFrame(
        {
            "example_id": [f"e{row}" for row in range(ROWS)],
            "event_timestamp": moments,
            "label_known_at": moments + pd.Timedelta(hours=1),
            "side": features["side"],
            "label": label,
        }
    )
    folder.mkdir(parents=True)
    examples.to_parquet(folder / "examples.parquet")
    features.to_parquet(folder / "features.parquet")
    return TrainingSet(
        f"key of {task}", folder, ROWS, features.shape[1], {}, small_problem(task).windows.until(moments.max())
    )


@flow(validate_parameters=False)
def run_in_flow(story: Callable[[], object]) -> object:
    """Run tasks as they run in a flow."""
    return story()
