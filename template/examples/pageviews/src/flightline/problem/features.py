"""CHANGE ME for your own problem: raw tables to feature tables and examples.

A feature table is an Ibis expression over the groups of `availability.py`: key columns,
``event_timestamp`` (UTC: when the row's values became known), and float64 features. Nothing
is filled in: a missing value stays missing and the model handles it. Feast serves, for each
key, the newest row at or before the prediction time and not older than the view's ttl.

Views count as their natural logarithm. A day's count is known two days after the day began,
so at noon of the day before the newest known count is that of three days before.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import ibis
from ibis import _

from flightline.core.problem_spec import Problem
from flightline.data.rolling import rolling
from flightline.problem.availability import Tables

_DAY = timedelta(days=1)


def _published(groups: Tables) -> ibis.Table:
    return groups["counts"].mutate(log_views=_.views.cast("float64").ln(), at=_.day_start + ibis.interval(days=2))


def _days_later(groups: Tables, days: int, name: str) -> ibis.Table:
    """Keep each count for the day that comes so many days later."""
    target = (_.day_start + ibis.interval(days=days)).strftime("%Y-%m-%d")
    return _published(groups).select("page", day=target, event_timestamp=_.at, **{name: _.log_views})


def page_last_count(groups: Tables) -> ibis.Table:
    """Give the page's newest published count."""
    return _published(groups).select("page", event_timestamp=_.at, last_log_views=_.log_views)


def page_recent(groups: Tables) -> ibis.Table:
    """Average the page's last 7 and 28 published counts.

    A window is closed at both ends, so one of 6 days holds 7 counts. How many it holds is left
    out: no day is missing, so it would be a constant.
    """
    averages = rolling(
        _published(groups),
        keys=["page"],
        at="at",
        windows=(6 * _DAY, 27 * _DAY),
        means={"mean_log_views": _.log_views},
        prefix="page_recent",
    )
    return averages.drop("page_recent_6d_count", "page_recent_27d_count")


def page_day_week_before(groups: Tables) -> ibis.Table:
    """Give the page's count of seven days before the day in question."""
    return _days_later(groups, 7, "log_views_week_before")


def page_day_year_before(groups: Tables) -> ibis.Table:
    """Give the page's count of 52 weeks before: nearly the same date, and the same day of the week."""
    return _days_later(groups, 364, "log_views_year_before")


FEATURE_TABLES: Mapping[str, Callable[[Tables], ibis.Table]] = {
    table.__name__: table for table in (page_last_count, page_recent, page_day_week_before, page_day_year_before)
}


def examples(groups: Tables, problem: Problem) -> ibis.Table:
    """Give one row for each thing to predict, with its label where the groups know it.

    Returns
    -------
    ibis.Table
        ``example_id``; the entity keys; ``event_timestamp`` (the prediction time, UTC);
        ``outcome`` (counted, or null while unknown); the label ``log_views`` (or null) and
        ``label_known_at`` (UTC or null).
    """
    counted = groups["counts"].select("page", "day", "views", label_known_at=_.known_at)
    rows = groups["calendar"].left_join(counted, ["page", "day"])
    return rows.select(
        "page",
        "day",
        "label_known_at",
        example_id=_.page + "-" + _.day,
        event_timestamp=_.day_start - ibis.interval(problem.prediction_horizon),
        outcome=ibis.cases((_.views.notnull(), "counted")),
        log_views=_.views.cast("float64").ln(),
    )
