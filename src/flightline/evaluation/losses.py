"""The loss of each row, in the metric the champion is defended in: what two models are compared by."""

from collections.abc import Callable, Mapping

import numpy as np

from flightline.core.errors import TrainingError

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


def class_log_loss_rows(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Give -log of the probability that was given to the class that happened, in nats.

    Parameters
    ----------
    label
        Shape (n,): the number of the class.
    probability
        Shape (n, classes); kept off 0 and 1 as in `log_loss_rows`.
    """
    epsilon = np.finfo(probability.dtype).eps
    return -np.log(np.clip(probability[np.arange(len(label)), label.astype(int)], epsilon, 1 - epsilon))


def class_squared_error_rows(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Give the squared error of each row, summed over the classes: 0..2 (Brier, 1950).

    Examples
    --------
    >>> class_squared_error_rows(np.array([0.0]), np.array([[0.5, 0.5, 0.0]])).tolist()
    [0.5]
    """
    return ((probability - (label[:, None] == np.arange(probability.shape[1]))) ** 2).sum(axis=1)


# A root of a mean is no mean of rows: models are compared by the mean under it, in the same order.
ROW_LOSSES: Mapping[str, Mapping[str, RowLoss]] = {
    "classification": {"log_loss": log_loss_rows, "brier": squared_error_rows},
    "multiclass": {"log_loss": class_log_loss_rows, "brier": class_squared_error_rows},
    "regression": {"rmse": squared_error_rows, "mae": absolute_error_rows},
}


def row_losses(task: str, metric: str, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Compute the loss of each row; lower is better.

    Parameters
    ----------
    task
        classification, multiclass or regression.
    metric
        The primary metric of the problem.
    truth
        Shape (n,); 0 or 1 in a classification, the number of the class in a multiclass problem.
    prediction
        As `inference.predict.predict` gives it.

    Raises
    ------
    TrainingError
        If the metric is no mean of a loss by row for this task.
    """
    known = ROW_LOSSES.get(task, {})
    if metric not in known:
        raise TrainingError(
            f"primary_metric {metric!r} has no loss by row for a {task}; in problem/config.py choose one of: "
            f"{', '.join(known)}"
        )
    return known[metric](np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float))


def promised_losses(task: str, metric: str, prediction: np.ndarray) -> np.ndarray | None:
    """Compute the loss that each prediction promises: its mean if the probabilities are right.

    Loss above it is the model's fault; loss below it that of easy days is not its merit
    (Spiegelhalter, Statistics in Medicine, 1986, tests the same difference of the Brier score). The log-loss that
    is promised is the entropy of the probabilities.

    Returns
    -------
    ndarray or None
        None where a prediction says nothing of its own error.

    Examples
    --------
    >>> promised_losses("classification", "brier", np.array([0.5, 1.0])).tolist()
    [0.25, 0.0]
    """
    if task == "regression":
        return None
    given = np.asarray(prediction, dtype=float)
    if task == "multiclass":
        classes = range(given.shape[1])
        by_class = [row_losses(task, metric, np.full(len(given), number), given) for number in classes]
        return (given * np.stack(by_class, axis=1)).sum(axis=1)
    by_outcome = [row_losses(task, metric, np.full(len(given), outcome), given) for outcome in (0.0, 1.0)]
    return (1 - given) * by_outcome[0] + given * by_outcome[1]
