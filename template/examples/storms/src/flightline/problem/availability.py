"""CHANGE ME for your own problem: groups of raw columns, and when each becomes known.

Each function cuts one group of columns out of the raw tables and states in `known_at` (UTC)
when such a row can be known, independently of the feature code. The leak test, the features
and the labels are all judged by it.

Decided for this data:

- that there is a fix is known the moment it is made, and not before: storms are on no calendar. Who
  asks is the forecaster who made it and has its values in hand;
- everybody else, the feature store too, has them three hours later, with the warning. So at a fix
  the newest that the store knows is the one before;
- what became of a storm is known when the fix of 24 hours later would be published, also if there
  is none: that the storm is gone. Nothing is known of 24 hours that the list does not cover yet.

The list is the best track: corrected by the agencies after the season, and believed here to be what
was known on the day. What was really warned of is elsewhere (NHC's and JTWC's archives).
"""

from collections.abc import Mapping

import ibis
from ibis import _

PUBLISHED_AFTER = ibis.interval(hours=3)
ASKED_ABOUT = ibis.interval(hours=24)

Tables = Mapping[str, ibis.Table]


def prepare(raw: Tables) -> dict[str, ibis.Table]:
    """Give each fix its moment in UTC: what every group below is cut from.

    Parameters
    ----------
    raw
        The raw tables of `raw_tables.CONTRACTS`, typed.

    Returns
    -------
    dict
        ``fixes``, with ``at`` (UTC).
    """
    return {"fixes": raw["fixes"].mutate(at=_.fixed_at.cast("timestamp('UTC')"))}


def sightings(prepared: Tables) -> ibis.Table:
    """Give each fix as its forecaster has it."""
    return prepared["fixes"].mutate(known_at=_.at)


def fixes(prepared: Tables) -> ibis.Table:
    """Give each fix, once it is published."""
    return prepared["fixes"].mutate(known_at=_.at + PUBLISHED_AFTER)


def outcomes(prepared: Tables) -> ibis.Table:
    """Give what there was of each fix's storm 24 hours later, once the list covers it."""
    rows = prepared["fixes"].select("storm", "fixed_at", "at")
    end_of_list = rows.aggregate(end=_.at.max())
    asked = rows.mutate(then=_.at + ASKED_ABOUT).cross_join(end_of_list).filter(_.then <= _.end)
    found = prepared["fixes"].select("storm", wind_then="wind", then="at", is_there=ibis.literal(True))
    later = asked.left_join(found, ["storm", "then"])
    return later.select(
        "storm",
        "fixed_at",
        "wind_then",
        is_there=_.is_there.fill_null(False),
        known_at=asked.then + PUBLISHED_AFTER,
    )


GROUPS = {group.__name__: group for group in (sightings, fixes, outcomes)}
