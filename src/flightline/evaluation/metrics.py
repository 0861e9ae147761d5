"""How good predictions are: metrics by task, calibration and slices, on labelled rows."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.evaluation.losses import class_log_loss_rows, class_squared_error_rows

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Evaluation:
    """What a model was worth on a set of rows.

    Parameters
    ----------
    metrics
        By name, those of the task in `METRICS`, all on the given rows.
    rows_digest
        Hash over the rows' ids and labels: two evaluations can be compared if it is equal.
    slices
        Columns slice, value (as text), rows, predicted and observed (means, see `as_event`) and the metrics, for
        slices large enough.
    calibration
        Columns rows, predicted and observed (means), by bin of equal count; of a multiclass problem so many bins for
        each class, with a column class.
    """

    metrics: dict[str, float]
    rows: int
    rows_digest: str
    slices: pd.DataFrame
    calibration: pd.DataFrame


@dataclass(frozen=True)
class Metric:
    """A number that tells how good predictions are.

    Parameters
    ----------
    compute
        From labels, shape (n,), and predictions, as `inference.predict.predict` gives them.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]
    is_lower_better: bool


def calibration_table(label: np.ndarray, predicted: np.ndarray, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Compare predicted with observed means in bins of equal count.

    Parameters
    ----------
    label
        Shape (n,); 0 or 1 in a classification.
    predicted
        Shape (n,); the probability of 1 in a classification.
    bins
        How many; fewer come back if n is smaller.

    Examples
    --------
    >>> calibration_table(np.array([0, 0, 1, 1]), np.array([0.1, 0.1, 0.8, 0.6]), bins=2)["observed"].tolist()
    [0.0, 1.0]
    """
    # Rows of equal prediction share their labels' mean, so that their order changes nothing.
    _, group, size = np.unique(predicted, return_inverse=True, return_counts=True)
    mean = (np.bincount(group, weights=label) / size)[group]
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return pd.DataFrame(
        {
            "rows": [len(part) for part in parts],
            "predicted": [predicted[part].mean() for part in parts],
            "observed": [mean[part].mean() for part in parts],
        }
    )


def expected_calibration_error(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mean distance of predicted from observed means over equal-count bins (Naeini et al., 2015).

    Examples
    --------
    >>> expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0]))
    0.0
    """
    table = calibration_table(label, predicted)
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["rows"]))


def as_event(task: str, label: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give labels and predictions of one number a row, both of shape (n,), so that their means can be compared.

    Of a multiclass problem the event is that the likeliest class is the true one: its label is 0 or 1, and the
    probability of that class predicts it (the confidence of Guo et al., ICML 2017).

    Examples
    --------
    >>> as_event("multiclass", np.array([2.0]), np.array([[0.25, 0.25, 0.5]]))
    (array([1.]), array([0.5]))
    """
    if task != "multiclass":
        return label, predicted
    return (predicted.argmax(axis=1) == label).astype(float), predicted.max(axis=1)


def accuracy(label: np.ndarray, probability: np.ndarray) -> float:
    """Share of rows whose likeliest class is the true one."""
    return float(as_event("multiclass", label, probability)[0].mean())


def macro_roc_auc(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes of the area under the ROC curve of each against the rest; NaN if no class has one.

    As scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`, but a class that no row or every row has,
    as in a small slice, is left out.
    """
    areas = [
        roc_auc_score(label == number, probability[:, number])
        for number in range(probability.shape[1])
        if 0 < (label == number).sum() < len(label)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def classwise_calibration_error(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes of the expected calibration error of each against the rest (Kull et al., NeurIPS 2019)."""
    classes = range(probability.shape[1])
    return float(np.mean([expected_calibration_error(label == number, probability[:, number]) for number in classes]))


def _log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    return float(log_loss(label, probability, labels=[0, 1]))


def _if_labels_differ(metric: Callable[..., float]) -> Callable[[np.ndarray, np.ndarray], float]:
    def compute(label: np.ndarray, predicted: np.ndarray) -> float:
        return float(metric(label, predicted)) if np.ptp(label) > 0 else float("nan")

    return compute


METRICS: Mapping[Task, Mapping[str, Metric]] = {
    "classification": {
        "log_loss": Metric(_log_loss, is_lower_better=True),
        "brier": Metric(brier_score_loss, is_lower_better=True),
        "roc_auc": Metric(_if_labels_differ(roc_auc_score), is_lower_better=False),
        "pr_auc": Metric(_if_labels_differ(average_precision_score), is_lower_better=False),
        "ece": Metric(expected_calibration_error, is_lower_better=True),
    },
    "multiclass": {
        "log_loss": Metric(lambda *rows: float(class_log_loss_rows(*rows).mean()), is_lower_better=True),
        "brier": Metric(lambda *rows: float(class_squared_error_rows(*rows).mean()), is_lower_better=True),
        "accuracy": Metric(accuracy, is_lower_better=False),
        "roc_auc": Metric(macro_roc_auc, is_lower_better=False),
        "ece": Metric(classwise_calibration_error, is_lower_better=True),
    },
    "regression": {
        "rmse": Metric(root_mean_squared_error, is_lower_better=True),
        "mae": Metric(mean_absolute_error, is_lower_better=True),
        "r2": Metric(_if_labels_differ(r2_score), is_lower_better=False),
        "calibration_error": Metric(expected_calibration_error, is_lower_better=True),
    },
}
LOWER_IS_BETTER = frozenset(
    name for metrics in METRICS.values() for name, metric in metrics.items() if metric.is_lower_better
)


def metrics_of(task: Task, label: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Compute every metric of a task; those that need labels that differ are NaN where all are equal."""
    return {name: float(metric.compute(label, predicted)) for name, metric in METRICS[task].items()}


def primary_loss(task: Task, metric: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Give the function by which models of a problem are compared.

    Raises
    ------
    TrainingError
        If the metric is not of the task, or higher values of it are better.
    """
    losses = [name for name, known in METRICS[task].items() if known.is_lower_better]
    if metric not in losses:
        raise TrainingError(
            f"primary_metric {metric!r} is no loss of a {task}; in src/flightline/problem/config.py choose one of: "
            f"{', '.join(losses)}"
        )
    return METRICS[task][metric].compute


def rows_digest(ids: pd.Series, label: pd.Series) -> str:
    """Hash which rows with which labels were judged (sha256, hex)."""
    rows = pd.DataFrame({"id": ids.astype(str), "label": label.astype(float)}).sort_values(["id", "label"])
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def evaluate(
    task: Task,
    ids: pd.Series,
    label: pd.Series,
    predicted: np.ndarray,
    slice_by: pd.DataFrame,
    min_slice_rows: int,
    classes: Sequence[str] = (),
) -> Evaluation:
    """Judge predictions against labels.

    Parameters
    ----------
    ids, label
        One a row; label 0 or 1 in a classification, the number of the class in a multiclass problem.
    predicted
        As `inference.predict.predict` gives it.
    slice_by
        Same index as `label`; each column is one way to cut the rows.
    min_slice_rows
        Smaller slices are left out.
    classes
        Of a multiclass problem.
    """
    truth = label.to_numpy(dtype=float)
    return Evaluation(
        metrics=metrics_of(task, truth, predicted),
        rows=len(truth),
        rows_digest=rows_digest(ids, label),
        slices=_slices(task, truth, predicted, slice_by, min_slice_rows),
        calibration=_calibration_by_class(truth, predicted, classes)
        if classes
        else calibration_table(truth, predicted),
    )


def _calibration_by_class(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    tables = [calibration_table(truth == number, predicted[:, number]) for number in range(len(classes))]
    return pd.concat(tables, keys=classes, names=["class", None]).reset_index("class").reset_index(drop=True)


def _slices(
    task: Task, truth: np.ndarray, predicted: np.ndarray, slice_by: pd.DataFrame, min_slice_rows: int
) -> pd.DataFrame:
    rows = []
    event, chance = as_event(task, truth, predicted)
    for column in slice_by:
        values = slice_by[column].to_numpy()
        for value in sorted(pd.unique(values), key=str):
            here = values == value
            if here.sum() >= min_slice_rows:
                means = {"predicted": float(chance[here].mean()), "observed": float(event[here].mean())}
                metrics = metrics_of(task, truth[here], predicted[here])
                # As text: in one column with numbers of other slices an integer would become another name.
                rows.append({"slice": column, "value": str(value), "rows": int(here.sum()), **means, **metrics})
    return pd.DataFrame(rows, columns=["slice", "value", "rows", "predicted", "observed", *METRICS[task]])
