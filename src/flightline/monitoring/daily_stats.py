"""Columns measured by day, and what the training window says of how far a day may go.

The limits come from single days of training, and an anomaly must last several: so nothing is
assumed of how columns are distributed, and seasons, weekends and storms of the training
window are all within them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring
from flightline.monitoring.drift import months_of, sample_places

BASELINE_DAYS = 7  # a whole week, or Sundays would be changes
COMMON = 0.1  # a value with this share in training (no rain, nothing cancelled) may well fill a day
MOST_GROUPS = 5  # a text with no more categories splits the rows: one of its sensors may be broken alone
EDGES = (0.05, 0.95)  # of a day's values: how fast these go says how fast the range does, without single values
LEAST_DAYS_OF_PACE = 9
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
# Of a day's predictions: less is an odd value, not an anomaly. What grows is now and then above all it was before.
LEAST_SHARES = {Kind.MISSING: 0.05, Kind.UNSEEN: 0.02, Kind.OUTSIDE: 0.2, Kind.STUCK: 0.02}


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
    until
        The last day of the training window, as a number of days.
    low_pace, high_pace
        By how much a day the range grew steadily, 0 where it did not: an age is above all that was before, every day.
    """

    low: float = float("nan")
    high: float = float("nan")
    deviation: float = float("nan")
    common: float = float("nan")
    categories: tuple[str, ...] = ()
    until: int = 0
    low_pace: float = 0.0
    high_pace: float = 0.0

    def range_on(self, day: int) -> tuple[float, float]:
        """Give the range a number may have on a day, had it gone on as in training."""
        later = max(day - self.until, 0)
        return self.low + later * self.low_pace, self.high + later * self.high_pace


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


@dataclass(frozen=True)
class Limits:
    """What is usual: the support of each column, and by kind and column how far a day may go."""

    supports: Mapping[str, Support]
    most: Mapping[Kind, Mapping[ColumnSlice, float]]


def support_of(values: pd.Series) -> Support:
    """Say what values a column of the training window had."""
    known = values.dropna()
    if values.dtype != float:
        return Support(categories=tuple(sorted(set(known.astype(str)))))
    if known.empty:
        return Support()
    counts = known.value_counts(normalize=True)
    common = float(counts.index[0]) if counts.iloc[0] > COMMON else float("nan")
    return Support(float(known.min()), float(known.max()), float(known.std(ddof=0)), common)


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
    names = pd.DatetimeIndex(prediction_time).strftime("%Y-%m-%d")
    by_day = pd.Series(np.arange(len(frame))).groupby(np.asarray(names)).indices
    # By a seed of its own each: where a day has the same keys in the same order as the one before, the same places
    # would hold the same keys, and the limits know nothing of how samples differ.
    chosen = {
        name: by_day[name][sample_places(len(by_day[name]), rule.anomaly_rows, seed=number_of(name))]
        for name in sorted(by_day)
        if len(by_day[name]) >= rule.min_anomaly_rows
    }
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
    measures: dict[Kind, np.ndarray] = {kind: np.full((len(chosen), len(columns)), np.nan) for kind in MEASURED}
    for place, each in enumerate(columns):
        values, support = frame[each.column].to_numpy(), supports[each.column]
        categories = set(support.categories)
        for row, (name, part) in enumerate(zip(chosen, parts[each.slice_column, each.slice_value], strict=True)):
            if len(part) >= rule.min_anomaly_rows:
                usual = support.range_on(number_of(name))
                for kind, value in _measure(values[part], support, usual, categories, rule).items():
                    measures[kind][row, place] = value
    return Days(tuple(chosen), columns, measures)


def number_of(day: str) -> int:
    """Count the days up to an ISO date."""
    return date.fromisoformat(day).toordinal()


def _measure(
    values: np.ndarray, support: Support, usual: tuple[float, float], categories: set[str], rule: Monitoring
) -> dict[Kind, float]:
    known = values[~pd.isna(values)]
    found = {Kind.MISSING: 1 - len(known) / len(values)}
    if not len(known):
        return found
    if support.categories:
        return found | {Kind.UNSEEN: float(np.mean([str(value) not in categories for value in known]))}
    numbers = known.astype(float)
    found[Kind.OUTSIDE] = float(np.mean((numbers < usual[0]) | (numbers > usual[1])))
    found[Kind.JUMPED] = float(numbers.mean())
    uncommon = numbers[numbers != support.common]
    if len(uncommon) >= rule.min_anomaly_rows / 2 and support.deviation > 0:
        counts, size = np.unique(uncommon, return_counts=True)[1], len(uncommon)
        found[Kind.STUCK] = float((counts * (counts - 1)).sum() / (size * (size - 1)))  # whatever the size
        found[Kind.RESCALED] = float(np.log(uncommon.std() + TINY * support.deviation))
    return found


def changes(levels: np.ndarray, limits: np.ndarray | None = None) -> np.ndarray:
    """Hold each day against the median of the days before it.

    Parameters
    ----------
    levels
        Shape (days, columns).
    limits
        Shape (columns,): a day that differs by more is not used for the days after it, so that an anomaly
        does not become what is usual. None to use every day.

    Returns
    -------
    ndarray
        Shape (days, columns); NaN where too few days lie before.
    """
    found, used = np.full(levels.shape, np.nan), levels.copy()
    for day in range(1, len(levels)):
        before = _last_known(used[:day])
        enough = (~np.isnan(before)).sum(axis=0) == BASELINE_DAYS
        middle = np.full(levels.shape[1], np.nan)
        middle[enough] = np.nanmedian(before[:, enough], axis=0)
        found[day] = levels[day] - middle
        if limits is not None:
            used[day, np.abs(found[day]) > limits] = np.nan
    return found


def _last_known(levels: np.ndarray) -> np.ndarray:
    """Give the last known levels of each column, shape (`BASELINE_DAYS`, columns)."""
    order = np.argsort(~np.isnan(levels), axis=0, kind="stable")  # the known ones last, in the order of days
    return np.take_along_axis(levels, order, axis=0)[-BASELINE_DAYS:]


def learn_limits(frame: pd.DataFrame, prediction_time: pd.Series, rule: Monitoring) -> Limits:
    """Learn from the training window how far a day may go, column by column.

    Ranges and categories are learned month against rest: how much of a month's days lies
    outside what all other months had.
    """
    supports = {str(name): _with_pace(support_of(frame[name]), frame[name], prediction_time) for name in frame}
    days = measure_days(frame, prediction_time, supports, rule)
    reach = {kind: np.abs(changes(days.measures[kind])) for kind in CHANGES}
    reach |= {kind: days.measures[kind] for kind in (Kind.MISSING, Kind.STUCK)}
    against = _month_against_rest(frame, prediction_time, rule)
    highest = {kind: dict(zip(days.columns, _highest(values), strict=True)) for kind, values in reach.items()}
    highest |= {
        kind: {name: against[kind].get(name, np.nan) for name in days.columns} for kind in (Kind.UNSEEN, Kind.OUTSIDE)
    }
    most = {kind: {name: _limit(kind, value, rule) for name, value in found.items()} for kind, found in highest.items()}
    return Limits(supports, most)


def _with_pace(support: Support, values: pd.Series, prediction_time: pd.Series) -> Support:
    """Add how fast the range grew, if it did from the first third of the days to the second, and on to the last."""
    if values.dtype != float:
        return support
    numbers = pd.Series(pd.DatetimeIndex(prediction_time).strftime("%Y-%m-%d").map(number_of).to_numpy(), name="day")
    daily = pd.Series(values.to_numpy()).groupby(numbers).quantile(list(EDGES)).unstack().dropna()
    if len(daily) < LEAST_DAYS_OF_PACE:
        return support
    thirds = np.array_split(daily.reset_index().to_numpy(), 3)
    steps = np.diff([np.median(third, axis=0) for third in thirds], axis=0)
    low, high = (steps[:, 1:] / steps[:, :1]).T
    low_pace, high_pace = min(float(low.max()), 0.0), max(float(high.min()), 0.0)
    return replace(support, until=int(daily.index[-1]), low_pace=low_pace, high_pace=high_pace)


def _month_against_rest(
    frame: pd.DataFrame, prediction_time: pd.Series, rule: Monitoring
) -> Mapping[Kind, Mapping[ColumnSlice, float]]:
    months = months_of(prediction_time, rule.min_labels)
    parts = [{str(name): support_of(frame[name].iloc[month]) for name in frame} for month in months]
    highest: dict[Kind, dict[ColumnSlice, float]] = {Kind.UNSEEN: {}, Kind.OUTSIDE: {}}
    for number, month in enumerate(months if len(months) > 1 else []):
        rest = [part for place, part in enumerate(parts) if place != number]
        supports = {str(name): _joined([part[str(name)] for part in rest]) for name in frame}
        days = measure_days(frame.iloc[month], prediction_time.iloc[month], supports, rule)
        for kind, found in highest.items():
            for name, value in zip(days.columns, _highest(days.measures[kind]), strict=True):
                found[name] = float(np.fmax(found.get(name, np.nan), value))
    return highest


def _joined(parts: Sequence[Support]) -> Support:
    categories = tuple(sorted(set().union(*(one.categories for one in parts))))
    low, high = np.array([one.low for one in parts]), np.array([one.high for one in parts])
    return Support(float(np.fmin.reduce(low)), float(np.fmax.reduce(high)), categories=categories)


def _highest(values: np.ndarray) -> np.ndarray:
    return np.fmax.reduce(values, axis=0, initial=np.nan)


def _limit(kind: Kind, most: float, rule: Monitoring) -> float:
    """Widen what was most by the slack: changes by themselves, shares by their odds, so that they stay below 1."""
    if kind in CHANGES:
        return rule.change_slack * most
    known = 0.0 if np.isnan(most) else most
    if known >= 1:
        return 1.0
    odds = rule.share_slack * known / (1 - known)
    return max(odds / (1 + odds), LEAST_SHARES[kind])
