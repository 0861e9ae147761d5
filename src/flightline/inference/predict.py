"""What a model answers, by the kind of problem: the one place that says which method is asked.

Training, evaluation, tuning, explanations and the service all ask here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Problem, Task
from flightline.inference.fast_pipeline import FastPipeline, Row

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Method = Literal["predict_proba", "predict"]
METHODS: Mapping[Task, Method] = {
    "classification": "predict_proba",
    "multiclass": "predict_proba",
    "regression": "predict",
}


def predict(task: Task, pipeline: "Pipeline", features: pd.DataFrame) -> np.ndarray:
    """Predict for each row.

    Returns
    -------
    ndarray of float64, shape (n,)
        The probability of 1 in a classification, the value in a regression. In a multiclass problem shape (n, classes):
        the probability of each class, in the order of `Problem.classes`.
    """
    return answer_of(task, getattr(pipeline, METHODS[task])(features))


def predict_with(model: "Pipeline", problem: Problem, features: pd.DataFrame) -> np.ndarray:
    """Predict with the columns the model takes, whatever else the frame holds.

    Raises
    ------
    TrainingError
        Naming the columns that the frame lacks.
    """
    names = list(model.feature_names_in_)
    if absent := [name for name in names if name not in features]:
        raise TrainingError(
            f"it takes {', '.join(absent)}, which the training set has no more: a feature was renamed or left out since"
        )
    return predict(problem.task, model, features[names])


def predict_rows(
    task: Task, pipeline: "Pipeline", fast_pipeline: FastPipeline | None, kinds: Mapping[str, str], rows: Sequence[Row]
) -> np.ndarray:
    """Predict for rows in plain values, past frames where the pipeline allows it.

    Parameters
    ----------
    fast_pipeline
        Of this pipeline, or None.
    kinds
        By column of the pipeline, in their order: float64 or str.
    rows
        Each with all columns; None is missing.

    Returns
    -------
    ndarray of float64
        As `predict` gives it for the same rows in a frame.
    """
    if fast_pipeline is not None:
        return answer_of(task, fast_pipeline.predict(METHODS[task], rows))
    columns = {name: [row[name] for row in rows] for name in kinds}
    types = {name: np.float64 if kind == "float64" else object for name, kind in kinds.items()}
    arrays = {name: np.array(values, dtype=types[name]) for name, values in columns.items()}
    return predict(task, pipeline, pd.DataFrame(arrays, copy=False))


def answer_of(task: Task, output: np.ndarray) -> np.ndarray:
    """Take the answer from what a method of `METHODS` gives.

    Examples
    --------
    >>> answer_of("classification", np.array([[0.75, 0.25]])).tolist()
    [0.25]
    """
    return np.asarray(output[:, 1] if task == "classification" else output, dtype=np.float64)
