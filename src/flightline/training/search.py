"""Tuning: which settings are searched, and the time-ordered folds they are judged on.

The folds lie before the test window; it is never read here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.core.windows import Interval, Windows
from flightline.training.fit import Features, TrainingParameters, validation_losses
from flightline.training.splits import rows_in
from flightline.training.zoo import ZOO, find_model
from flightline.training.zoo.entry import Range, Setting

FOLDS = 3
Curve = Mapping[int, float]


@dataclass(frozen=True)
class Fold:
    """Rows to fit on, and the later rows to judge on."""

    before: pd.Series
    later: pd.Series


@dataclass(frozen=True)
class Tried:
    """What settings came to.

    Parameters
    ----------
    loss
        Mean over the folds.
    iterations
        The number at which it is least.
    """

    loss: float
    iterations: int


def space_of(task: Task, model: str) -> Mapping[str, Range]:
    """Give the settings to search for a model.

    Raises
    ------
    TrainingError
        If none are known.
    """
    if not (space := find_model(task, model).space):
        raise TrainingError(f"there is no search space for {model!r}, only for: {', '.join(with_space(task))}")
    return space


def with_space(task: Task) -> list[str]:
    """Name the models of a task that have settings to search."""
    return [name for name, model in ZOO[task].items() if model.space]


def forward_chain(windows: Windows, count: int = FOLDS) -> list[tuple[Interval, Interval]]:
    """Cut the later half of the time before the test into parts, each judged by a model of all before it.

    Parameters
    ----------
    windows
        Of the problem; only what lies before the test is used.
    count
        How many parts, of equal length.

    Returns
    -------
    list of tuple
        What to fit on, and what to judge on.
    """
    start, end = windows.fit.start, windows.validation.end
    middle = start + (end - start) / 2
    step = (end - middle) / count
    cuts = [middle + step * part for part in range(count)] + [end]
    return [(Interval(start, cut), Interval(cut, following)) for cut, following in pairwise(cuts)]


def make_folds(examples: pd.DataFrame, windows: Windows, count: int = FOLDS) -> list[Fold]:
    """Mark the labelled rows of each fold; what is fitted on was known when the later part began.

    Raises
    ------
    TrainingError
        If a fold has no rows.
    """
    folds = []
    for before, later in forward_chain(windows, count):
        fold = Fold(
            rows_in(examples, before, known_before=pd.Timestamp(later.start)),
            rows_in(examples, later, known_before=pd.Timestamp(windows.test.start)),
        )
        if not (fold.before.any() and fold.later.any()):
            raise TrainingError(f"no labelled example to tune on lies in {before} or {later}; add data")
        folds.append(fold)
    return folds


def try_on_fold(
    parameters: TrainingParameters,
    settings: Mapping[str, Setting],
    features: Features,
    label: pd.Series,
    fold: Fold,
    *,
    task: Task,
    metric: str,
    classes: Sequence[str] = (),
) -> Curve:
    """Judge settings on a fold.

    Parameters
    ----------
    parameters
        Model, seed and the most iterations.
    settings
        To be judged.
    features, label
        Row by row with the fold.
    fold
        As `make_folds` gives it.
    task, metric, classes
        Of the problem.

    Returns
    -------
    dict
        The loss by iterations.
    """
    chosen = replace(parameters, settings=tuple(settings.items()))
    tried = validation_losses(
        chosen, features, label, fold.before, fold.later, task=task, metric=metric, classes=classes
    )
    return {int(str(settings["max_iter"])): loss for settings, loss in tried}


def best_iterations(curves: Sequence[Curve]) -> Tried:
    """Choose the iterations at which the mean loss over the folds is least.

    A fold that was given up early says nothing of what lies beyond.

    Examples
    --------
    >>> best_iterations([{10: 0.5, 20: 0.4, 30: 0.45}, {10: 0.6, 20: 0.6}])
    Tried(loss=0.5, iterations=20)
    """
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    means = {iterations: float(np.mean([curve[iterations] for curve in curves])) for iterations in common}
    least = min(means, key=lambda iterations: means[iterations])
    return Tried(means[least], least)
