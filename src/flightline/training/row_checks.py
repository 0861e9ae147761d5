"""What rows must be like so that a model can learn from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns

_WANTED: Mapping[Task, str] = {
    "classification": "labels of both classes, 0 and 1,",
    "multiclass": "labels of every class",
    "regression": "finite labels that differ",
}


def feature_columns(features: pd.DataFrame) -> Columns:
    """Tell numbers from categories by the frame's types.

    Raises
    ------
    TrainingError
        If a column is neither float64 nor text.
    """
    numeric = tuple(name for name in features if features[name].dtype == np.float64)
    categorical = tuple(name for name in features if features[name].dtype == object)
    other = {name: str(features[name].dtype) for name in features if name not in (*numeric, *categorical)}
    if other:
        raise TrainingError(
            f"features must be float64 or text, got {other}; cast them in src/flightline/problem/request_features.py"
        )
    return Columns(numeric, categorical)


def check_finite(features: pd.DataFrame) -> None:
    """Refuse numbers without an end, as a division by zero gives them: most models take none.

    Raises
    ------
    TrainingError
        Naming features and rows.
    """
    infinite = {name: int(np.isinf(column).sum()) for name, column in features.items() if column.dtype == np.float64}
    if found := [f"{name} ({rows:,})" for name, rows in infinite.items() if rows]:
        raise TrainingError(
            f"of {len(features):,} rows some have an infinite value of: {', '.join(found)}; give a missing one where a "
            "division has no result, in features.py or request_features.py of src/flightline/problem/"
        )


def check_values(features: pd.DataFrame) -> None:
    """Refuse features that nothing can be learned from: without a value, or with the same one in all of the rows.

    Raises
    ------
    TrainingError
        Naming them.
    """
    distinct = features.nunique(dropna=False)
    flat = distinct.index[distinct <= 1]
    empty = [name for name in flat if features[name].isna().all()]
    constant = [f"{name} = {features[name].iloc[0]}" for name in flat if name not in empty]
    remedy = "in feature_repo/ or src/flightline/problem/request_features.py, or leave it out of what is trained on"
    if empty:
        raise TrainingError(
            f"no row of the fit window has a value of: {', '.join(empty)}; "
            f"check the feature's table, its join keys and its ttl {remedy}"
        )
    if constant:
        raise TrainingError(
            f"all rows of the fit window have the same value: {', '.join(constant)}; check how it is made {remedy}"
        )


def check_categories(before: pd.DataFrame, later: pd.DataFrame, ceiling: float) -> None:
    """Refuse to judge a model on rows most of whose categories it could never have learned.

    Parameters
    ----------
    before, later
        Features of the rows that are learned from, and of those it is judged on; only text
        columns are looked at. A missing category is none.
    ceiling
        The share of the later rows, 0..1, that may have a category unknown before.

    Raises
    ------
    TrainingError
        Naming the column, the share and some of the categories.
    """
    for name in feature_columns(later).categorical:
        unseen = later.loc[later[name].notna() & ~later[name].isin(before[name].unique()), name]
        if len(unseen) > ceiling * len(later):
            shown = ", ".join(map(repr, unseen.value_counts().index[:5]))
            raise TrainingError(
                f"{len(unseen) / len(later):.0%} of the rows to be judged have a {name} that was never seen before "
                f"them (at most {ceiling:.0%} may), such as {shown}: look whether its spelling has changed; if these "
                "are new in truth, move the windows or raise unseen_ceiling in src/flightline/problem/config.py"
            )


def check_labels(task: Task, label: pd.Series, window: str, classes: Sequence[str] = ()) -> None:
    """Refuse labels of a window that nothing can be learned from.

    Parameters
    ----------
    classes
        Of a multiclass problem: a model must have seen each of them, or its probabilities would be of others.

    Raises
    ------
    TrainingError
        If one is missing, not of the task, or all are equal; of a multiclass problem if a class has none.
    """
    values = np.sort(label.dropna().to_numpy(dtype=float))
    wanted = _WANTED[task]
    if task == "multiclass":
        absent = [name for number, name in enumerate(classes) if number not in values]
        is_fit, wanted = not absent, f"{wanted} (none of {', '.join(absent)})"
    elif task == "classification":
        is_fit = np.array_equal(np.unique(values), [0.0, 1.0])
    else:
        is_fit = len(values) > 0 and bool(np.isfinite(values).all()) and values[0] < values[-1]
    if not is_fit or label.isna().any():
        shown = [float(value) for value in np.unique(values)[:5]]
        raise TrainingError(
            f"training needs {wanted} in the {window} window, got {shown} and {label.isna().sum()} missing; "
            "change the windows in src/flightline/problem/config.py or add data"
        )


def as_target(task: Task, label: pd.Series) -> pd.Series:
    """Give known labels in the type estimators take."""
    return label.astype("float64" if task == "regression" else "int64")
