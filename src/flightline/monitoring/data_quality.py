"""Anomalies of the data that was predicted from: a column gone null, stuck, renamed, in another unit, or late.

Labels hardly show that one feature of many is broken, and drift over weeks drowns it in the
seasons. What no day of training did, several days in succession, is an anomaly: column, kind,
since when, and the numbers. Anomalies ask to watch and to repair the data, never to retrain:
a model that learns from broken data learns the error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring
from flightline.monitoring.daily_stats import CHANGES, MEASURED, ColumnSlice, Days, Kind, Support, changes
from flightline.monitoring.limits import Limits

LEAST_FRESH_DAYS = 3  # before a view can be said to have become late


@dataclass(frozen=True)
class DataAnomaly:
    """What is wrong with a column of the predictions.

    Parameters
    ----------
    where
        A feature and the slice in which it is so; a feature view if it is late.
    since, until
        ISO dates of the first and the last day (UTC) on which it was so.
    value
        On the last of these days: a share 0..1; of STUCK the chance that two values are the same; of JUMPED
        the mean; of RESCALED the standard deviation; of LATE an age in hours.
    limit
        How far a day may go: the highest value; of JUMPED the largest change of the mean; of RESCALED the
        largest factor.
    before
        The usual value of the days before; NaN where the kind is not held against them.
    history
        Of each day looked at, its ISO date and the value.
    support
        What values the column had in the training window; None of a view.
    unseen
        Of UNSEEN the categories that the training window does not know, the commonest first.
    """

    where: ColumnSlice
    kind: Kind
    since: str
    until: str
    value: float
    limit: float
    before: float = float("nan")
    history: tuple[tuple[str, float], ...] = ()
    support: Support | None = None
    unseen: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The feature, or the feature view."""
        return self.where.column


def find_anomalies(days: Days, limits: Limits, rule: Monitoring, since: str) -> list[DataAnomaly]:
    """Find the columns that went, on `rule.anomaly_days` days in succession, where no day of training went.

    Parameters
    ----------
    days
        Of `measure_days`, with the supports of `limits`; a week before `since` too, to tell changes.
    since
        ISO date: what ended before is history, and left out.

    Returns
    -------
    list of DataAnomaly
        One for each column at most: the first kind, and of that all rows rather than a slice of them.
    """
    found: dict[str, DataAnomaly] = {}
    for kind in MEASURED:
        usual = limits.of_days(kind, days, rule)
        levels = days.measures[kind]
        values = changes(days, kind, limits.supports, usual) if kind in CHANGES else levels
        for place in np.flatnonzero((np.abs(values) > usual).any(axis=0)):
            where = days.columns[place]
            run = last_run(values[:, place], usual[:, place], rule.anomaly_days)
            if where.column in found or run is None or days.days[run[1]] < since:
                continue
            level, change = levels[:, place], values[run[1], place] if kind in CHANGES else np.nan
            seen, limit, before = level, usual[run[1], place], level[run[1]] - change
            if kind is Kind.RESCALED:  # its levels are logarithms
                seen, limit, before = np.exp(level), np.exp(limit), np.exp(before)
            found[where.column] = DataAnomaly(
                where,
                kind,
                days.days[run[0]],
                days.days[run[1]],
                float(seen[run[1]]),
                float(limit),
                float(before),
                tuple(zip(days.days, map(float, seen), strict=True)),
                limits.supports[where.column],
            )
    return sorted(found.values(), key=lambda each: (each.since, list(Kind).index(each.kind), each.column))


def name_unseen(anomalies: Sequence[DataAnomaly], frame: pd.DataFrame) -> list[DataAnomaly]:
    """Add the unseen categories, the commonest first.

    Parameters
    ----------
    frame
        The features that were measured.
    """
    return [replace(each, unseen=_unseen(each, frame)) if each.kind is Kind.UNSEEN else each for each in anomalies]


def _unseen(anomaly: DataAnomaly, frame: pd.DataFrame) -> tuple[str, ...]:
    values = frame[anomaly.column].dropna().astype(str)
    known = anomaly.support.categories if anomaly.support else ()
    return tuple(values[~values.isin(known)].value_counts().index)


def last_run(values: np.ndarray, limit: float | np.ndarray, least: int) -> tuple[int, int] | None:
    """Give first and last place of the last run of values above the limit, all of one sign; None if none is so long.

    Parameters
    ----------
    limit
        Of all values, or shape (n,).

    Examples
    --------
    >>> last_run(np.array([0, 3, 3, 0, 3]), 1, 2)
    (1, 2)
    >>> last_run(np.array([0, 3, -3, 0]), 1, 2) is None
    True
    """
    signs = np.where(np.abs(values) > limit, np.sign(values), 0)
    ends = np.flatnonzero(np.diff(signs, append=np.nan) != 0)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    runs = [(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if signs[a] and b - a + 1 >= least]
    return runs[-1] if runs else None


def find_late(ages: Days, rule: Monitoring, since: str) -> list[DataAnomaly]:
    """Find feature views whose freshest values of a day are older than `rule.max_lag`, and were not before.

    Parameters
    ----------
    ages
        Of `measure_ages`. A view whose values are always old (a schedule, known long before) is not judged.
    """
    most, found = rule.max_lag.total_seconds() / 3600, []
    for place, where in enumerate(ages.columns):
        hours = ages.measures[Kind.LATE][:, place]
        is_judged = np.array([(hours[:day] <= most).sum() >= LEAST_FRESH_DAYS for day in range(len(hours))])
        is_always_old = (hours[: np.argmax(is_judged)] > most).any() if is_judged.any() else True
        run = None if is_always_old else last_run(np.where(is_judged, hours, np.nan), most, rule.anomaly_days)
        if run and ages.days[run[1]] >= since:
            found.append(
                DataAnomaly(
                    where,
                    Kind.LATE,
                    ages.days[run[0]],
                    ages.days[run[1]],
                    float(hours[run[1]]),
                    most,
                    float(np.nanmedian(hours[: run[0]])),
                    tuple(zip(ages.days, map(float, hours), strict=True)),
                )
            )
    return found
