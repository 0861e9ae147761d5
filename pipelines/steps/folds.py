"""The fit of one fold of a search, from the files of a training set.

Worker processes import this module, so it imports no tool that takes seconds.
"""

import time
from collections.abc import Mapping

import pandas as pd

from flightline.adapters.files.parquet_rows import RowsOfFile
from flightline.core.problem_spec import Problem
from flightline.training.fit import TrainingParameters
from flightline.training.search import Curve, make_folds, try_on_fold
from flightline.training.zoo.entry import Setting
from pipelines.common.artifacts import TrainingSet


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
