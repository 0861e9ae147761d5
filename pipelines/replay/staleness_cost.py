"""What it costs that the online store lags: the same predictions with features as of the moment they were answered."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flightline.adapters.event_clock import read_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.label_table import read_labels
from flightline.core.prediction_record import from_column, with_answers
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.evaluation.losses import row_losses
from pipelines.common.progress import stage
from pipelines.replay.parity import ROWS_AT_ONCE, answers_of, by_model, model_loader, read_log, requests_of
from pipelines.steps.features import features_as_of


@dataclass(frozen=True)
class StalenessCost:
    """What was answered, beside what would have been answered without any lag.

    Parameters
    ----------
    changed
        Share of them with a feature that would have had another value.
    mean_difference
        Mean absolute difference of the answers, of a multiclass problem over all classes.
    labelled
        How many have a label by the clock.
    loss, fresh_loss
        Mean of the problem's metric by row over those, as answered and without lag.
    """

    predictions: int
    changed: float
    mean_difference: float
    labelled: int
    loss: float
    fresh_loss: float


def measure_staleness_cost(project: Project, rows_at_once: int = ROWS_AT_ONCE) -> StalenessCost:
    """Join logged predictions, so many at a time, with their features as of their clock, and ask their models again."""
    load = model_loader(project)
    parts = [
        _measure(project, with_answers(logged, project.problem.classes), load)
        for logged, _ in read_log(project.settings, rows_at_once=rows_at_once)
        if len(logged)
    ]
    served, answers, is_changed, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    has_label = ~np.isnan(labels)
    losses = [_mean_loss(project.problem, labels[has_label], each[has_label]) for each in (served, answers)]
    difference = float(np.abs(served - answers).mean())
    return StalenessCost(len(labels), float(is_changed.mean()), difference, int(has_label.sum()), *losses)


def _measure(project: Project, logged: pd.DataFrame, load: Callable[[str], ServedModel]) -> tuple[np.ndarray, ...]:
    """Give, row by row, what was answered, what would be, whether a feature differs, and the label."""
    examples = requests_of(project, logged).assign(example_id=logged["prediction_id"], event_timestamp=logged["clock"])
    fresh = features_as_of(project.settings, project.problem, project.requests, examples)
    served = from_column(logged["prediction"])
    answers, is_changed = np.zeros_like(served), np.zeros(len(logged), dtype=bool)
    for rows, model in by_model(logged, load):
        inputs = {name: fresh[name].to_numpy()[rows] for name in model.kinds}
        answers[rows] = answers_of(project.problem, model, inputs)
        is_changed[rows] = _changed(logged.iloc[rows], inputs)
    known = read_labels(project.settings, as_of=read_clock(project.settings), keys=logged["instance_key"])
    labels = logged["instance_key"].map(known.set_index("instance_key")["label"]).to_numpy(dtype=np.float64)
    return served, answers, is_changed, labels


def _changed(logged: pd.DataFrame, inputs: dict[str, np.ndarray]) -> np.ndarray:
    kept = pd.DataFrame(logged["features"].tolist(), columns=list(inputs), dtype=object)
    again = pd.DataFrame({name: values.astype(object) for name, values in inputs.items()})
    is_same = (kept == again) | (kept.isna() & again.isna())
    return ~is_same.all(axis=1).to_numpy()


def _mean_loss(problem: Problem, labels: np.ndarray, predictions: np.ndarray) -> float:
    if not len(labels):
        return float("nan")
    return float(row_losses(problem.task, problem.primary_metric, labels, predictions).mean())


def print_staleness_cost(project: Project) -> None:
    """Measure and print."""
    with stage("staleness cost") as progress:
        cost = measure_staleness_cost(project)
        progress.say(
            f"{cost.changed:.1%} of {cost.predictions:,} predictions have a feature that a store without lag would "
            f"give otherwise; answers differ by {cost.mean_difference:.4f} on average"
        )
        if cost.labelled:
            progress.say(
                f"{project.problem.primary_metric} of {cost.labelled:,} labelled: {cost.loss:.4f} served, "
                f"{cost.fresh_loss:.4f} without lag"
            )
