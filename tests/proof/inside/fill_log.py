"""Runs inside a trained copy: logs predictions of its test window as the service would have.

python -m tests.proof.inside.fill_log [--shift broken | labels]

Shift broken: for the last days some columns are not what they were, and the champion is asked with what comes.
Shift labels: only such rows are logged whose labels are higher than the model expects.
"""

import argparse
import sys

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Problem
from flightline.core.project import open_project
from flightline.inference.predict import predict_with
from flightline.training.splits import split
from tests.proof.inside import champion_rows
from tests.proof.planted import choices
from tests.support.filled_log import fill, logged_rows

ROWS_A_WEEK = 700  # are enough to look at
HIGHEST = 1 / 3


def draw(label: pd.Series, share_drawn: float, residual: np.ndarray | None, problem: Problem) -> np.ndarray:
    """Draw rows; with residuals, such that their labels are higher than the model expects.

    Of a classification, half of the rows drawn are positive or twice the share of before, whichever is less; of any
    other task, the third with the highest residuals is drawn.
    """
    share = np.full(len(label), share_drawn)
    if residual is not None and problem.task == "classification":
        rate = float(label.mean())
        wanted = min(2 * rate, (1 + rate) / 2)
        share[label.to_numpy() == 0] *= rate * (1 - wanted) / (wanted * (1 - rate))
    elif residual is not None:
        share = np.where(residual >= np.quantile(residual, 1 - HIGHEST), 1.0, 0.0)
    return np.random.default_rng(0).random(len(label)) < share


def share_of_week(moments: pd.Series) -> float:
    """Say which share of rows is enough to look at, by their prediction times."""
    return min(1.0, ROWS_A_WEEK * moments.dt.floor("7D").nunique() / len(moments))


def can_breach(examples: pd.DataFrame, problem: Problem) -> bool:
    """Tell whether enough rows would be drawn for the last window, and as many others as a retraining asks for."""
    rule, moments = problem.monitoring, examples["event_timestamp"]
    any_residual = np.random.default_rng(0).random(len(examples))
    drawn = moments[draw(examples[problem.label], share_of_week(moments), any_residual, problem)]
    back = (moments.max().ceil("D") - drawn) // rule.window
    enough = [(back == number).sum() >= rule.min_labels for number in range(rule.windows)]
    return bool(enough[0] and sum(enough) >= rule.breaches)


def residuals(problem: Problem, label: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Give by how much labels are higher than predicted; of a multiclass problem how little the true class was."""
    if problem.classes:
        return 1 - predicted[np.arange(len(label)), label.astype(int)]
    return label - predicted


def break_columns(features: pd.DataFrame, is_hit: pd.Series, columns: dict[str, str]) -> pd.DataFrame:
    """Break a column in each of the ways that were chosen, where `is_hit`."""
    broken = {}
    for way, name in columns.items():
        right = features[name]
        wrong = {
            "rescaled": lambda values: values * 1000 + 1000,
            "stuck": lambda values: pd.Series(values.median(), values.index),
            "missing": lambda values: values.where(values.isna()),
            "unseen": lambda values: values.replace(values.mode()[0], f"{values.mode()[0]}?"),
        }[way](right)
        broken[name] = right.where(~is_hit, wrong)
    return features.assign(**broken)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shift", choices=["broken", "labels"])
    shift = parser.parse_args().shift
    project, chosen = open_project(), choices()
    problem = project.problem
    examples, features = champion_rows.read(project)
    is_test = np.asarray(split(examples, problem.windows)["test"])
    examples, features = examples[is_test], features[is_test]
    model = champion_rows.load(project)
    residual = None
    if shift == "labels":
        residual = residuals(problem, examples[problem.label].to_numpy(float), predict_with(model, problem, features))
    drawn = draw(examples[problem.label], share_of_week(examples["event_timestamp"]), residual, problem)
    examples, features = examples[drawn], features[drawn]
    if shift == "broken":
        broken = chosen["columns_broken"]
        since = pd.Timestamp(broken["since"], tz="UTC")
        features = break_columns(features, examples["event_timestamp"] >= since, broken["columns"])
    predictions = predict_with(model, problem, features)
    version = str(champion_rows.champion_of(project).version)
    fill(project.settings, logged_rows(problem, examples, features, predictions, version))
    print(f"{len(examples):,} predictions logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
