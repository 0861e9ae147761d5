"""How far inputs and predictions have moved, by thresholds that the training window itself gives.

A fixed threshold flags most columns in months in which nothing is wrong, because months differ.
So each column is held against its own months: how far each was from the rest of the training
window. Drift explains a decision, it makes none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring

Score = Callable[[pd.DataFrame, pd.DataFrame], Mapping[str, float]]
MOST_PERIODS = 12
PREDICTION = "prediction"


class Frame(Protocol):
    """What is asked of the training window: a DataFrame, or one that is too large for memory."""

    def __iter__(self) -> Iterator[Any]:
        """Name the columns."""

    def __getitem__(self, name: Any, /) -> pd.Series:
        """Give a column."""

    def take(self, places: np.ndarray, /) -> pd.DataFrame:
        """Give the rows at some places, which ascend."""


@dataclass(frozen=True)
class ColumnDrift:
    """How far a column has moved.

    Parameters
    ----------
    column
        A feature, or `PREDICTION`.
    score
        Its distance from the training window.
    threshold
        Of `learn_thresholds`; infinite where drift says nothing (`behaviours.WITHOUT_DRIFT`).
    missing, usual_missing
        Shares of missing values, 0..1, in the window and in the training window.
    """

    column: str
    score: float
    threshold: float
    missing: float
    usual_missing: float

    @property
    def is_drifted(self) -> bool:
        """Whether the score exceeds the column's own threshold."""
        return self.score > self.threshold

    @property
    def excess(self) -> float:
        """The score as a multiple of the threshold."""
        return self.score / self.threshold if self.threshold else float("inf" if self.score else 0)


class InputProblem(StrEnum):
    """What is wrong with the values of a column or feature view."""

    MISSING = "missing"
    DRIFTED = "drifted"
    LAGGING = "lagging"


@dataclass(frozen=True)
class InputWarning:
    """A column or feature view that asks to watch.

    Parameters
    ----------
    name
        Column; feature view if it lags.
    value
        Of MISSING the share of predictions without a value, 0..1; of DRIFTED the score as a multiple of the
        column's own threshold; of LAGGING the 95th percentile of hours since the view was materialised.
    limit
        What the value exceeds.
    """

    name: str
    problem: InputProblem
    value: float
    limit: float


def months_of(prediction_time: pd.Series, least_rows: int) -> list[np.ndarray]:
    """Cut rows into calendar months (UTC), at most the last twelve; months with fewer rows are left out.

    Returns
    -------
    list of ndarray
        Positions of the rows of each month.
    """
    times = pd.DatetimeIndex(prediction_time)
    codes, _ = pd.factorize(times.year * 12 + times.month, sort=True)
    parts = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    return [part for part in parts if len(part) >= least_rows][-MOST_PERIODS:]


def learn_thresholds(scores: Sequence[Mapping[str, float]], slack: float) -> dict[str, float]:
    """Give each column its threshold: its highest score of a month against the rest, times the slack.

    Parameters
    ----------
    scores
        By month, the score of each column against the rest of the training window.
    slack
        A month as far as the farthest one is no news yet.

    Examples
    --------
    >>> learn_thresholds([{"a": 0.1}, {"a": 0.2}], slack=1.5)["a"].__round__(2)
    0.3
    """
    columns = scores[0] if scores else {}
    found = {name: [one[name] for one in scores if np.isfinite(one[name])] for name in columns}
    return {name: slack * float(max(values)) for name, values in found.items() if values}


def month_thresholds(frame: Frame, prediction_time: pd.Series, rule: Monitoring, score: Score) -> dict[str, float]:
    """Score each month of the training window against the rest of it, and give each column its threshold.

    Parameters
    ----------
    frame
        Features and `PREDICTION` of the training window.
    prediction_time
        UTC, of the same rows.
    score
        From reference and current rows to a score of each column.

    Returns
    -------
    dict
        Columns that never moved have no threshold; with fewer than two months there is none at all.
    """
    months = months_of(prediction_time, rule.min_labels)
    scores = []
    for seed, month in enumerate(months if len(months) > 1 else []):
        rest = np.setdiff1d(np.arange(len(prediction_time)), month, assume_unique=True)
        one, others = (part[sample_places(len(part), rule.drift_rows, seed)] for part in (month, rest))
        scores.append(score(frame.take(others), frame.take(one)))
    learned = learn_thresholds(scores, rule.drift_slack)
    return {name: value for name, value in learned.items() if value > 0}


def sample_places(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Draw positions without replacement, in order; all of them if there are no more than asked."""
    if count <= size:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False))


def missing_warnings(columns: Sequence[ColumnDrift], margin: float) -> list[InputWarning]:
    """Find the columns that are missing more often than in the training window, by more than the margin."""
    found = [
        InputWarning(each.column, InputProblem.MISSING, each.missing, each.usual_missing + margin)
        for each in columns
        if each.missing - each.usual_missing > margin
    ]
    return sorted(found, key=lambda each: each.limit - each.value)


def drift_warnings(columns: Sequence[ColumnDrift], alarm: float) -> list[InputWarning]:
    """Find the columns that have moved so far that an error in the data is likelier than a season.

    Parameters
    ----------
    alarm
        The multiple of a column's own threshold above which it is likelier.
    """
    found = [
        InputWarning(each.column, InputProblem.DRIFTED, each.excess, alarm) for each in columns if each.excess > alarm
    ]
    return sorted(found, key=lambda each: -each.value)
