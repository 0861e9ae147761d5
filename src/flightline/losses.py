"""The loss of each row, in the metric the champion is defended in: what two models are compared by."""

from collections.abc import Callable, Mapping

import numpy as np

from flightline.errors import TrainingError

RowLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def log_loss_rows(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Give -log of the probability that was given to what happened, in nats.

    Probabilities are kept off 0 and 1 by the machine epsilon, as scikit-learn does, so that
    the mean is its `log_loss`.

    Examples
    --------
    >>> log_loss_rows(np.array([1.0, 0.0]), np.array([0.5, 0.0])).round(4).tolist()
    [0.6931, 0.0]
    """
    epsilon = np.finfo(probability.dtype).eps
    kept = np.clip(probability, epsilon, 1 - epsilon)
    return -np.log(np.where(label == 1, kept, 1 - kept))


def squared_error_rows(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Give the squared error of each row; of probabilities its mean is the Brier score."""
    return (truth - prediction) ** 2


def absolute_error_rows(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Give the absolute error of each row."""
    return np.abs(truth - prediction)


# A root of a mean is no mean of rows: models are compared by the mean under it, in the same order.
ROW_LOSSES: Mapping[str, Mapping[str, RowLoss]] = {
    "classification": {"log_loss": log_loss_rows, "brier": squared_error_rows},
    "regression": {"rmse": squared_error_rows, "mae": absolute_error_rows},
}


def row_losses(task: str, metric: str, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Compute the loss of each row; lower is better.

    Parameters
    ----------
    task
        classification or regression.
    metric
        The primary metric of the problem.
    truth
        Shape (n,); 0 or 1 in a classification.
    prediction
        Shape (n,); the probability of 1 in a classification.

    Raises
    ------
    TrainingError
        If the metric is no mean of a loss by row for this task.
    """
    known = ROW_LOSSES.get(task, {})
    if metric not in known:
        raise TrainingError(
            f"primary_metric {metric!r} has no loss by row for a {task}; in src/flightline/problem.py choose one of: "
            f"{', '.join(known)}"
        )
    return known[metric](np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float))
