"""CHANGE ME for your own problem: groups of raw columns, and when each becomes known.

Each function cuts one group of columns out of the raw tables and states in `known_at` (UTC)
when such a row can be known, independently of the feature code. The leak test, the features
and the labels are all judged by it.

Decided for this data:

- a day's purchases come in one delivery, which is there at noon (UTC) of the day after: the day is
  over then wherever in the United States it was. The list has days and no times;
- what is asked is on a calendar, not in the list: each customer, each Monday. That a Monday
  comes is known 28 days ahead; of a customer the shop knows from the first purchase on;
- whether a customer bought within 28 days is known when the delivery of the last of them is
  there, also of one who bought on the first day: labels that came as purchases come would be
  all ones for 28 days. Nothing is known of 28 days that the list does not cover yet.
"""

from collections.abc import Mapping

import ibis
from ibis import _

DELIVERED_AFTER = ibis.interval(hours=36)  # of a day's beginning
ASKED_ABOUT = ibis.interval(days=28)
CALENDAR_KNOWN_AHEAD = ibis.interval(days=28)
LABEL_KNOWN_AFTER = ibis.interval(days=28, hours=12)  # of a Monday: the delivery of the 28th day

Tables = Mapping[str, ibis.Table]


def prepare(raw: Tables) -> dict[str, ibis.Table]:
    """Give each purchase the beginning of its day in UTC: what every group below is cut from.

    Parameters
    ----------
    raw
        The raw tables of `raw_tables.CONTRACTS`, typed.

    Returns
    -------
    dict
        ``purchases``, with ``day_start`` (UTC).
    """
    return {"purchases": raw["purchases"].mutate(day_start=_.day.cast("timestamp('UTC')"))}


def purchases(prepared: Tables) -> ibis.Table:
    """Give each purchase, once its day is delivered."""
    return prepared["purchases"].mutate(known_at=_.day_start + DELIVERED_AFTER)


def calendar(prepared: Tables) -> ibis.Table:
    """Give each customer on each Monday that the shop can ask about: from the first purchase to 28 days ahead."""
    span = prepared["purchases"].aggregate(first=_.day_start.min().truncate("W"), last=_.day_start.max() + ASKED_ABOUT)
    mondays = span.select(week_start=ibis.range(span.first, span.last, ibis.interval(days=7)).unnest())
    customers = purchases(prepared).group_by("customer").aggregate(customer_known_at=_.known_at.min())
    rows = customers.cross_join(mondays).filter(_.customer_known_at <= _.week_start)
    return rows.select(
        "customer",
        "week_start",
        week=_.week_start.strftime("%Y-%m-%d"),
        known_at=ibis.greatest(_.customer_known_at, _.week_start - CALENDAR_KNOWN_AHEAD),
    )


def outcomes(prepared: Tables) -> ibis.Table:
    """Give whether a customer bought within 28 days of a Monday, once the list covers them all."""
    end_of_list = prepared["purchases"].aggregate(end=_.day_start.max() + ibis.interval(days=1))
    asked = calendar(prepared).drop("known_at").cross_join(end_of_list).filter(_.week_start + ASKED_ABOUT <= _.end)
    days = prepared["purchases"].select("customer", "day_start")
    bought = asked.left_join(
        days,
        [
            asked.customer == days.customer,
            days.day_start >= asked.week_start,
            days.day_start < asked.week_start + ASKED_ABOUT,
        ],
    )
    counted = bought.group_by("customer", "week", "week_start").aggregate(purchases=_.day_start.count())
    return counted.mutate(known_at=_.week_start + LABEL_KNOWN_AFTER)


GROUPS = {group.__name__: group for group in (purchases, calendar, outcomes)}
