"""What a change does to the model: two trees' predictions of the same rows, compared; a pure function.

`pipelines/change_report/report.py` trains both; this decides nothing new, but asks the gate what it would say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.lineage import digest_of
from flightline.core.prediction_record import from_column
from flightline.core.problem_spec import Problem
from flightline.core.windows import Interval
from flightline.evaluation.bootstrap import resample_days
from flightline.evaluation.losses import row_losses
from flightline.evaluation.metrics import evaluate, metrics_of
from flightline.promotion.evidence import (
    Cost,
    EvaluationSummary,
    Evidence,
    ExpectedModels,
    RegisteredModel,
    Role,
    summarise_evaluation,
)
from flightline.promotion.gate import Verdict, decide_promotion

RESAMPLES = 200
CONFIDENCE = 0.95
MOST_CHANGED = 10


@dataclass(frozen=True)
class Side:
    """One tree, trained.

    Parameters
    ----------
    facts
        What it was trained on and with, in plain values; see `pipelines/change_report/side.py`.
    rows
        Columns example_id, event_timestamp, label, prediction, baseline, and the keys and slices of the problem.
    """

    facts: Mapping[str, Any]
    rows: pd.DataFrame


@dataclass(frozen=True)
class MetricChange:
    """A metric of both, and their difference (this tree minus its base) with a two-sided interval."""

    name: str
    base: float
    new: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Compared:
    """All that the report shows.

    Parameters
    ----------
    rows
        Test rows that both trees predicted.
    only_new, only_base, relabelled
        Rows that only one of them has, and common ones whose label differs; the new label counts.
    metrics
        Of the common rows.
    verdict
        What the gate would say if the base were champion.
    changed
        The rows whose predictions differ most, with columns base and new.
    is_same
        Whether all predictions are equal, bit by bit.
    """

    rows: int
    only_new: int
    only_base: int
    relabelled: int
    metrics: tuple[MetricChange, ...]
    verdict: Verdict
    changed: pd.DataFrame
    is_same: bool


def compare(problem: Problem, base: Side, new: Side) -> Compared:
    """Compare two trees on the test rows that both have.

    Parameters
    ----------
    problem
        Of the new tree: its windows, slices and thresholds judge both.

    Raises
    ------
    TrainingError
        If they have no row in common.
    """
    both = new.rows.merge(
        base.rows[["example_id", "label", "prediction"]], on="example_id", suffixes=("", "_base"), validate="one_to_one"
    )
    if both.empty:
        raise TrainingError(
            "the two trees have no test row in common, so nothing can be compared; are the windows new?"
        )
    truth = both["label"].to_numpy(dtype=float)
    ours, theirs = from_column(both["prediction"]), from_column(both["prediction_base"])
    is_same = bool(np.array_equal(ours, theirs)) and len(both) == len(new.rows) == len(base.rows)
    return Compared(
        rows=len(both),
        only_new=len(new.rows) - len(both),
        only_base=len(base.rows) - len(both),
        relabelled=int((both["label"] != both["label_base"]).sum()),
        metrics=_metric_changes(problem, truth, ours, theirs, both["event_timestamp"]),
        verdict=_ask_gate(problem, both, base, new),
        changed=_most_changed(problem, both, ours, theirs),
        is_same=is_same,
    )


def _metric_changes(
    problem: Problem, truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray, moments: pd.Series
) -> tuple[MetricChange, ...]:
    """Bound each difference by a paired bootstrap of whole days, as the gate bounds the loss."""
    own, base = metrics_of(problem.task, truth, ours), metrics_of(problem.task, truth, theirs)
    if np.array_equal(ours, theirs):
        return tuple(MetricChange(name, base[name], own[name], 0.0, 0.0) for name in own)
    day, days = pd.factorize(moments.dt.floor("D"), sort=True)
    of_day = [np.flatnonzero(day == number) for number in range(len(days))]
    drawn: dict[str, list[float]] = {name: [] for name in own}
    for times in resample_days(len(days), RESAMPLES).astype(int):
        rows = np.concatenate([np.repeat(of_day[number], count) for number, count in enumerate(times) if count])
        first = metrics_of(problem.task, truth[rows], ours[rows])
        second = metrics_of(problem.task, truth[rows], theirs[rows])
        for name, values in drawn.items():
            values.append(first[name] - second[name])
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    bounds = {name: np.nanquantile(values, ends) for name, values in drawn.items()}
    return tuple(MetricChange(name, base[name], own[name], *map(float, bounds[name])) for name in own)


def _ask_gate(problem: Problem, both: pd.DataFrame, base: Side, new: Side) -> Verdict:
    challenger = _evidence(problem, Role.CHALLENGER, both, "prediction", new)
    champion = _evidence(problem, Role.CHAMPION, both, "prediction_base", base)
    baseline = Evidence(Role.BASELINE, "", "baseline", _summary(problem, both, "baseline"))
    window = Interval(*map(datetime.fromisoformat, new.facts["test_window"]))
    expected = ExpectedModels(_registered(challenger), _registered(champion), window)
    return decide_promotion(
        challenger, baseline, champion, expected, problem.thresholds, primary_metric=problem.primary_metric
    )


def _evidence(problem: Problem, role: Role, both: pd.DataFrame, column: str, side: Side) -> Evidence:
    one, thousand = side.facts["seconds"]
    return Evidence(
        role,
        str(role),
        digest_of(
            from_column(both[column]).tolist()
        ),  # a model file differs from one fit to the next, its predictions do not
        _summary(problem, both, column),
        Cost(one, thousand, side.facts["size_bytes"]),
        datetime.fromisoformat(side.facts["learned_until"]),
    )


def _registered(evidence: Evidence) -> RegisteredModel:
    return RegisteredModel(evidence.version, evidence.model, evidence.summary.losses)


def _summary(problem: Problem, both: pd.DataFrame, column: str) -> EvaluationSummary:
    prediction, slice_by = from_column(both[column]), both[list(problem.slices)]
    evaluation = evaluate(
        problem.task,
        both["example_id"],
        both["label"],
        prediction,
        slice_by,
        problem.thresholds.min_slice_rows,
        problem.classes,
    )
    losses = row_losses(problem.task, problem.primary_metric, both["label"].to_numpy(dtype=float), prediction)
    return summarise_evaluation(evaluation.metrics, evaluation.rows_digest, losses, both["event_timestamp"], slice_by)


def _most_changed(problem: Problem, both: pd.DataFrame, ours: np.ndarray, theirs: np.ndarray) -> pd.DataFrame:
    """Give the rows whose predictions differ most; of a multiclass problem the probability of the true class."""
    if problem.classes:
        row, true = np.arange(len(both)), both["label"].to_numpy(dtype=int)
        ours, theirs = ours[row, true], theirs[row, true]
    named = both.assign(base=theirs, new=ours, change=np.abs(ours - theirs))
    most = named[named["change"] > 0].nlargest(MOST_CHANGED, "change")
    asked = [*dict.fromkeys([*problem.entity_keys, *problem.request_columns])]
    return most[[*(name for name in asked if name in most), "base", "new", "label"]]
