"""What drove an answer: how it changes when a group of features is set to what is typical.

Exact for any model, because the model itself answers again: for a row and its groups in one call. It explains the
model, not the world; groups that say the same share their effect, and the changes need not add up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flightline.core.prediction_record import Predicted
from flightline.inference.fast_pipeline import Row, Value

OF_REQUEST, OF_BOTH = "request", "request and store"


@dataclass(frozen=True)
class Contribution:
    """What a group of features did to an answer.

    Parameters
    ----------
    group
        A feature view, or `OF_REQUEST` or `OF_BOTH`.
    values, typical
        The model's columns of the group: as they were, and what they were set to.
    answer, if_typical
        Of the model, to the row as it was and with the typical values.
    """

    group: str
    values: Mapping[str, Value]
    typical: Mapping[str, Value]
    answer: Predicted
    if_typical: Predicted

    @property
    def change(self) -> Predicted:
        """The answer less the one with typical values; of a multiclass problem for each class."""
        return np.subtract(self.answer, self.if_typical).tolist()

    @property
    def size(self) -> float:
        """How far the answer moved, of several classes the one that moved farthest."""
        return float(np.max(np.abs(self.change)))


def typical_values(features: pd.DataFrame) -> dict[str, Value]:
    """Give the median of each column of numbers and the most frequent text of each other one; None without any value.

    Examples
    --------
    >>> typical_values(pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": ["x", None, "x"], "c": [float("nan")] * 3}))
    {'a': 2.0, 'b': 'x', 'c': None}
    """
    return {str(name): _typical(features[name].dropna()) for name in features}


def _typical(known: pd.Series) -> Value:
    if known.empty:
        return None
    return str(known.mode().iloc[0]) if known.dtype == object else float(known.median())


def group_columns(
    columns: Iterable[str], views: Mapping[str, Sequence[str]], of_request: Set[str]
) -> dict[str, tuple[str, ...]]:
    """Sort a model's columns by where their values come from.

    Parameters
    ----------
    columns
        Of the model.
    views
        By feature view, the names of its features.
    of_request
        Features that need nothing but the request.

    Examples
    --------
    >>> group_columns(("day", "mean", "above_mean"), {"recent": ("mean", "count")}, {"day"})
    {'recent': ('mean',), 'request': ('day',), 'request and store': ('above_mean',)}
    """
    left = tuple(columns)
    groups = {view: tuple(name for name in left if name in features) for view, features in views.items()}
    stored = {name for names in groups.values() for name in names}
    groups[OF_REQUEST] = tuple(name for name in left if name in of_request and name not in stored)
    groups[OF_BOTH] = tuple(name for name in left if name not in stored and name not in of_request)
    return {group: names for group, names in groups.items() if names}


def contributions(
    predict: Callable[[Sequence[Row]], Sequence[Predicted]],
    rows: Sequence[Row],
    answers: Sequence[Predicted],
    groups: Mapping[str, Sequence[str]],
    typical: Mapping[str, Value],
) -> list[list[Contribution]]:
    """Explain answers by group, in one call of the model.

    Parameters
    ----------
    predict
        From rows of the model's columns to its answers.
    rows, answers
        What was predicted, and from what.
    groups
        Of `group_columns`.
    typical
        By column of the model, of `typical_values`.

    Returns
    -------
    list
        For each row its contributions, the largest change first.
    """
    changed = [{**row, **{name: typical[name] for name in names}} for row in rows for names in groups.values()]
    if not changed:
        return [[] for _ in rows]
    others = iter(predict(changed))
    return [
        sorted(
            (
                Contribution(
                    group,
                    {name: row[name] for name in names},
                    {name: typical[name] for name in names},
                    answer,
                    next(others),
                )
                for group, names in groups.items()
            ),
            key=lambda found: -found.size,
        )
        for row, answer in zip(rows, answers, strict=True)
    ]
