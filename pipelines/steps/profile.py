"""What the service tells of a model, written beside its evaluation."""

import math
from pathlib import Path

import pandas as pd

from flightline.adapters.model_store.profile import PROFILE_FILE, CalibrationBin, HeldOutResult, ModelProfile
from flightline.core.problem_spec import Problem
from flightline.evaluation.metrics import Evaluation
from flightline.inference.contributions import typical_values

TAIL = 0.05


def write_profile(
    problem: Problem,
    folder: Path,
    examples: pd.DataFrame,
    features: pd.DataFrame,
    test: HeldOutResult | None,
) -> None:
    """Write what a model learned from, and how it was judged.

    Parameters
    ----------
    examples, features
        What it learned from, row by row.
    test
        See `held_out_result`; None if nothing is left to judge it on.
    """
    label, times = examples[problem.label].astype(float), examples["event_timestamp"]
    is_regression = problem.task == "regression"
    profile = ModelProfile(
        begins=times.min(),
        ends=times.max(),
        rows=len(examples),
        typical=typical_values(features),
        base_rates={} if is_regression else base_rates(problem, label),
        usual_range=tuple(label.quantile([TAIL, 0.5, 1 - TAIL])) if is_regression else None,
        test=test,
    )
    (folder / PROFILE_FILE).write_text(profile.model_dump_json(indent=2), encoding="utf-8")


def base_rates(problem: Problem, label: pd.Series) -> dict[str, float]:
    """Give the share of rows with label 1, or of each class."""
    if problem.task == "multiclass":
        return {name: float((label == number).mean()) for number, name in enumerate(problem.classes)}
    return {problem.label: float(label.mean())}


def held_out_result(problem: Problem, examples: pd.DataFrame, evaluation: Evaluation) -> HeldOutResult:
    """Give what an evaluation came to; a metric that nothing can be said of is None."""
    times, bins = examples["event_timestamp"], evaluation.calibration
    names = problem.classes or (problem.label,)
    tables = {name: bins[bins["class"] == name].drop(columns="class") if problem.classes else bins for name in names}
    return HeldOutResult(
        begins=times.min(),
        ends=times.max(),
        rows=evaluation.rows,
        metrics={name: value if math.isfinite(value) else None for name, value in evaluation.metrics.items()},
        calibration={
            name: tuple(CalibrationBin(**row) for row in table.to_dict("records")) for name, table in tables.items()
        },
    )
