"""Columns measured by day, and what the training window says of how far a day may go.

The limits come from single days of training, and an anomaly must last several: so nothing is
assumed of how columns are distributed, and seasons, weekends and storms of the training
window are all within them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Behaviour, Monitoring
from flightline.monitoring.drift import sample_places

BASELINE_DAYS = 7  # a whole week, or Sundays would be changes
COMMON = 0.1  # a value with this share in training (no rain, nothing cancelled) may well fill a day
MOST_GROUPS = 5  # a text with no more categories splits the rows: one of its sensors may be broken alone
TINY = 1e-3  # of a column's usual deviation: a spread below it counts as none


class Kind(StrEnum):
    """What is wrong with a column; the first that applies names it."""

    MISSING = "missing"
    UNSEEN = "unseen"
    STUCK = "stuck"
    OUTSIDE = "outside"
    RESCALED = "rescaled"
    JUMPED = "jumped"
    LATE = "late"


CHANGES = (Kind.RESCALED, Kind.JUMPED)  # held against the days before; the others against the training window
MEASURED = tuple(kind for kind in Kind if kind is not Kind.LATE)


@dataclass(frozen=True)
class Support:
    """What values a column had in the training window.

    Parameters
    ----------
    low, high, deviation
        Range and standard deviation of a number; NaN of a text.
    common
        The value that is so common that it may fill a day; NaN if none is.
    categories
        Of a text, sorted; empty for a number.
    behaviour
        How the column moves by nature; where it grows, `high` is infinite.
    moments
        Of the rows of a training day, the share 0..1 that were asked at a moment of their own.
    """

    low: float = float("nan")
    high: float = float("nan")
    deviation: float = float("nan")
    common: float = float("nan")
    categories: tuple[str, ...] = ()
    behaviour: Behaviour = "ordinary"
    moments: float = 0.0


@dataclass(frozen=True, order=True)
class ColumnSlice:
    """A column, in all rows or in those where another column has one value.

    Examples
    --------
    >>> str(ColumnSlice("price")), str(ColumnSlice("price", "shop", "A"))
    ('price', 'price where shop=A')
    """

    column: str
    slice_column: str = ""
    slice_value: str = ""

    def __str__(self) -> str:
        return f"{self.column} where {self.slice_column}={self.slice_value}" if self.slice_column else self.column


@dataclass(frozen=True)
class Days:
    """Columns measured by day.

    Parameters
    ----------
    days
        ISO dates (UTC), ascending; only days with enough rows.
    columns
        What was measured: features, or feature views.
    measures
        By kind, shape (days, columns), NaN where nothing can be said: shares 0..1 of missing values, unseen
        categories and values outside the range; of STUCK the chance that two values are the same; of
        JUMPED the mean; of RESCALED the log of the standard deviation.
    """

    days: tuple[str, ...]
    columns: tuple[ColumnSlice, ...]
    measures: Mapping[Kind, np.ndarray]


def support_of(values: pd.Series, behaviour: Behaviour = "ordinary") -> Support:
    """Say what values a column of the training window had."""
    known = values.dropna()
    if values.dtype != float:
        return Support(categories=tuple(sorted(set(known.astype(str)))), behaviour=behaviour)
    if known.empty:
        return Support(behaviour=behaviour)
    counts = known.value_counts(normalize=True)
    common = float(counts.index[0]) if counts.iloc[0] > COMMON else float("nan")
    high = np.inf if behaviour == "grows" else known.max()
    return Support(float(known.min()), float(high), float(known.std(ddof=0)), common, behaviour=behaviour)


def measure_days(
    frame: pd.DataFrame, prediction_time: pd.Series, supports: Mapping[str, Support], rule: Monitoring
) -> Days:
    """Measure every column by day, on at most `rule.anomaly_rows` rows of each; numbers in groups of rows as well.

    Parameters
    ----------
    frame
        Features, float64 or text.
    prediction_time
        UTC, of the same rows.
    supports
        By column; a text with at most `MOST_GROUPS` categories makes groups.
    """
    chosen = choose_rows(prediction_time, rule)
    parts = {("", ""): list(chosen.values())} | {
        (str(name), value): [part[frame[name].to_numpy()[part] == value] for part in chosen.values()]
        for name in frame
        if name in supports and len(supports[name].categories) <= MOST_GROUPS
        for value in supports[name].categories
    }
    columns = tuple(
        ColumnSlice(str(name), *group)
        for group in parts
        for name in frame
        if name in supports and not (group[0] and supports[name].categories)
    )
    moments = np.unique(pd.DatetimeIndex(prediction_time).asi8, return_inverse=True)[1]
    measures: dict[Kind, np.ndarray] = {kind: np.full((len(chosen), len(columns)), np.nan) for kind in MEASURED}
    for place, each in enumerate(columns):
        values, support = frame[each.column].to_numpy(), supports[each.column]
        categories = set(support.categories)
        for row, part in enumerate(parts[each.slice_column, each.slice_value]):
            if len(part) >= rule.min_anomaly_rows:
                for kind, value in _measure(values[part], moments[part], support, categories, rule).items():
                    measures[kind][row, place] = value
    return Days(tuple(chosen), columns, measures)


def choose_rows(prediction_time: pd.Series, rule: Monitoring) -> dict[str, np.ndarray]:
    """Draw the rows of each day that are measured; days with too few are left out."""
    names = pd.DatetimeIndex(prediction_time).strftime("%Y-%m-%d")
    by_day = pd.Series(np.arange(len(names))).groupby(np.asarray(names)).indices
    # By a seed of its own each: where a day has the same keys in the same order as the one before, the same places
    # would hold the same keys, and the limits know nothing of how samples differ.
    return {
        name: by_day[name][
            sample_places(len(by_day[name]), rule.anomaly_rows, seed=date.fromisoformat(name).toordinal())
        ]
        for name in sorted(by_day)
        if len(by_day[name]) >= rule.min_anomaly_rows
    }


def _measure(
    values: np.ndarray, moments: np.ndarray, support: Support, categories: set[str], rule: Monitoring
) -> dict[Kind, float]:
    is_known = ~pd.isna(values)
    known = values[is_known]
    found = {Kind.MISSING: 1 - len(known) / len(values)}
    if not len(known) or support.behaviour == "calendar":
        return found
    if support.categories:
        return found | {Kind.UNSEEN: float(np.mean([str(value) not in categories for value in known]))}
    numbers = known.astype(float)
    found[Kind.OUTSIDE] = float(np.mean((numbers < support.low) | (numbers > support.high)))
    is_shared = support.behaviour == "shared"
    if is_shared and share_of_moments(moments[is_known]) < support.moments / 2:
        return found  # a few values, many times: their mean is another thing than that of a whole day
    found[Kind.JUMPED] = float(numbers.mean())
    is_uncommon = numbers != support.common
    uncommon = numbers[is_uncommon]
    # Few rare values are often the same: of a sparse column they are held against each other only if they fill the day.
    least = max(rule.min_anomaly_rows, len(numbers) if support.behaviour == "sparse" else 0) / 2
    if len(uncommon) < least or not support.deviation > 0:
        return found
    found[Kind.RESCALED] = float(np.log(uncommon.std() + TINY * support.deviation))
    if is_shared:
        uncommon = _once_a_moment(uncommon, moments[is_known][is_uncommon])
    if len(uncommon) >= least:
        counts, size = np.unique(uncommon, return_counts=True)[1], len(uncommon)
        found[Kind.STUCK] = float((counts * (counts - 1)).sum() / (size * (size - 1)))  # whatever the size
    return found


def share_of_moments(moments: np.ndarray) -> float:
    """Say of how many rows, 0..1, the moment is another than that of the rows before."""
    return len(np.unique(moments)) / len(moments)


def _once_a_moment(values: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Keep each value once for each moment: rows that were asked together and share a value are not stuck."""
    order = np.lexsort((values, moments))
    values, moments = values[order], moments[order]
    is_new = np.append(True, (np.diff(values) != 0) | (np.diff(moments) != 0))
    return values[is_new]


def changes(days: Days, kind: Kind, supports: Mapping[str, Support], limits: np.ndarray | None = None) -> np.ndarray:
    """Hold the measure of each day against the days before it: their median, or their trend where a column grows.

    Parameters
    ----------
    limits
        Shape (days, columns): a day that differs by more is not used for the days after it, so that an anomaly
        does not become what is usual. None to use every day.

    Returns
    -------
    ndarray
        Shape (days, columns); NaN where too few days lie before.
    """
    levels = days.measures[kind]
    found, used, number = np.full(levels.shape, np.nan), levels.copy(), day_numbers(days)
    grows = np.array([kind is Kind.JUMPED and supports[each.column].behaviour == "grows" for each in days.columns])
    for day in range(BASELINE_DAYS, len(levels)):
        places = _last_known(used[:day])
        before = np.take_along_axis(used[:day], places, axis=0)
        enough = (~np.isnan(before)).sum(axis=0) == BASELINE_DAYS
        ahead = (number[day] - number[places]) * np.where(grows, _slopes(before, number[places]), 0.0)
        middle = np.full(levels.shape[1], np.nan)
        middle[enough] = np.median((before + ahead)[:, enough], axis=0)
        found[day] = levels[day] - middle
        if limits is not None:
            used[day, np.abs(found[day]) > limits[day]] = np.nan
    return found


def day_numbers(days: Days) -> np.ndarray:
    """Count the days from some day on, so that a day on which nothing was predicted counts too."""
    return np.array(days.days, dtype="datetime64[D]").astype(float)


def _last_known(levels: np.ndarray) -> np.ndarray:
    """Give the places of the last known levels of each column, shape (`BASELINE_DAYS`, columns)."""
    order = np.argsort(~np.isnan(levels), axis=0, kind="stable")  # the known ones last, in the order of days
    return order[-BASELINE_DAYS:]


def _slopes(levels: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Give the typical change per day of each column: the median over all pairs of days (Sen, 1968)."""
    first, second = np.triu_indices(len(levels), 1)
    return np.median((levels[second] - levels[first]) / (number[second] - number[first]), axis=0)
