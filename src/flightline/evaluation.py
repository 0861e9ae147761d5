"""How good a probability is: metrics, calibration and slices, on labelled rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

CALIBRATION_BINS = 10
MIN_SLICE_ROWS = 300
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})


@dataclass(frozen=True)
class Evaluation:
    """What a model was worth on a set of rows.

    Parameters
    ----------
    metrics
        By name: log_loss (nats), brier, roc_auc, pr_auc, ece, all on the given rows.
    rows
        How many rows.
    rows_digest
        Hash over the rows' ids and labels: two evaluations can be compared if it is equal.
    slices
        Columns slice, value, rows, share_positive and the metrics, for slices large enough.
    calibration
        Columns rows, predicted (mean probability) and observed (share positive), by bin of
        equal count.
    """

    metrics: dict[str, float]
    rows: int
    rows_digest: str
    slices: pd.DataFrame
    calibration: pd.DataFrame


def calibration_table(label: np.ndarray, probability: np.ndarray, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Compare predicted with observed shares in bins of equal count.

    Parameters
    ----------
    label
        Shape (n,), 0 or 1.
    probability
        Shape (n,), 0..1.
    bins
        How many; fewer come back if n is smaller.

    Examples
    --------
    >>> calibration_table(np.array([0, 0, 1, 1]), np.array([0.1, 0.1, 0.8, 0.6]), bins=2)["observed"].tolist()
    [0.0, 1.0]
    """
    # Rows of equal probability share their labels' mean, so that their order changes nothing.
    _, group, size = np.unique(probability, return_inverse=True, return_counts=True)
    share = (np.bincount(group, weights=label) / size)[group]
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return pd.DataFrame(
        {
            "rows": [len(part) for part in parts],
            "predicted": [probability[part].mean() for part in parts],
            "observed": [share[part].mean() for part in parts],
        }
    )


def expected_calibration_error(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean distance of predicted from observed shares over equal-count bins (Naeini et al., 2015).

    Examples
    --------
    >>> expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0]))
    0.0
    """
    table = calibration_table(label, probability)
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["rows"]))


def metrics_of(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Compute every metric; those that need both classes are NaN where one is absent."""
    both = 0 < label.sum() < len(label)
    return {
        "log_loss": float(log_loss(label, probability, labels=[0, 1])),
        "brier": float(brier_score_loss(label, probability)),
        "roc_auc": float(roc_auc_score(label, probability)) if both else float("nan"),
        "pr_auc": float(average_precision_score(label, probability)) if both else float("nan"),
        "ece": expected_calibration_error(label, probability),
    }


def rows_digest(ids: pd.Series, label: pd.Series) -> str:
    """Hash which rows with which labels were judged (sha256, hex)."""
    rows = pd.DataFrame({"id": ids.astype(str), "label": label.astype(int)}).sort_values(["id", "label"])
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def evaluate(ids: pd.Series, label: pd.Series, probability: np.ndarray, slice_by: pd.DataFrame) -> Evaluation:
    """Judge probabilities against labels.

    Parameters
    ----------
    ids, label
        One a row; label 0 or 1.
    probability
        Shape (n,), 0..1.
    slice_by
        Same index as `label`; each column is one way to cut the rows.
    """
    truth = label.to_numpy(dtype=int)
    return Evaluation(
        metrics=metrics_of(truth, probability),
        rows=len(truth),
        rows_digest=rows_digest(ids, label),
        slices=_slices(truth, probability, slice_by),
        calibration=calibration_table(truth, probability),
    )


def _slices(truth: np.ndarray, probability: np.ndarray, slice_by: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for column in slice_by:
        values = slice_by[column].to_numpy()
        for value in sorted(pd.unique(values), key=str):
            here = values == value
            if here.sum() >= MIN_SLICE_ROWS:
                share = {"rows": int(here.sum()), "share_positive": float(truth[here].mean())}
                rows.append({"slice": column, "value": value, **share, **metrics_of(truth[here], probability[here])})
    names: Sequence[str] = [
        "slice",
        "value",
        "rows",
        "share_positive",
        *metrics_of(np.array([0, 1]), np.array([0.5, 0.5])),
    ]
    return pd.DataFrame(rows, columns=list(names))
