"""What a model goes by: permutation importance and partial dependence, on a sample of rows it was not fitted on.

They explain the model, not the world; features that say the same share their importance, so groups of features are
shuffled together too, which scikit-learn's own importance cannot do. Partial dependence is scikit-learn's
(https://scikit-learn.org/stable/inspection.html).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn import inspection
from sklearn.pipeline import Pipeline

from flightline.evaluation.sampling import spread_positions

SAMPLE = 5_000
PARTS = 5
GRID = 12
DEPENDENCE_SAMPLE = 400


def permutation_importance(
    predict: Callable[[pd.DataFrame], np.ndarray],
    features: pd.DataFrame,
    label: np.ndarray,
    loss: Callable[[np.ndarray, np.ndarray], float],
    groups: Mapping[str, Sequence[str]],
    seed: int = 0,
) -> pd.DataFrame:
    """Measure how much worse predictions become when the columns of a group are shuffled together (Breiman, 2001).

    Parameters
    ----------
    predict
        From rows to predictions, as `inference.predict.predict` gives them.
    features, label
        Of rows the model was not fitted on.
    loss
        From labels and predictions; lower is better.
    groups
        By name, columns of `features`; a single feature is a group of one.
    seed
        Of the shuffling.

    Returns
    -------
    DataFrame
        Columns group, features (how many), importance (the rise of the loss) and spread (its standard error over
        `PARTS` parts of the rows), most important first.
    """
    random, rows = np.random.default_rng(seed), len(features)
    parts = [np.arange(rows)[part::PARTS] for part in range(min(PARTS, rows))]
    before = predict(features)
    found = []
    for name, columns in groups.items():
        order = random.permutation(rows)
        shuffled = features.assign(**{column: features[column].to_numpy()[order] for column in columns})
        after = predict(shuffled)
        rises = [loss(label[part], after[part]) - loss(label[part], before[part]) for part in parts]
        spread = float(np.std(rises, ddof=1) / np.sqrt(len(rises))) if len(rises) > 1 else float("nan")
        found.append((name, len(columns), loss(label, after) - loss(label, before), spread))
    table = pd.DataFrame(found, columns=["group", "features", "importance", "spread"])
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


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
    sample = features.iloc[spread_positions(len(features), DEPENDENCE_SAMPLE)]
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
