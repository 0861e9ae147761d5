"""CHANGE ME for your own problem: raw tables to feature tables and examples.

A feature table is an Ibis expression over the groups of `availability.py`: key columns,
``event_timestamp`` (UTC: when the row's values became known), and float64 features. Nothing
is filled in: a missing value stays missing and the model handles it. Feast serves, for each
key, the newest row at or before the prediction time and not older than the view's ttl.

What a purchase tells is stamped when its day is delivered. What changes by the mere passing of
days (how long ago the last purchase was, how many lie in a window) no purchase can tell: it is
computed for each customer and Monday at noon of the Sunday before, when Saturday's purchases are
there. A value stamped at the last purchase would be as old as that purchase.
"""

from collections.abc import Callable, Mapping

import ibis
from ibis import _

from flightline.core.problem_spec import Problem
from flightline.problem.availability import DELIVERED_AFTER, Tables

WEEK_COMPUTED_BEFORE = ibis.interval(hours=12)  # before its Monday begins
# Days. None so long that the fit window has nobody without a purchase in it: their zeros would be new to the model
# later, when they are most. The monitor says so (of 364 days it said that the column no longer moves).
WINDOWS = (28, 84)


def _purchase_days(groups: Tables) -> ibis.Table:
    """Add up what a customer bought on a day: CDs, and cents, whose sums do not depend on their order."""
    days = groups["purchases"].group_by("customer", "day_start").aggregate(
        cds=_.cds.sum(), cents=(_.amount * 100).round().cast("int64").sum()
    )  # fmt: skip
    return days.mutate(at=_.day_start + DELIVERED_AFTER)


def customer_first_purchase(groups: Tables) -> ibis.Table:
    """Give what the customer bought on the first day, for as long as there is a customer."""
    days = _purchase_days(groups)
    first = days.mutate(place=ibis.row_number().over(group_by="customer", order_by="day_start")).filter(_.place == 0)
    return first.select(
        "customer",
        event_timestamp=_.at,
        first_cds=_.cds.cast("float64"),
        first_amount=_.cents.cast("float64") / 100.0,
    )


def customer_last_purchase(groups: Tables) -> ibis.Table:
    """Give what the customer bought on the newest day, and how long after the day before it, if there was one."""
    before = _.day_start.lag().over(group_by="customer", order_by="day_start")
    days = _purchase_days(groups).mutate(gap=(_.day_start.epoch_seconds() - before.epoch_seconds()) / 86_400)
    return days.select(
        "customer",
        event_timestamp=_.at,
        last_cds=_.cds.cast("float64"),
        last_amount=_.cents.cast("float64") / 100.0,
        days_between_last_two=_.gap.cast("float64"),
    )


def customer_week(groups: Tables) -> ibis.Table:
    """Count what the customer bought before a Monday, as known at noon of the Sunday."""
    weeks = groups["calendar"].select("customer", "week", at_week=_.week_start - WEEK_COMPUTED_BEFORE)
    days = _purchase_days(groups)
    known = weeks.inner_join(days, [weeks.customer == days.customer, days.at <= weeks.at_week])
    known = known.mutate(age=((_.at_week.epoch_seconds() - _.at.epoch_seconds()) / 86_400).cast("float64"))
    counts = {f"days_with_purchase_{days}d": (_.age < days).sum().cast("float64") for days in WINDOWS}
    spent = {f"spent_{days}d": ibis.ifelse(_.age < days, _.cents, 0).sum().cast("float64") / 100 for days in WINDOWS}
    return known.group_by("customer", "week", event_timestamp=_.at_week).aggregate(
        days_since_first=_.age.max(),
        days_since_last=_.age.min(),
        days_with_purchase=_.count().cast("float64"),
        spent=_.cents.sum().cast("float64") / 100,
        **counts,
        **spent,
    )


FEATURE_TABLES: Mapping[str, Callable[[Tables], ibis.Table]] = {
    table.__name__: table for table in (customer_first_purchase, customer_last_purchase, customer_week)
}


def examples(groups: Tables, problem: Problem) -> ibis.Table:
    """Give one row for each thing to predict, with its label where the groups know it.

    Returns
    -------
    ibis.Table
        ``example_id``; the entity keys; ``event_timestamp`` (the prediction time, UTC);
        ``outcome`` (bought, none, or null while the 28 days are not over); the label ``buys``
        (1, 0 or null) and ``label_known_at`` (UTC or null).
    """
    over = groups["outcomes"].select("customer", "week", "purchases", label_known_at=_.known_at)
    rows = groups["calendar"].left_join(over, ["customer", "week"])
    return rows.select(
        "customer",
        "week",
        "label_known_at",
        example_id=_.customer.cast("string") + "-" + _.week,
        event_timestamp=_.week_start - ibis.interval(problem.prediction_horizon),
        outcome=ibis.cases((_.purchases > 0, "bought"), (_.purchases == 0, "none")),
        buys=(_.purchases > 0).cast("int64"),
    )
