"""Faults of the data that was predicted from: a column gone null, stuck, renamed, in another unit, or late.

Labels hardly show that one feature of many is broken, and drift over weeks drowns it in the
seasons. What no day of training did, several days in succession, is a fault, and is named:
column, kind, since when, and the likely cause. Faults ask to watch and to mend, never to
retrain: a model that learns from broken data learns the fault.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring
from flightline.monitoring.daily_stats import CHANGES, MEASURED, Days, Kind, Limits, Support, changes, name_in

UNIT = "its unit, its scale or its source has changed"
CAUSES = {
    Kind.MISSING: "its source or its join is broken",
    Kind.UNSEEN: "they were renamed, or are new",
    Kind.STUCK: "it no longer moves: a stuck sensor, or a table that is not filled any more",
    Kind.OUTSIDE: UNIT,
    Kind.RESCALED: UNIT,
    Kind.JUMPED: UNIT,
    Kind.LATE: "what fills it runs late",
}
WHERE = name_in("", "-")[:-1]
MOST_NAMED = 4
LEAST_FRESH_DAYS = 3  # before a view can be said to have become late


@dataclass(frozen=True)
class DataFault:
    """What is wrong with a column of the predictions.

    Parameters
    ----------
    column
        A feature, or a feature view if it is late.
    kind
        See `Kind`.
    since, until
        ISO dates of the first and the last day (UTC) on which it was so.
    value, limit
        On the last of these days, in the measure of the kind, and how far a day may go.
    words
        What was seen, and what is usual.
    history
        Of each day looked at, its ISO date and what was measured: a share, a mean, a spread, an age in hours.
    where
        The group of rows in which it is so, such as ``shop=A``; empty if it is so in all.
    """

    column: str
    kind: Kind
    since: str
    until: str
    value: float
    limit: float
    words: str
    history: tuple[tuple[str, float], ...] = ()
    where: str = ""

    @property
    def name(self) -> str:
        """The column, and where."""
        return name_in(self.column, self.where)

    @property
    def cause(self) -> str:
        """What it probably comes from."""
        return CAUSES[self.kind]


def find_faults(days: Days, limits: Limits, rule: Monitoring, since: str) -> list[DataFault]:
    """Find the columns that went, on `rule.fault_days` days in succession, where no day of training went.

    Parameters
    ----------
    days
        Of `measure_days`, with the supports of `limits`; a week before `since` too, to tell changes.
    since
        ISO date: what ended before is history, and left out.

    Returns
    -------
    list of DataFault
        One for each column at most: the first kind, and of that all rows rather than a group of them.
    """
    found: dict[str, DataFault] = {}
    for kind in MEASURED:
        usual = np.array([limits.most[kind].get(name, np.nan) for name in days.columns])
        levels = days.measures[kind]
        values = changes(levels, usual) if kind in CHANGES else levels
        for place in np.flatnonzero((np.abs(values) > usual).any(axis=0)):
            name, _, group = days.columns[place].partition(WHERE)
            if name in found:
                continue
            run = last_run(values[:, place], float(usual[place]), rule.fault_days)
            if run and days.days[run[1]] >= since:
                words = _say(kind, levels[:, place], values[run[1], place], run[1], limits.supports[name], usual[place])
                told = float(values[run[1], place]), float(usual[place])
                seen = np.exp(levels[:, place]) if kind is Kind.RESCALED else levels[:, place]
                history = tuple(zip(days.days, map(float, seen), strict=True))
                found[name] = DataFault(name, kind, days.days[run[0]], days.days[run[1]], *told, words, history, group)
    return sorted(found.values(), key=lambda one: (one.since, list(Kind).index(one.kind), one.column))


def spell_unseen(faults: Sequence[DataFault], frame: pd.DataFrame, limits: Limits) -> list[DataFault]:
    """Tell which categories are unseen, the commonest first.

    Parameters
    ----------
    frame
        The features that were measured.
    """
    told = []
    for one in faults:
        if one.kind is Kind.UNSEEN:
            values = frame[one.column].dropna().astype(str)
            found = values[~values.isin(limits.supports[one.column].categories)].value_counts().index
            more = ", ..." if len(found) > MOST_NAMED else ""
            one = replace(one, words=f"{one.words} ({', '.join(found[:MOST_NAMED])}{more})")
        told.append(one)
    return told


def last_run(values: np.ndarray, limit: float, least: int) -> tuple[int, int] | None:
    """Give first and last place of the last run of values above the limit, all of one sign; None if none is so long.

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


def find_late(ages: Days, rule: Monitoring, since: str) -> list[DataFault]:
    """Find feature views whose freshest values of a day are older than `rule.max_lag`, and were not before.

    Parameters
    ----------
    ages
        Of `measure_ages`. A view whose values are always old (a schedule, known long before) is not judged.
    """
    most, found = rule.max_lag.total_seconds() / 3600, []
    for place, name in enumerate(ages.columns):
        hours = ages.measures[Kind.LATE][:, place]
        is_judged = np.array([(hours[:day] <= most).sum() >= LEAST_FRESH_DAYS for day in range(len(hours))])
        is_always_old = (hours[: np.argmax(is_judged)] > most).any() if is_judged.any() else True
        run = None if is_always_old else last_run(np.where(is_judged, hours, np.nan), most, rule.fault_days)
        if run and ages.days[run[1]] >= since:
            before = float(np.nanmedian(hours[: run[0]]))
            words = f"its freshest values are {hours[run[1]]:.0f} h old, {before:.0f} h before"
            told = ages.days[run[0]], ages.days[run[1]], float(hours[run[1]]), most, words
            found.append(DataFault(name, Kind.LATE, *told, tuple(zip(ages.days, map(float, hours), strict=True))))
    return found


def _say(kind: Kind, levels: np.ndarray, value: float, day: int, support: Support, limit: float) -> str:
    level = float(levels[day])
    if kind in CHANGES:
        shown: Callable[[float], float] = (lambda x: float(np.exp(x))) if kind is Kind.RESCALED else float
        what = "spread (standard deviation)" if kind is Kind.RESCALED else "mean"
        bound = f"a factor of {np.exp(limit):.3g}" if kind is Kind.RESCALED else f"{limit:.3g}"
        return (
            f"its daily {what} went from {shown(level - value):.3g} to {shown(level):.3g}; a change of up to {bound} "
            "is usual"
        )
    if kind is Kind.STUCK:
        return (
            f"{1 / level:.1f} different values in effect on a whole day; at least {1 / limit:.1f} are usual"
            if level < 1
            else f"one and the same value on a whole day; at least {1 / limit:.1f} in effect are usual"
        )
    what = {
        Kind.MISSING: "has no value",
        Kind.UNSEEN: "has a category that the training window does not know",
        Kind.OUTSIDE: f"is outside the range of the training window, {support.low:.4g} to {support.high:.4g}",
    }[kind]
    return f"in {level:.0%} of the predictions it {what}; up to {limit:.0%} is usual"


def name_faults(faults: Sequence[DataFault]) -> str:
    """Name the first faults in a line."""
    named = ", ".join(f"{one.name} {one.kind} since {one.since}" for one in faults[:MOST_NAMED])
    return named + (f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else "")


def fault_warnings(faults: Sequence[DataFault]) -> list[str]:
    """Say what is wrong, the columns with the same fault since the same day together."""
    groups: dict[tuple[Kind, str], list[DataFault]] = {}
    for one in faults:
        groups.setdefault((one.kind, one.since), []).append(one)
    return [_group(kind, since, ones) for (kind, since), ones in groups.items()]


def _group(kind: Kind, since: str, ones: Sequence[DataFault]) -> str:
    until = max(one.until for one in ones)
    if len(ones) == 1:
        return f"data fault, {ones[0].name} {kind} from {since} to {until}: {ones[0].words}; {CAUSES[kind]}"
    named = ", ".join(one.name for one in ones[:MOST_NAMED])
    more = f" and {len(ones) - MOST_NAMED} more" if len(ones) > MOST_NAMED else ""
    return (
        f"data fault, {len(ones)} columns {kind} from {since} to {until} ({named}{more}): of {ones[0].name}, "
        f"{ones[0].words}; {CAUSES[kind]}"
    )
