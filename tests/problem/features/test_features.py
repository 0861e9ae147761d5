"""Each feature table and the examples, on small literal groups."""

import ibis
import numpy as np
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.problem.config import PROBLEM
from flightline.problem.features import (
    carrier_arrivals,
    examples,
    origin_departures,
    origin_weather,
)
from tests.problem.raw_rows import cancelled, diverted, flight, observation


def at(text: str) -> pd.Timestamp:
    """Read a time of 3 June 2013, or a whole timestamp, as UTC."""
    return pd.Timestamp(text if "-" in text else f"2013-06-03 {text}", tz="UTC")


def group(rows: list[tuple], **columns: str) -> ibis.Table:
    """Make one group from rows of literals and the names and types of their columns."""
    cells = [
        [at(cell) if kind.startswith("timestamp") else cell for cell, kind in zip(row, columns.values(), strict=True)]
        for row in rows
    ]
    return ibis.memtable(pd.DataFrame(cells, columns=list(columns)), schema=columns)


UTC = "timestamp('UTC')"


def departures(*rows: tuple[str, str, str, int]) -> ibis.Table:
    return group(list(rows), origin="string", tailnum="string", departed_at=UTC, departure_delay="int64")


def cancellations(*rows: tuple[str, str]) -> ibis.Table:
    return group(list(rows), origin="string", scheduled_departure=UTC)


def arrivals(*rows: tuple[str, str, str, int]) -> ibis.Table:
    """Make landings of flights that left on time."""
    table = group(list(rows), carrier="string", tailnum="string", landed_at=UTC, arrival_delay="int64")
    return table.mutate(departure_delay=ibis.literal(0, "int64"))


def rows_of(connection, table: ibis.Table, *columns: str) -> list[tuple]:
    """Compute a feature table: its rows in order of key and time; None is missing, times are hours and minutes."""
    frame = connection.to_pandas(engine.in_order(table))[list(columns)].astype(object)
    cells = frame.map(lambda value: f"{value:%H:%M}" if isinstance(value, pd.Timestamp) else value)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in cells.to_numpy()]


def test_departures_and_cancellations_of_an_origin(connection):
    groups = {
        "departures": departures(("EWR", "N1", "10:00", 0), ("EWR", "N2", "10:30", 30), ("JFK", "N3", "10:30", 60)),
        "cancellations": cancellations(("EWR", "10:45")),
    }
    names = [f"origin_departures_1h_{name}" for name in ("count", "mean_delay", "share_late", "share_cancelled")]
    assert rows_of(connection, origin_departures(groups), "origin", "event_timestamp", *names) == [
        ("EWR", "10:00", 1, 0, 0, 0),
        ("EWR", "10:30", 2, 15, 0.5, 0),
        ("EWR", "10:45", 3, 15, 0.5, 1 / 3),
        ("JFK", "10:30", 1, 60, 1, 0),
    ]


def test_windows_of_an_origins_departures(connection):
    groups = {
        "departures": departures(
            ("EWR", "N1", "2013-06-02 18:00", 4), ("EWR", "N1", "15:30", 8), ("EWR", "N2", "17:30", 0)
        ),
        "cancellations": cancellations(),
    }
    names = [f"origin_departures_{window}_mean_delay" for window in ("1h", "3h", "24h")]
    assert rows_of(connection, origin_departures(groups), *names)[-1] == (0, 4, 4)


def test_an_origin_where_all_was_cancelled_has_no_mean_delay(connection):
    groups = {"departures": departures(), "cancellations": cancellations(("EWR", "10:00"))}
    names = [
        "origin_departures_1h_mean_delay",
        "origin_departures_1h_share_late",
        "origin_departures_1h_share_cancelled",
    ]
    assert rows_of(connection, origin_departures(groups), *names) == [(None, None, 1)]


@pytest.mark.parametrize(
    ("delay", "mean", "share_late"),
    [(14, 14, 0), (15, 15, 1), (-30, -30, 0), (-31, -30, 0), (240, 240, 1), (241, 240, 1), (1301, 240, 1)],
)
def test_delays_are_clipped_and_late_from_fifteen_minutes(connection, delay, mean, share_late):
    groups = {"arrivals": arrivals(("UA", "N1", "10:00", delay))}
    names = ["carrier_arrivals_6h_mean_delay", "carrier_arrivals_6h_share_late"]
    assert rows_of(connection, carrier_arrivals(groups), *names) == [(mean, share_late)]


def test_landings_of_a_carrier(connection):
    groups = {
        "arrivals": arrivals(
            ("UA", "N1", "2013-06-02 10:00", 60),
            ("UA", "N1", "10:00", 0),
            ("UA", "N2", "16:00", 30),
            ("AA", "N3", "16:00", 5),
        )
    }
    names = [
        f"carrier_arrivals_{name}"
        for name in ("6h_count", "6h_mean_delay", "7d_count", "7d_mean_delay", "6h_share_late")
    ]
    assert rows_of(connection, carrier_arrivals(groups), "carrier", "event_timestamp", *names) == [
        ("AA", "16:00", 1, 5, 1, 5, 0),
        ("UA", "10:00", 1, 60, 1, 60, 1),
        ("UA", "10:00", 1, 0, 2, 30, 0),
        ("UA", "16:00", 2, 15, 3, 30, 0.5),
    ]


def test_an_hours_weather_is_stamped_at_its_end(groups_of, connection):
    groups = groups_of(flights=[flight()], weather=[observation("2013-06-03", 12, temp=61.5, wind_gust=None)])
    table = engine.in_order(origin_weather(groups)).to_pandas()
    assert table["event_timestamp"].item() == at("17:00")
    assert table["temp"].item() == 61.5
    assert np.isnan(table["wind_gust"].item())


def test_weather_changes_against_the_hour_three_before(groups_of):
    pressures = {9: 1000.0, 10: 1002.0, 12: 999.0, 14: 1003.0}
    hours = [observation("2013-06-03", hour, pressure=pressure) for hour, pressure in pressures.items()]
    table = origin_weather(groups_of(flights=[flight()], weather=hours)).to_pandas().sort_values("event_timestamp")
    np.testing.assert_array_equal(table["pressure_change_3h"], [np.nan, np.nan, -1, np.nan])


def test_an_hour_without_weather_has_no_row(groups_of):
    groups = groups_of(
        flights=[flight("2013-06-03", hour) for hour in (1200, 1300)], weather=[observation("2013-06-03", 9)]
    )
    assert list(origin_weather(groups).to_pandas()["event_timestamp"]) == [at("14:00")]


def test_a_feature_row_counts_as_created_when_it_became_known(connection):
    groups = {"arrivals": arrivals(("UA", "N1", "10:00", 7))}
    table = connection.to_pandas(engine.in_order(carrier_arrivals(groups)))
    assert list(table["created_timestamp"]) == list(table["event_timestamp"]) == [at("10:00")]


# Examples.

EXAMPLES = {
    "on time": (flight(arr_delay=14), ("landed", 0, "17:44")),
    "late": (flight(arr_delay=15), ("landed", 1, "17:45")),
    "early": (flight(arr_delay=-20), ("landed", 0, "17:10")),
    "cancelled": (cancelled(), ("cancelled", None, None)),
    "cancelled, no tail number": (cancelled(tailnum=None), ("cancelled", None, None)),
    "diverted": (diverted(), ("diverted", None, None)),
    "diverted, no arr_time": (diverted(arr_time=None), ("diverted", None, None)),
}


@pytest.fixture(scope="module")
def example_rows(groups_of) -> dict[str, pd.DataFrame]:
    """The examples of EXAMPLES (flight numbers by place), as all is known and as it was at 16:30 of the day."""
    rows = [row | {"flight": number} for number, (row, _) in enumerate(EXAMPLES.values(), start=1)]
    groups = groups_of(flights=rows)
    at_half_past = {name: table.filter(table.known_at <= ibis.literal(at("16:30"))) for name, table in groups.items()}
    known = {"in the end": groups, "at 16:30": at_half_past}
    return {
        name: examples(tables, PROBLEM).to_pandas().set_index("flight").sort_index() for name, tables in known.items()
    }


@pytest.mark.parametrize("case", EXAMPLES)
def test_outcome_and_label_of_an_example(example_rows, case):
    row = example_rows["in the end"].loc[list(EXAMPLES).index(case) + 1]
    known_at = None if pd.isna(row["label_known_at"]) else f"{row['label_known_at']:%H:%M}"
    late = None if pd.isna(row["late"]) else row["late"]
    assert (row["outcome"], late, known_at) == EXAMPLES[case][1]


def test_an_example_is_predicted_two_hours_before_its_departure(example_rows):
    rows = example_rows["in the end"]
    assert set(rows["scheduled_departure"]) == {at("16:00")}
    assert set(rows["event_timestamp"]) == {at("14:00")}


def test_an_example_has_the_keys_of_its_flight(example_rows):
    row = example_rows["in the end"].loc[1]
    assert row[["example_id", "origin", "dest", "carrier", "tailnum"]].tolist() == [
        "UA1-EWR-2013-06-03T16:00",
        "EWR",
        "BOS",
        "UA",
        "N10001",
    ]


def test_an_example_without_a_tail_number_is_kept(example_rows):
    row = example_rows["in the end"].loc[list(EXAMPLES).index("cancelled, no tail number") + 1]
    assert pd.isna(row["tailnum"])


def test_what_has_not_happened_yet_has_no_outcome(example_rows):
    outcomes = example_rows["at 16:30"]["outcome"]
    assert [None if pd.isna(outcome) else outcome for outcome in outcomes] == [
        None,
        None,
        None,
        "cancelled",
        "cancelled",
        None,
        None,
    ]
    assert example_rows["at 16:30"]["late"].isna().all()


def test_examples_of_the_real_winter(winter_groups):
    rows = examples(winter_groups, PROBLEM).to_pandas()
    assert len(rows) == 27_004 + 24_951
    assert rows["example_id"].is_unique
    assert rows["outcome"].value_counts().to_dict() == {
        "landed": 26_398 + 23_611,
        "cancelled": 521 + 1_261,
        "diverted": 85 + 79,
    }
    assert (rows["late"].notna() == (rows["outcome"] == "landed")).all()
    assert (rows["label_known_at"].dropna() > rows["event_timestamp"][rows["label_known_at"].notna()]).all()


# The real winter.
