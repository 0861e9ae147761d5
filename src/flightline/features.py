"""CHANGE ME for your own problem: raw tables to feature tables and examples.

A feature table is an Ibis expression over the groups of `knowledge.py`: key columns,
``event_timestamp`` (UTC: when the row's values became known), and float64 features. Nothing
is filled in: a missing value stays missing and the model handles it. Feast serves, for each
key, the newest row at or before the prediction time and not older than the view's ttl.

Delays count in minutes, clipped to -30..240 so that one stranded flight does not speak for
an airport. Late means 15 or more minutes (the US DOT's definition).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import ibis
from ibis import _

from flightline.aggregation import rolling
from flightline.knowledge import Tables
from flightline.problem import PROBLEM

LATE_MINUTES = 15
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def _delay_measures(delay: ibis.Value) -> dict[str, ibis.Value]:
    return {"mean_delay": delay.clip(-30, 240).cast("float64"), "share_late": (delay >= LATE_MINUTES).cast("float64")}


def origin_weather(groups: Tables) -> ibis.Table:
    """Weather at the origin: the last full hour, stamped at that hour's end."""
    names = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    return groups["weather"].select(
        "origin",
        event_timestamp=_.observed_from + ibis.interval(hours=1),
        **{name: _[name].cast("float64") for name in names},
    )


def origin_departures(groups: Tables) -> ibis.Table:
    """Departures and cancellations at the origin, over 1, 3 and 24 hours."""
    left = groups["departures"].select("origin", at=_.departed_at, delay=_.departure_delay)
    never_left = groups["cancellations"].select("origin", at=_.scheduled_departure, delay=ibis.null("int64"))
    return rolling(
        ibis.union(left, never_left),
        keys=["origin"],
        at="at",
        windows=(_HOUR, 3 * _HOUR, 24 * _HOUR),
        means=_delay_measures(_.delay),
        over=_.delay.notnull(),
        shares={"share_cancelled": _.delay.isnull()},
        prefix="origin_departures",
    )


def carrier_arrivals(groups: Tables) -> ibis.Table:
    """Landings of the carrier's flights, over 6 hours and 7 days."""
    return rolling(
        groups["arrivals"],
        keys=["carrier"],
        at="landed_at",
        windows=(6 * _HOUR, 7 * _DAY),
        means=_delay_measures(_.arrival_delay),
        prefix="carrier_arrivals",
    )


def aircraft_last_departure(groups: Tables) -> ibis.Table:
    """Give the aircraft's last leg from the moment it left: minutes of departure delay."""
    events = groups["departures"].group_by("tailnum", event_timestamp=_.departed_at)
    return events.aggregate(last_departure_delay=_.departure_delay.max().cast("float64"))


def aircraft_last_arrival(groups: Tables) -> ibis.Table:
    """Give the aircraft's last leg from the moment it landed: minutes of arrival delay.

    One aircraft of 2013 lands twice in the same minute by the records; the later delay counts.
    """
    events = groups["arrivals"].group_by("tailnum", event_timestamp=_.landed_at)
    return events.aggregate(last_arrival_delay=_.arrival_delay.max().cast("float64"))


FEATURE_TABLES: Mapping[str, Callable[[Tables], ibis.Table]] = {
    table.__name__: table
    for table in (
        origin_weather,
        origin_departures,
        carrier_arrivals,
        aircraft_last_departure,
        aircraft_last_arrival,
    )
}


def examples(groups: Tables) -> ibis.Table:
    """Give one row for each thing to predict, with its label where the groups know it.

    Returns
    -------
    ibis.Table
        ``example_id``; the entity keys and the other request columns; ``event_timestamp``
        (the prediction time, UTC); ``outcome`` (landed, cancelled, diverted or null while
        unknown); the label ``late`` (1, 0 or null) and ``label_known_at`` (UTC or null).
        Cancelled and diverted flights have no label.
    """
    landed = groups["arrivals"].select("flight_id", landed_at=_.known_at, arrival_delay=_.arrival_delay)
    cancelled = groups["cancellations"].select("flight_id", is_cancelled=ibis.literal(True))
    diverted = groups["diversions"].select("flight_id", is_diverted=ibis.literal(True))
    rows = groups["schedule"]
    for outcome in (groups["assignments"].drop("known_at"), landed, cancelled, diverted):
        rows = rows.left_join(outcome, "flight_id").drop("flight_id_right")
    return rows.select(
        "origin",
        "dest",
        "carrier",
        "flight",
        "tailnum",
        "scheduled_departure",
        example_id=_.flight_id,
        event_timestamp=_.scheduled_departure - ibis.literal(PROBLEM.prediction_horizon),
        outcome=ibis.cases(
            (_.landed_at.notnull(), "landed"), (_.is_cancelled, "cancelled"), (_.is_diverted, "diverted")
        ),
        late=(_.arrival_delay >= LATE_MINUTES).cast("int64"),
        label_known_at=_.landed_at,
    )
