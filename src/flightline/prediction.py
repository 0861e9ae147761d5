"""What a model answers, by the kind of problem: the one place that says which method is asked.

Training, evaluation, tuning, explanations and the service all ask here.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.quick_encoding import QuickEncoder
from flightline.specification import Task

Method = Literal["predict_proba", "predict"]
METHODS: Mapping[Task, Method] = {"classification": "predict_proba", "regression": "predict"}


def predict(task: Task, pipeline: Pipeline, features: pd.DataFrame) -> np.ndarray:
    """Predict for each row.

    Returns
    -------
    ndarray of float64, shape (n,)
        The probability of 1 in a classification, the value in a regression.
    """
    return answer_of(task, getattr(pipeline, METHODS[task])(features))


def predict_columns(
    task: Task, pipeline: Pipeline, quick: QuickEncoder | None, columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Predict for rows given by column, past the frame where the pipeline allows it.

    Parameters
    ----------
    quick
        Of this pipeline, or None.
    columns
        The columns of the pipeline in their order, each of shape (n,): float64, or object for text.

    Returns
    -------
    ndarray of float64, shape (n,)
        As `predict` gives it for the same rows in a frame.
    """
    if quick is None:
        return predict(task, pipeline, pd.DataFrame(columns, copy=False))
    return answer_of(task, getattr(pipeline[-1], METHODS[task])(quick.encode(columns)))


def answer_of(task: Task, given: np.ndarray) -> np.ndarray:
    """Take the answer from what a method of `METHODS` gives.

    Examples
    --------
    >>> answer_of("classification", np.array([[0.75, 0.25]])).tolist()
    [0.25]
    """
    return np.asarray(given[:, 1] if task == "classification" else given, dtype=np.float64)
