"""CHANGE ME for your own problem: raw tables to feature tables and examples.

A feature table is an Ibis expression over the groups of `availability.py`: key columns,
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

from flightline.core.problem_spec import Problem
from flightline.data.rolling import rolling
from flightline.problem.availability import AIRCRAFT_KNOWN_AHEAD, SCHEDULE_KNOWN_AHEAD, Tables
from flightline.problem.request_features import AREA, SLOT_FORMAT

LATE_MINUTES = 15
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_AROUND = timedelta(minutes=30)
CHANGING = ("temp", "wind_speed", "pressure", "visib")
# Two turns at least, there and back here; where less is left by plan, flights are late far more often.
LEAST_TURN_MINUTES, LONGEST_TURN_MINUTES = 45, 12 * 60


def _delay_measures(delay: ibis.Value) -> dict[str, ibis.Value]:
    return {"mean_delay": delay.clip(-30, 240).cast("float64"), "share_late": (delay >= LATE_MINUTES).cast("float64")}


def _minutes_between(earlier: ibis.Value, later: ibis.Value) -> ibis.Value:
    return ((later.epoch_seconds() - earlier.epoch_seconds()) / 60).cast("float64")


def slot_of(moment: ibis.Value) -> ibis.Value:
    """Give the minute of a departure as a key; `request_features.request_keys` gives the same."""
    return moment.strftime(SLOT_FORMAT)


def origin_weather(groups: Tables) -> ibis.Table:
    """Give the weather at the origin in the last full hour, stamped at that hour's end, and its change over 3 hours."""
    names = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    hours = groups["weather"].select("origin", "observed_from", **{name: _[name].cast("float64") for name in names})
    earlier = hours.select(
        earlier_origin="origin",
        earlier_hour=_.observed_from + ibis.interval(hours=3),
        **{f"{name}_before": name for name in CHANGING},
    )
    hour_before = [hours.origin == earlier.earlier_origin, hours.observed_from == earlier.earlier_hour]
    return hours.left_join(earlier, hour_before).select(
        "origin",
        *names,
        event_timestamp=_.observed_from + ibis.interval(hours=1),
        **{f"{name}_change_3h": _[name] - _[f"{name}_before"] for name in CHANGING},
    )


def _departures_and_cancellations(groups: Tables, *keys: str) -> ibis.Table:
    left = groups["departures"].select(*keys, at=_.departed_at, delay=_.departure_delay)
    never_left = groups["cancellations"].select(*keys, at=_.scheduled_departure, delay=ibis.null("int64"))
    return ibis.union(left, never_left)


def _recent_departures(events: ibis.Table, keys: list[str], windows: tuple[timedelta, ...], prefix: str) -> ibis.Table:
    return rolling(
        events,
        keys=keys,
        at="at",
        windows=windows,
        means=_delay_measures(_.delay),
        over=_.delay.notnull(),
        shares={"share_cancelled": _.delay.isnull()},
        prefix=prefix,
    )


def _recent_arrivals(groups: Tables, keys: list[str], windows: tuple[timedelta, ...], prefix: str) -> ibis.Table:
    lost = (_.arrival_delay - _.departure_delay).clip(-60, 120).cast("float64")
    means = _delay_measures(_.arrival_delay) | {"mean_lost": lost}
    return rolling(groups["arrivals"], keys=keys, at="landed_at", windows=windows, means=means, prefix=prefix)


def origin_departures(groups: Tables) -> ibis.Table:
    """Count departures, delays and cancellations at the origin, over 1, 3 and 24 hours."""
    events = _departures_and_cancellations(groups, "origin")
    return _recent_departures(events, ["origin"], (_HOUR, 3 * _HOUR, 24 * _HOUR), "origin_departures")


def area_departures(groups: Tables) -> ibis.Table:
    """Count departures, delays and cancellations at all three airports together, over 1 and 3 hours."""
    events = _departures_and_cancellations(groups).mutate(area=ibis.literal(AREA))
    return _recent_departures(events, ["area"], (_HOUR, 3 * _HOUR), "area_departures")


def carrier_origin_departures(groups: Tables) -> ibis.Table:
    """Count departures, delays and cancellations of the carrier at this origin, over 3 and 12 hours."""
    events = _departures_and_cancellations(groups, "carrier", "origin")
    windows = (3 * _HOUR, 12 * _HOUR)
    return _recent_departures(events, ["carrier", "origin"], windows, "carrier_origin_departures")


def origin_overdue(groups: Tables) -> ibis.Table:
    """Follow the flights due at the origin that have not left: how many, and the mean minute they are due since.

    A row is stamped when a flight falls due, leaves or is known to be cancelled; `request_features.on_demand`
    makes minutes of the moment.
    """

    def change(group: str, at: ibis.Value, flights: int) -> ibis.Table:
        minute = _.scheduled_departure.epoch_seconds() // 60  # since 1970; whole numbers add up exactly
        rows = groups[group].mutate(count=ibis.literal(flights, "int64"))
        return rows.select("origin", "count", event_timestamp=at, since=minute * flights)

    due = change("schedule", _.scheduled_departure, 1)
    left = change("departures", ibis.greatest(_.departed_at, _.scheduled_departure), -1)
    never_left = change("cancellations", _.scheduled_departure, -1)
    moments = ibis.union(due, left, never_left).group_by("origin", "event_timestamp")
    moments = moments.aggregate(count=_["count"].sum(), since=_.since.sum())
    so_far = ibis.window(group_by="origin", order_by="event_timestamp", preceding=None, following=0)
    running = moments.mutate(count=moments["count"].sum().over(so_far), since=moments.since.sum().over(so_far))
    return running.select(
        "origin",
        "event_timestamp",
        overdue_count=running["count"].cast("float64"),
        overdue_since=running.since / running["count"].nullif(0),
    )


def origin_arrivals(groups: Tables) -> ibis.Table:
    """Count landings elsewhere of flights from the origin, over 3 and 24 hours."""
    return _recent_arrivals(groups, ["origin"], (3 * _HOUR, 24 * _HOUR), "origin_arrivals")


def carrier_arrivals(groups: Tables) -> ibis.Table:
    """Count landings of the carrier's flights, over 6 hours and 7 days."""
    return _recent_arrivals(groups, ["carrier"], (6 * _HOUR, 7 * _DAY), "carrier_arrivals")


def route_arrivals(groups: Tables) -> ibis.Table:
    """Count landings of flights on the route, over 24 hours and 30 days."""
    return _recent_arrivals(groups, ["origin", "dest"], (24 * _HOUR, 30 * _DAY), "route_arrivals")


def destination_arrivals(groups: Tables) -> ibis.Table:
    """Count landings at the destination, over 6 and 24 hours and 30 days."""
    return _recent_arrivals(groups, ["dest"], (6 * _HOUR, 24 * _HOUR, 30 * _DAY), "destination_arrivals")


def flight_number_arrivals(groups: Tables) -> ibis.Table:
    """Count landings of the same flight number, over 30 and 90 days."""
    return _recent_arrivals(groups, ["carrier", "flight"], (30 * _DAY, 90 * _DAY), "flight_number_arrivals")


def coming_schedule(groups: Tables) -> ibis.Table:
    """Count the flights scheduled at the origin around each minute, and in the 3 hours before.

    A row is known once the last flight that it counts is in the schedule.
    """
    slots = groups["schedule"].group_by("origin", "scheduled_departure").aggregate(flights=_.count().cast("float64"))

    def scheduled(before: timedelta, after: timedelta) -> ibis.Value:
        window = ibis.range_window(
            preceding=ibis.interval(seconds=int(before.total_seconds())),
            following=ibis.interval(seconds=int(after.total_seconds())),
            group_by="origin",
            order_by="scheduled_departure",
        )
        return slots.flights.sum().over(window)

    return slots.select(
        "origin",
        slot=slot_of(slots.scheduled_departure),
        event_timestamp=slots.scheduled_departure + ibis.literal(_AROUND) - SCHEDULE_KNOWN_AHEAD,
        scheduled_around=scheduled(_AROUND, _AROUND),
        scheduled_3h_before=scheduled(3 * _HOUR, timedelta(0)),
    )


def scheduled_flight(groups: Tables) -> ibis.Table:
    """Give what the schedule says of the flight: how long, how far, and when it is to land."""
    schedule = groups["schedule"].mutate(slot=slot_of(_.scheduled_departure))
    minutes = _minutes_between(_.scheduled_departure, _.scheduled_arrival)
    flights = schedule.group_by(
        "carrier", "flight", "origin", "slot", event_timestamp=_.scheduled_departure - SCHEDULE_KNOWN_AHEAD
    )
    return flights.aggregate(
        distance=_.distance.max().cast("float64"),
        scheduled_minutes=minutes.max(),
        scheduled_arrival_minute=_.scheduled_arrival_minute.max().cast("float64"),
    )


def aircraft_turns(groups: Tables) -> ibis.Table:
    """Give what the plan leaves an aircraft between its leg before and this departure, and how late that leg is.

    The plan holds the aircraft that flew. One that could not have been back by plan was swapped in late, mostly for a
    late one, so such a turn has no row; nor has one whose leg before has not left: where a swap saved that flight, it
    bears another number (docs/decisions/0005-what-is-known-when.md).
    """
    legs = groups["schedule"].join(groups["assignments"].drop("known_at"), "flight_id")
    before = ibis.window(group_by="tailnum", order_by=["scheduled_departure", "flight_id"])
    landing, start = _.scheduled_arrival.lag().over(before), _.scheduled_departure.lag().over(before)
    turns = legs.mutate(_previous=_.flight_id.lag().over(before), _landing=landing, _start=start)
    # It is back once it has flown the same way again; the data holds no leg into New York.
    turns = turns.mutate(
        turn_slack=_minutes_between(_._landing, _.scheduled_departure) - _minutes_between(_._start, _._landing)
    )
    turns = turns.filter(_.turn_slack.between(LEAST_TURN_MINUTES, LONGEST_TURN_MINUTES))
    left = groups["departures"].select(_previous=_.flight_id, at=_.departed_at, turn_delay=_.departure_delay)
    landed = groups["arrivals"].select(_previous=_.flight_id, at=_.landed_at, turn_delay=_.arrival_delay)
    known = turns.join(ibis.union(left, landed), "_previous")
    planned = _.scheduled_departure - AIRCRAFT_KNOWN_AHEAD
    rows = known.group_by("tailnum", slot=slot_of(_.scheduled_departure), event_timestamp=ibis.greatest(_.at, planned))
    return rows.aggregate(turn_slack=_.turn_slack.min(), turn_delay=_.turn_delay.max().cast("float64"))


FEATURE_TABLES: Mapping[str, Callable[[Tables], ibis.Table]] = {
    table.__name__: table
    for table in (
        origin_weather,
        origin_departures,
        area_departures,
        carrier_origin_departures,
        origin_overdue,
        origin_arrivals,
        carrier_arrivals,
        route_arrivals,
        destination_arrivals,
        flight_number_arrivals,
        aircraft_turns,
        coming_schedule,
        scheduled_flight,
    )
}


def examples(groups: Tables, problem: Problem) -> ibis.Table:
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
        event_timestamp=_.scheduled_departure - ibis.interval(problem.prediction_horizon),
        outcome=ibis.cases(
            (_.landed_at.notnull(), "landed"), (_.is_cancelled, "cancelled"), (_.is_diverted, "diverted")
        ),
        late=(_.arrival_delay >= LATE_MINUTES).cast("int64"),
        label_known_at=_.landed_at,
    )
