"""What a model goes by: permutation importance and partial dependence, on a sample of rows it was not fitted on.

Both change the values of one feature at a time and ask the model again. They explain the
model, not the world; features that say the same share their importance.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

Predict = Callable[[pd.DataFrame], np.ndarray]
Loss = Callable[[np.ndarray, np.ndarray], float]

ASKED_ROWS = 100_000  # what an importance may cost in predictions, however many features there are
MAX_SAMPLE = 2_000
MIN_SAMPLE = 200
REPEATS = 2
ROWS_AT_ONCE = 20_000
GRID = 12
DEPENDENCE_SAMPLE = 400


def sample_positions(rows: int, features: int) -> np.ndarray:
    """Choose rows by position, evenly over all, so few that an importance stays within `ASKED_ROWS`.

    Examples
    --------
    >>> len(sample_positions(100_000, 15)), len(sample_positions(100_000, 60)), len(sample_positions(50, 60))
    (2000, 833, 50)
    """
    size = int(np.clip(ASKED_ROWS // (REPEATS * max(features, 1)), MIN_SAMPLE, MAX_SAMPLE))
    return np.linspace(0, rows, min(rows, size), endpoint=False).astype(int)


def permutation_importance(
    predict: Predict, features: pd.DataFrame, label: np.ndarray, loss: Loss, seed: int = 0
) -> pd.DataFrame:
    """Measure how much worse predictions become when one feature's values are shuffled (Breiman, 2001).

    Parameters
    ----------
    predict
        From features to predictions, shape (n,).
    features, label
        Of rows the model was not fitted on.
    loss
        From labels and predictions; lower is better.
    seed
        Of the shuffling.

    Returns
    -------
    DataFrame
        Columns feature, importance (mean rise of the loss over the repeats) and spread (half
        the range over them), most important first.
    """
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(features)) for _ in range(REPEATS)]
    base = loss(label, predict(features))
    rises = {name: [0.0] * REPEATS for name in features}
    for group in _groups([(name, repeat) for repeat in range(REPEATS) for name in features], len(features)):
        shuffled = [features.assign(**{name: features[name].to_numpy()[orders[repeat]]}) for name, repeat in group]
        answers = np.split(predict(pd.concat(shuffled, ignore_index=True)), len(group))
        for (name, repeat), answer in zip(group, answers, strict=True):
            rises[name][repeat] = loss(label, answer) - base
    rows = [{"feature": n, "importance": np.mean(r), "spread": (max(r) - min(r)) / 2} for n, r in rises.items()]
    return pd.DataFrame(rows).sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _groups(items: list[tuple[str, int]], rows: int) -> Iterator[list[tuple[str, int]]]:
    size = max(1, ROWS_AT_ONCE // max(rows, 1))
    return (items[start : start + size] for start in range(0, len(items), size))


def partial_dependence(predict: Predict, features: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Average the predictions with one feature set to each of several values (Friedman, 2001).

    Parameters
    ----------
    predict
        From features to predictions, shape (n,).
    features
        Rows to average over; at most `DEPENDENCE_SAMPLE` of them are taken, evenly.
    names
        Which features to vary.

    Returns
    -------
    DataFrame
        Columns feature, value (of a number a quantile, of a category one of the most frequent)
        and predicted (mean).
    """
    sample = features.iloc[
        np.linspace(0, len(features), min(len(features), DEPENDENCE_SAMPLE), endpoint=False).astype(int)
    ]
    rows = []
    for name in names:
        values = _grid(features[name])
        if not values:
            continue  # no row of the sample has a value of it
        varied = pd.concat([sample] * len(values), ignore_index=True)
        varied[name] = np.repeat(np.asarray(values, dtype=features[name].dtype), len(sample))
        means = predict(varied).reshape(len(values), len(sample)).mean(axis=1)
        rows += [{"feature": name, "value": v, "predicted": m} for v, m in zip(values, means, strict=True)]
    return pd.DataFrame(rows, columns=["feature", "value", "predicted"])


def _grid(column: pd.Series) -> list[object]:
    known = column.dropna()
    if column.dtype == object:
        return sorted(known.value_counts().index[:GRID])
    return np.unique(np.quantile(known, np.linspace(0.02, 0.98, GRID))).tolist() if len(known) else []
