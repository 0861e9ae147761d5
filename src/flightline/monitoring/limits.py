"""What the training window says of how far a day may go, column by column: what is usual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring
from flightline.monitoring.behaviours import infer_behaviours
from flightline.monitoring.daily_stats import (
    CHANGES,
    ColumnSlice,
    Days,
    Kind,
    Support,
    changes,
    choose_rows,
    day_numbers,
    measure_days,
    share_of_moments,
    support_of,
)
from flightline.monitoring.drift import Frame, months_of

# Of a day's predictions: less is an odd value, not an anomaly. What grows is now and then above all it was before.
LEAST_SHARES = {Kind.MISSING: 0.05, Kind.UNSEEN: 0.02, Kind.OUTSIDE: 0.2, Kind.STUCK: 0.02}
EVERY_MONTH = frozenset(range(1, 13))
LEAST_MONTHS = 7  # more than half a year has a winter and a summer; fewer know their own months and those beside them
SPARSE_STUCK = 0.9  # of a sparse column whose rare values filled no day of training
GROWTH_DAYS = 1.5  # of growth that may be missing or too much, though training kept it to the day


@dataclass(frozen=True)
class Limits:
    """What is usual: the support of each column, and by kind and column how far a day may go.

    Parameters
    ----------
    months
        Of the year, 1..12, of which the training window knows the season.
    """

    supports: Mapping[str, Support]
    most: Mapping[Kind, Mapping[ColumnSlice, float]]
    months: frozenset[int] = EVERY_MONTH

    def of_days(self, kind: Kind, days: Days, rule: Monitoring) -> np.ndarray:
        """Say how far each day may go, shape (days, columns); NaN of columns of which nothing is known.

        In a season that training has not seen a number may leave its range, and change by the slack once more.
        """
        usual = np.array([self.most[kind].get(where, np.nan) for where in days.columns])
        is_seen = np.array([int(day[5:7]) in self.months for day in days.days])[:, None]
        elsewhere = {Kind.OUTSIDE: np.full_like(usual, np.inf)} | dict.fromkeys(CHANGES, rule.change_slack * usual)
        return np.where(is_seen, usual, elsewhere.get(kind, usual))


def learn_limits(
    frame: Frame, prediction_time: pd.Series, rule: Monitoring, horizon: timedelta = timedelta(0)
) -> Limits:
    """Learn from the training window how each column moves by nature, and how far a day of it may go.

    Ranges and categories are learned month against rest: how much of a month's days lies
    outside what all other months had.

    Parameters
    ----------
    horizon
        See `infer_behaviours`.
    """
    behaviours = infer_behaviours(frame, prediction_time, horizon) | dict(rule.hints)
    moments, chosen = prediction_time.to_numpy(), choose_rows(prediction_time, rule)
    shares = [share_of_moments(moments[part]) for part in chosen.values()]
    spread = float(np.median(shares)) if shares else 0.0
    supports = {str(name): replace(support_of(frame[name], behaviours[str(name)]), moments=spread) for name in frame}
    # All that is measured by day, and little of a large window.
    places = np.sort(np.concatenate([*chosen.values(), np.array([], dtype=int)]))
    measured = frame.take(places)
    days = measure_days(measured, prediction_time.iloc[places], supports, rule)
    reach = {kind: np.abs(changes(days, kind, supports)) for kind in CHANGES}
    reach |= {kind: days.measures[kind] for kind in (Kind.MISSING, Kind.STUCK)}
    against = _month_against_rest(frame, prediction_time, rule, measured, places)
    highest = {kind: dict(zip(days.columns, _highest(values), strict=True)) for kind, values in reach.items()}
    highest |= {
        kind: {name: against[kind].get(name, np.nan) for name in days.columns} for kind in (Kind.UNSEEN, Kind.OUTSIDE)
    }
    _fit_behaviours(highest, supports, days, rule)
    most = {kind: {name: _limit(kind, value, rule) for name, value in found.items()} for kind, found in highest.items()}
    rows = prediction_time.dt.month.value_counts()
    months = rows.index[rows >= rule.min_labels]
    beside = frozenset((month + step - 1) % 12 + 1 for month in months for step in (-1, 0, 1))
    return Limits(supports, most, beside if len(months) < LEAST_MONTHS else EVERY_MONTH)


def _fit_behaviours(
    highest: Mapping[Kind, dict[ColumnSlice, float]], supports: Mapping[str, Support], days: Days, rule: Monitoring
) -> None:
    """Correct what was highest where a column's nature, or the training days, say too little."""
    for place, where in enumerate(days.columns):
        behaviour = supports[where.column].behaviour
        if behaviour == "grows":
            highest[Kind.OUTSIDE][where] = 0.0  # below the range; above is where it grows to
            levels = days.measures[Kind.JUMPED][:, place]
            known = ~np.isnan(levels)
            growth = np.abs(np.median(np.diff(levels[known]) / np.diff(day_numbers(days)[known]))) if known.any() else 0
            highest[Kind.JUMPED][where] = np.fmax(highest[Kind.JUMPED][where], GROWTH_DAYS * growth / rule.change_slack)
        if np.isnan(highest[Kind.STUCK][where]):  # no day of training could be measured
            highest[Kind.STUCK][where] = SPARSE_STUCK if behaviour == "sparse" else 1.0


def _month_against_rest(
    frame: Frame, prediction_time: pd.Series, rule: Monitoring, measured: pd.DataFrame, places: np.ndarray
) -> Mapping[Kind, Mapping[ColumnSlice, float]]:
    months = months_of(prediction_time, rule.min_labels)
    by_column = {str(name): _supports_of(frame[name], months) for name in frame}
    highest: dict[Kind, dict[ColumnSlice, float]] = {Kind.UNSEEN: {}, Kind.OUTSIDE: {}}
    for number, month in enumerate(months if len(months) > 1 else []):
        supports = {name: _joined([*found[:number], *found[number + 1 :]]) for name, found in by_column.items()}
        inside = np.isin(places, month)
        days = measure_days(measured[inside], prediction_time.iloc[places[inside]], supports, rule)
        for kind, most in highest.items():
            for name, value in zip(days.columns, _highest(days.measures[kind]), strict=True):
                most[name] = float(np.fmax(most.get(name, np.nan), value))
    return highest


def _supports_of(values: pd.Series, months: Sequence[np.ndarray]) -> list[Support]:
    return [support_of(values.iloc[month]) for month in months]


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
