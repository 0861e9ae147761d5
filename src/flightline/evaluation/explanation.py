"""What a model goes by: permutation importance and partial dependence, on a sample of rows it was not fitted on.

Both are scikit-learn's own (https://scikit-learn.org/stable/inspection.html). They explain the
model, not the world; features that say the same share their importance.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn import inspection
from sklearn.base import is_classifier
from sklearn.metrics import make_scorer
from sklearn.pipeline import Pipeline

MAX_PREDICTED_ROWS = 100_000  # what an importance may cost, however many features there are
MAX_SAMPLE = 2_000
MIN_SAMPLE = 200
REPEATS = 2
GRID = 12
DEPENDENCE_SAMPLE = 400


def sample_positions(rows: int, features: int) -> np.ndarray:
    """Choose rows by position, evenly over all, so few that an importance stays within `MAX_PREDICTED_ROWS`.

    Examples
    --------
    >>> len(sample_positions(100_000, 15)), len(sample_positions(100_000, 60)), len(sample_positions(50, 60))
    (2000, 833, 50)
    """
    return _spread(rows, int(np.clip(MAX_PREDICTED_ROWS // (REPEATS * max(features, 1)), MIN_SAMPLE, MAX_SAMPLE)))


def _spread(rows: int, size: int) -> np.ndarray:
    return np.linspace(0, rows, min(rows, size), endpoint=False).astype(int)


def permutation_importance(
    pipeline: Pipeline,
    features: pd.DataFrame,
    label: np.ndarray,
    loss: Callable[[np.ndarray, np.ndarray], float],
    seed: int = 0,
) -> pd.DataFrame:
    """Measure how much worse predictions become when one feature's values are shuffled (Breiman, 2001).

    Parameters
    ----------
    features, label
        Of rows the model was not fitted on.
    loss
        From labels and predictions (as `inference.predict.predict` gives them); lower is better.
    seed
        Of the shuffling.

    Returns
    -------
    DataFrame
        Columns feature, importance (mean rise of the loss over the repeats) and spread (its
        standard deviation over them), most important first.
    """
    method = "predict_proba" if is_classifier(pipeline) else "predict"
    scorer = make_scorer(loss, greater_is_better=False, response_method=method)
    found = inspection.permutation_importance(
        pipeline, features, label, scoring=scorer, n_repeats=REPEATS, random_state=seed
    )
    table = {"feature": list(features), "importance": found.importances_mean, "spread": found.importances_std}
    return pd.DataFrame(table).sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def partial_dependence(
    pipeline: Pipeline, features: pd.DataFrame, names: list[str], classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Average the predictions with one feature set to each of several values (Friedman, 2001).

    Parameters
    ----------
    features
        Rows to average over; at most `DEPENDENCE_SAMPLE` of them are taken, evenly.
    names
        Which features to vary.
    classes
        Of a multiclass problem.

    Returns
    -------
    DataFrame
        Columns feature, value (of a number a quantile, of a category one of the most frequent)
        and predicted (mean); of a multiclass problem for each class, with a column class.
    """
    sample = features.iloc[_spread(len(features), DEPENDENCE_SAMPLE)]
    # Without a grid of its own scikit-learn refuses a feature with missing values; one without any value is left out.
    grids = {name: grid for name in names if (grid := _grid(features[name]))}
    tables = [pd.DataFrame(columns=["feature", "value", "predicted"])] if not grids else []
    for name, grid in grids.items():
        found = inspection.partial_dependence(pipeline, sample, [name], custom_values={name: grid}, kind="average")
        for number, average in enumerate(found["average"]):
            of_class = {"class": classes[number]} if classes else {}
            tables.append(pd.DataFrame({"feature": name, "value": grid, "predicted": average, **of_class}))
    return pd.concat(tables, ignore_index=True)


def _grid(column: pd.Series) -> list[object]:
    known = column.dropna()
    if column.dtype == object:
        return sorted(known.value_counts().index[:GRID])
    return np.unique(np.quantile(known, np.linspace(0.02, 0.98, GRID))).tolist() if len(known) else []
