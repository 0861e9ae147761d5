"""The features of traffic around a flight and of the coming schedule, on small literal rows."""

import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.problem.features import (
    area_departures,
    carrier_origin_departures,
    coming_schedule,
    destination_arrivals,
    flight_number_arrivals,
    origin_arrivals,
    route_arrivals,
    scheduled_flight,
)
from flightline.problem.request_features import AREA, request_keys
from tests.problem.raw_rows import cancelled, flight

# All leave on 3 June 2013 by New York's clock, four hours behind UTC.
FLIGHTS = [
    flight(flight=1, sched_dep_time=1000, sched_arr_time=1130, arr_delay=20),
    flight(flight=2, sched_dep_time=1020, sched_arr_time=1200, dest="ORD", arr_delay=0),
    flight(flight=3, sched_dep_time=1030, sched_arr_time=1140, origin="JFK", carrier="AA", dep_delay=10, arr_delay=-5),
    cancelled(flight=4, sched_dep_time=1100, sched_arr_time=1230),
    flight(flight=1, day="2013-06-10", sched_dep_time=1000, sched_arr_time=1130, arr_delay=0),
]


@pytest.fixture(scope="module")
def groups(groups_of):
    return groups_of(flights=FLIGHTS)


def rows_of(table, *columns: str) -> list[tuple]:
    frame = engine.to_frame(engine.in_order(table))[list(columns)]
    cells = frame.map(lambda cell: f"{cell:%m-%d %H:%M}" if isinstance(cell, pd.Timestamp) else cell)
    return [tuple(row) for row in cells.to_numpy()]


def test_all_airports_count_together(groups):
    names = [f"area_departures_1h_{name}" for name in ("count", "mean_delay", "share_cancelled")]
    rows = rows_of(area_departures(groups), "area", "event_timestamp", *names)
    assert rows[:4] == [
        (AREA, "06-03 14:00", 1, 0, 0),
        (AREA, "06-03 14:20", 2, 0, 0),
        (AREA, "06-03 14:40", 3, pytest.approx(10 / 3), 0),
        (AREA, "06-03 15:00", 4, pytest.approx(10 / 3), 0.25),
    ]


def test_a_carrier_counts_apart_at_each_origin(groups):
    names = [f"carrier_origin_departures_3h_{name}" for name in ("count", "share_cancelled")]
    rows = rows_of(carrier_origin_departures(groups), "carrier", "origin", "event_timestamp", *names)
    assert rows[0] == ("AA", "JFK", "06-03 14:40", 1, 0)
    assert rows[3] == ("UA", "EWR", "06-03 15:00", 3, 1 / 3)


@pytest.mark.parametrize(
    ("build", "keys", "name", "expected"),
    [
        (origin_arrivals, ["origin"], "origin_arrivals_24h", ("EWR", "06-03 15:50", 1, 20)),
        (route_arrivals, ["origin", "dest"], "route_arrivals_24h", ("EWR", "BOS", "06-03 15:50", 1, 20)),
        (destination_arrivals, ["dest"], "destination_arrivals_6h", ("BOS", "06-03 15:35", 1, -5)),
        (flight_number_arrivals, ["carrier", "flight"], "flight_number_arrivals_30d", ("AA", 3, "06-03 15:35", 1, -5)),
    ],
)
def test_landings_are_counted_by_key_from_the_minute_they_land(groups, build, keys, name, expected):
    rows = rows_of(build(groups), *keys, "event_timestamp", f"{name}_count", f"{name}_mean_delay")
    assert rows[0] == expected


def test_a_flight_number_remembers_thirty_days(groups):
    rows = rows_of(flight_number_arrivals(groups), "carrier", "flight", "flight_number_arrivals_30d_mean_delay")
    assert [row for row in rows if row[:2] == ("UA", 1)] == [("UA", 1, 20), ("UA", 1, 10)]


def test_the_schedule_counts_cancelled_flights_and_the_whole_minute(groups):
    rows = rows_of(coming_schedule(groups), "origin", "slot", "scheduled_around", "scheduled_3h_before")
    assert rows == [
        ("EWR", "2013-06-03T14:00", 2, 1),
        ("EWR", "2013-06-03T14:20", 2, 2),
        ("EWR", "2013-06-03T15:00", 1, 3),
        ("EWR", "2013-06-10T14:00", 1, 1),
        ("JFK", "2013-06-03T14:30", 1, 1),
    ]


def test_the_schedule_is_known_when_the_last_flight_it_counts_is(groups):
    assert rows_of(coming_schedule(groups), "slot", "event_timestamp")[0] == ("2013-06-03T14:00", "05-06 14:30")


def test_a_scheduled_flight_has_its_length_and_local_arrival(groups):
    names = ["distance", "scheduled_minutes", "scheduled_arrival_minute"]
    rows = rows_of(scheduled_flight(groups), "carrier", "flight", "slot", "event_timestamp", *names)
    # To Chicago, an hour behind: 10:20 to 12:00 by the clocks is 160 minutes.
    assert rows[3] == ("UA", 2, "2013-06-03T14:20", "05-06 14:20", 200, 160, 720)


def test_the_service_and_the_features_make_the_same_slot(groups):
    made = {row[0] for row in rows_of(coming_schedule(groups), "slot")}
    requests = pd.DataFrame({"scheduled_departure": [pd.Timestamp("2013-06-03 10:20", tz="America/New_York")]})
    asked = request_keys(requests)
    assert set(asked["slot"]) <= made
    assert list(asked["area"]) == [AREA]
