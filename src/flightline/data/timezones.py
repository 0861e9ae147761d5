"""Local clock readings to UTC, as a join any engine can run.

Engines disagree on functions that take a time zone from a column, so the offsets come from
Python's own zoneinfo as a small table: one row for each zone and each period between two
changes of its offset.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pandas as pd

_STEP = timedelta(minutes=15)  # every change of an offset since 1970 falls on a quarter of an hour
_STRIDE = timedelta(days=1)


def zone_periods(zones: Iterable[str], start: datetime, end: datetime) -> pd.DataFrame:
    """Tabulate the UTC offsets of time zones between two moments.

    A reading that the clock shows twice (autumn) is taken as the first of the two; one that
    it skips (spring) is read with the offset before the change.

    Parameters
    ----------
    zones
        IANA names.
    start, end
        UTC-aware bounds.

    Returns
    -------
    DataFrame
        zone, local_start and local_end (naive local readings, end exclusive), offset_minutes.

    Examples
    --------
    >>> from datetime import UTC
    >>> first, last = datetime(2013, 11, 1, tzinfo=UTC), datetime(2013, 11, 5, tzinfo=UTC)
    >>> day = zone_periods(["America/New_York"], first, last)
    >>> day[["local_start", "offset_minutes"]].astype(str).values.tolist()
    [['2013-10-31 20:00:00', '-240'], ['2013-11-03 02:00:00', '-300']]
    """
    rows = [row for zone in sorted(set(zones)) for row in _periods_of(zone, start, end)]
    return pd.DataFrame(rows, columns=["zone", "local_start", "local_end", "offset_minutes"])


def _periods_of(zone: str, start: datetime, end: datetime) -> list[tuple[str, datetime, datetime, int]]:
    info = ZoneInfo(zone)

    def offset_at(moment: datetime) -> timedelta:
        return moment.astimezone(info).utcoffset() or timedelta(0)

    changes = [start]
    day = start
    while day < end:
        if offset_at(day + _STRIDE) != offset_at(day):
            steps = (day + step * _STEP for step in range(1, _STRIDE // _STEP + 1))
            changes += [moment for moment in steps if moment < end and offset_at(moment) != offset_at(moment - _STEP)]
        day += _STRIDE
    # A period begins where both the old and the new clock have passed the change.
    starts = [(change + max(offset_at(change), offset_at(change - _STEP))).replace(tzinfo=None) for change in changes]
    starts[0] = (start + offset_at(start)).replace(tzinfo=None)
    ends = [*starts[1:], (end + offset_at(end)).replace(tzinfo=None)]
    offsets = [int(offset_at(change).total_seconds() // 60) for change in changes]
    return [(zone, *period) for period in zip(starts, ends, offsets, strict=True)]


def to_utc(table: ibis.Table, periods: ibis.Table, *, local: str, zone: str, name: str) -> ibis.Table:
    """Add the UTC moment of a local clock reading.

    Parameters
    ----------
    table
        Has the naive local timestamp `local` and the IANA zone `zone`.
    periods
        What `zone_periods` gave, wide enough for every reading: a reading outside it has
        no row in the result.
    name
        The column to add, a UTC timestamp.
    """
    here = periods.rename(tz_zone="zone", tz_start="local_start", tz_end="local_end", tz_offset="offset_minutes")
    joined = table.join(here, [table[zone] == here.tz_zone, table[local] >= here.tz_start, table[local] < here.tz_end])
    moment = (joined[local] - joined.tz_offset.as_interval("m")).cast("timestamp('UTC')")
    return joined.mutate(**{name: moment}).drop("tz_zone", "tz_start", "tz_end", "tz_offset")
