"""Fits from the files of a training set: on the rows that masks name, and on one fold of a search.

Worker processes import this module, so it imports no tool that takes seconds.
"""

import time
from collections.abc import Mapping

import pandas as pd
from joblib import parallel_config

from flightline.adapters.files.parquet_rows import RowsOfFile
from flightline.core.problem_spec import Problem
from flightline.core.settings import Settings
from flightline.training.fit import FittedModel, TrainingParameters, fit
from flightline.training.search import Curve, make_folds, try_on_fold
from flightline.training.zoo.entry import Setting
from pipelines.common.artifacts import TrainingSet


def fit_on(
    settings: Settings,
    problem: Problem,
    parameters: TrainingParameters,
    training_set: TrainingSet,
    examples: pd.DataFrame,
    masks: Mapping[str, pd.Series],
) -> FittedModel:
    """Fit on the rows of a training set that the masks name, with the threads of the settings."""
    with parallel_config(backend="threading", n_jobs=settings.threads):
        return fit(
            parameters,
            RowsOfFile(training_set.features_file),
            examples[problem.label],
            masks,
            task=problem.task,
            metric=problem.primary_metric,
            classes=problem.classes,
        )


def fit_fold(
    problem: Problem,
    parameters: TrainingParameters,
    training_set: TrainingSet,
    settings: Mapping[str, Setting],
    fold: int,
) -> tuple[Curve, float]:
    """Fit settings on a fold; gives the loss by iterations, and the seconds it took."""
    start = time.perf_counter()
    examples = pd.read_parquet(training_set.examples_file)
    curve = try_on_fold(
        parameters,
        settings,
        RowsOfFile(training_set.features_file),
        examples[problem.label],
        make_folds(examples, training_set.windows)[fold],
        task=problem.task,
        metric=problem.primary_metric,
        classes=problem.classes,
    )
    return curve, time.perf_counter() - start
