"""CHANGE ME for your own problem: groups of raw columns, and when each becomes known.

Each function cuts one group of columns out of the raw tables and states in `known_at` (UTC)
when such a row can be known, independently of the feature code. The leak test, the features
and the labels are all judged by it.

Decided for this data:

- that a page has a day to be viewed on is known 28 days ahead;
- a day's views are counted when the day has ended (UTC), and published within 24 hours, so
  they count as known two days after the day's beginning. Nothing is known during the day.
"""

from collections.abc import Mapping

import ibis
from ibis import _

CALENDAR_KNOWN_AHEAD = ibis.interval(days=28)
PUBLISHED_AFTER = ibis.interval(days=2)

Tables = Mapping[str, ibis.Table]


def prepare(raw: Tables) -> dict[str, ibis.Table]:
    """Give each page-day its beginning in UTC: what every group below is cut from.

    Parameters
    ----------
    raw
        The raw tables of `raw_tables.CONTRACTS`, typed.

    Returns
    -------
    dict
        ``views``, with ``day_start`` (UTC).
    """
    return {"views": raw["views"].mutate(day_start=_.day.cast("timestamp('UTC')"))}


def calendar(prepared: Tables) -> ibis.Table:
    """Give the page-days there are."""
    return prepared["views"].select("page", "day", "day_start", known_at=_.day_start - CALENDAR_KNOWN_AHEAD)


def counts(prepared: Tables) -> ibis.Table:
    """Give the views of each page-day, once they are published."""
    return prepared["views"].select("page", "day", "day_start", "views", known_at=_.day_start + PUBLISHED_AFTER)


GROUPS = {group.__name__: group for group in (calendar, counts)}
