"""CHANGE ME for your own problem: groups of raw columns, and when each becomes known.

Each function cuts one group of columns out of the raw tables and states in `known_at` (UTC)
when such a row can be known, independently of the feature code. The leak test, the features
and the labels are all judged by it.

Decided for this data:

- the schedule is known 28 days before departure; which aircraft flies it, one day before
  (the data holds the aircraft that flew: a late swap cannot be seen in it);
- a departure and its delay are known at the actual departure, an arrival delay at the landing;
- a cancellation has no time in the data: it counts as known at the scheduled departure;
- a diverted flight never gets an arrival delay; that it was diverted counts as known one day
  after its scheduled arrival;
- an hour's weather is known at the end of that hour.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import ibis
from ibis import _

from flightline.data.timezones import to_utc, zone_periods
from flightline.problem.raw_tables import AIRPORT_TIME_ZONES, IMPOSSIBLE_WIND_SPEED, TIME_ZONES_OF_ABSENT_AIRPORTS

SCHEDULE_KNOWN_AHEAD = ibis.interval(days=28)
AIRCRAFT_KNOWN_AHEAD = ibis.interval(days=1)
DIVERSION_KNOWN_AFTER = ibis.interval(days=1)
OBSERVATION_LENGTH = ibis.interval(hours=1)
ZONE_PERIODS_FROM = datetime(2012, 1, 1, tzinfo=UTC)
ZONE_PERIODS_TO = datetime(2030, 1, 1, tzinfo=UTC)

Tables = Mapping[str, ibis.Table]


def prepare(raw: Tables) -> dict[str, ibis.Table]:
    """Put one row a flight into UTC: what every group below is cut from.

    Parameters
    ----------
    raw
        The raw tables of `dataset.CONTRACTS`, typed.

    Returns
    -------
    dict
        ``flights`` (one row a flight, with scheduled, actual and landing times in UTC) and
        ``weather``.
    """
    return {"flights": _flights_in_utc(raw["flights"], raw["airports"]), "weather": raw["weather"]}


def _minutes(hhmm: ibis.Column) -> ibis.Column:
    return (hhmm // 100) * 60 + hhmm % 100


def _flights_in_utc(flights: ibis.Table, airports: ibis.Table) -> ibis.Table:
    known_zones = airports.filter(_.tzone.notnull()).select(_airport=_.faa, _zone=_.tzone)
    absent = ibis.memtable(list(TIME_ZONES_OF_ABSENT_AIRPORTS.items()), columns=["_airport", "_zone"])
    zones = ibis.union(known_zones, absent)
    names = [*AIRPORT_TIME_ZONES, *TIME_ZONES_OF_ABSENT_AIRPORTS.values()]
    periods = ibis.memtable(zone_periods(names, ZONE_PERIODS_FROM, ZONE_PERIODS_TO))
    rows = flights.join(zones, flights.dest == zones._airport).mutate(
        scheduled_departure=_.time_hour + _.minute.as_interval("m"),
        _date=ibis.date(_.year, _.month, _.day).cast("timestamp"),
    )
    # The arrival is at the first such reading of the destination's clock after the departure.
    rows = rows.mutate(_local=rows._date + _minutes(rows.sched_arr_time).as_interval("m"))
    rows = to_utc(rows, periods, local="_local", zone="_zone", name="_same_day")
    rows = rows.mutate(
        _local=ibis.ifelse(_._same_day <= _.scheduled_departure, _._local + ibis.interval(days=1), _._local)
    )
    rows = to_utc(rows, periods, local="_local", zone="_zone", name="scheduled_arrival")
    return rows.select(
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "distance",
        "air_time",
        "scheduled_departure",
        "scheduled_arrival",
        flight_id=_.carrier
        + _.flight.cast("string")
        + "-"
        + _.origin
        + "-"
        + _.scheduled_departure.strftime("%Y-%m-%dT%H:%M"),
        departed_at=_.scheduled_departure + _.dep_delay.as_interval("m"),
        departure_delay=_.dep_delay,
        landed_at=_.scheduled_arrival + _.arr_delay.as_interval("m"),
        arrival_delay=_.arr_delay,
        scheduled_arrival_minute=_minutes(_.sched_arr_time),
    )


def schedule(prepared: Tables) -> ibis.Table:
    """Give the scheduled flights: what is on sale long before the day."""
    return prepared["flights"].select(
        "flight_id",
        "carrier",
        "flight",
        "origin",
        "dest",
        "distance",
        "scheduled_departure",
        "scheduled_arrival",
        "scheduled_arrival_minute",
        known_at=_.scheduled_departure - SCHEDULE_KNOWN_AHEAD,
    )


def assignments(prepared: Tables) -> ibis.Table:
    """Give the aircraft planned for each flight; flights without a tail number have no row."""
    flights = prepared["flights"].filter(_.tailnum.notnull())
    return flights.select("flight_id", "tailnum", known_at=_.scheduled_departure - AIRCRAFT_KNOWN_AHEAD)


def departures(prepared: Tables) -> ibis.Table:
    """Give the flights that left, known at the minute they left."""
    flights = prepared["flights"].filter(_.departed_at.notnull())
    return flights.select(
        "flight_id",
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "scheduled_departure",
        "departed_at",
        "departure_delay",
        known_at=_.departed_at,
    )


def arrivals(prepared: Tables) -> ibis.Table:
    """Give the flights that landed where they were going, known at the minute they landed."""
    flights = prepared["flights"].filter(_.landed_at.notnull())
    return flights.select(
        "flight_id",
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "scheduled_departure",
        "departed_at",
        "departure_delay",
        "landed_at",
        "arrival_delay",
        known_at=_.landed_at,
    )


def cancellations(prepared: Tables) -> ibis.Table:
    """Give the flights that never left."""
    flights = prepared["flights"].filter(_.departed_at.isnull())
    return flights.select(
        "flight_id", "carrier", "flight", "origin", "dest", "scheduled_departure", known_at=_.scheduled_departure
    )


def diversions(prepared: Tables) -> ibis.Table:
    """Give the flights that left and did not land where they were going."""
    flights = prepared["flights"].filter(_.departed_at.notnull() & _.landed_at.isnull())
    return flights.select("flight_id", known_at=_.scheduled_arrival + DIVERSION_KNOWN_AFTER)


def weather(prepared: Tables) -> ibis.Table:
    """Give the hourly observations of the stations at the origins."""
    wind_speed = ibis.ifelse(_.wind_speed == IMPOSSIBLE_WIND_SPEED, ibis.null(float), _.wind_speed)
    return prepared["weather"].select(
        "origin",
        "temp",
        "dewp",
        "humid",
        "wind_dir",
        "wind_gust",
        "precip",
        "pressure",
        "visib",
        wind_speed=wind_speed,
        observed_from=_.time_hour,
        known_at=_.time_hour + OBSERVATION_LENGTH,
    )


GROUPS = {
    group.__name__: group for group in (schedule, assignments, departures, arrivals, cancellations, diversions, weather)
}
