"""The aircraft's turn: what its leg before tells, and that a number swapped in late tells nothing."""

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.problem import features
from flightline.problem.features import aircraft_turns, origin_arrivals, origin_overdue
from flightline.problem.request_features import on_demand
from tests.problem.raw_rows import cancelled, flight

# To Boston and back takes 90 minutes each way by plan: after 12:00 the aircraft is back at 15:00 (New York's clock).
OUT = flight(flight=1, sched_dep_time=1200, sched_arr_time=1330, dep_delay=20, arr_delay=35)


def turns_of(groups) -> list[tuple]:
    table = engine.to_frame(engine.in_order(aircraft_turns(groups)))
    return [
        (row.slot[-5:], f"{row.event_timestamp:%H:%M}", row.turn_slack, row.turn_delay) for row in table.itertuples()
    ]


def test_a_turn_is_known_when_the_leg_before_left_and_again_when_it_landed(groups_of):
    groups = groups_of(flights=[OUT, flight(flight=2, sched_dep_time=1600, sched_arr_time=1730)])
    assert turns_of(groups) == [("20:00", "16:20", 60, 20), ("20:00", "18:05", 60, 35)]


@pytest.mark.parametrize(
    ("following", "turns"),
    [(1330, 0), (1500, 0), (1544, 0), (1545, 2), (1600, 2)],
    ids=["while it is away", "as it is back", "too little time", "just enough", "an hour"],
)
def test_only_an_aircraft_that_could_be_back_has_a_turn(groups_of, following, turns):
    groups = groups_of(flights=[OUT, flight(flight=2, sched_dep_time=following, sched_arr_time=2300)])
    assert len(turns_of(groups)) == turns


def test_a_leg_before_that_never_left_gives_no_turn(groups_of):
    leg = cancelled(flight=1, sched_dep_time=1200, sched_arr_time=1330)
    assert turns_of(groups_of(flights=[leg, flight(flight=2, sched_dep_time=1600, sched_arr_time=1730)])) == []


def swapped_in(groups) -> tuple[dict[str, ibis.Table], pd.DataFrame]:
    """Give 300 late flights the number of an aircraft that left New York within the hour before them."""
    flights = groups["schedule"].join(groups["assignments"].drop("known_at"), "flight_id").to_pandas()
    late = flights.merge(groups["arrivals"].filter(_.arrival_delay >= 60).select("flight_id").to_pandas())
    late = late.sample(300, random_state=0).sort_values("scheduled_departure")
    away = flights[~flights["flight_id"].isin(late["flight_id"])].sort_values("scheduled_departure")
    found = pd.merge_asof(
        late[["flight_id", "scheduled_departure"]],
        away[["scheduled_departure", "tailnum"]],
        on="scheduled_departure",
        allow_exact_matches=False,
        tolerance=pd.Timedelta(hours=1),
    ).dropna()
    swaps = found.assign(slot=found["scheduled_departure"].dt.strftime("%Y-%m-%dT%H:%M"))
    planned = groups["assignments"].to_pandas().set_index("flight_id")
    planned.loc[swaps["flight_id"], "tailnum"] = swaps["tailnum"].to_numpy()
    assignments = ibis.memtable(planned.reset_index(), schema=groups["assignments"].schema())
    return {**groups, "assignments": assignments}, swaps


def rows_of_swaps(groups, swaps: pd.DataFrame) -> int:
    turns = engine.to_frame(aircraft_turns(groups).select("tailnum", "slot"))
    return len(turns.merge(swaps, on=["tailnum", "slot"]))


def test_a_number_swapped_in_late_gains_nothing(winter_groups, monkeypatch):
    groups, swaps = swapped_in(winter_groups)
    assert len(swaps) > 200
    assert rows_of_swaps(groups, swaps) == 0
    monkeypatch.setattr(features, "LEAST_TURN_MINUTES", -1440)  # what would be seen of them otherwise
    assert rows_of_swaps(groups, swaps) > 100


def test_overdue_flights_are_those_due_not_gone_and_not_cancelled(groups_of):
    groups = groups_of(
        flights=[
            flight(flight=1, sched_dep_time=1200, dep_delay=-5),
            flight(flight=2, sched_dep_time=1200, dep_delay=50, arr_delay=50),
            flight(flight=3, sched_dep_time=1230, dep_delay=10, arr_delay=10),
            cancelled(flight=4, sched_dep_time=1230),
        ]
    )
    table = engine.to_frame(engine.in_order(origin_overdue(groups)))
    noon = pd.Timestamp("2013-06-03 16:00", tz="UTC").timestamp() / 60
    rows = [(f"{row.event_timestamp:%H:%M}", row.overdue_count, row.overdue_since - noon) for row in table.itertuples()]
    assert rows[:2] == [("16:00", 1, 0), ("16:30", 2, 15)]
    assert rows[2] == ("16:40", 1, 0)
    assert rows[3][:2] == ("16:50", 0)
    assert np.isnan(rows[3][2])


def test_minutes_overdue_grow_until_the_moment_that_is_asked_as_of():
    as_of = pd.DatetimeIndex(["2013-06-03 16:30", "2013-06-03 16:31"], tz="UTC").as_unit("us")
    due = pd.Timestamp("2013-06-03 16:00", tz="UTC").timestamp() / 60
    minutes = on_demand({"as_of": as_of}, {"overdue_since": np.array([due, np.nan])})["overdue_minutes"]
    assert minutes[0] == 30
    assert np.isnan(minutes[1])


def test_minutes_lost_on_the_way_are_those_between_the_two_delays(groups_of):
    table = engine.to_frame(origin_arrivals(groups_of(flights=[OUT])))
    assert table["origin_arrivals_3h_mean_lost"].tolist() == [15]
