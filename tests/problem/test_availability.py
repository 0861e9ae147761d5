"""When each raw row is known, in UTC: by hand case by case, and checked independently on the whole real year."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from flightline.data.leakage import as_of
from flightline.problem.availability import GROUPS
from flightline.problem.raw_tables import IMPOSSIBLE_WIND_SPEED, TIME_ZONES_OF_ABSENT_AIRPORTS
from tests.problem.raw_rows import cancelled, diverted, flight, observation


def at(text: str) -> pd.Timestamp:
    """Read a moment of 2013, month first, as UTC."""
    return pd.Timestamp(f"2013-{text}", tz="UTC")


# What the raw row says, and its scheduled departure, departure, scheduled arrival and landing in UTC.
FLOWN = {
    "by day": (
        flight("2013-06-03", 1200, 1330, dep_delay=10, arr_delay=-5),
        ("06-03 16:00", "06-03 16:10", "06-03 17:30", "06-03 17:25"),
    ),
    "leaves early": (
        flight(dep_delay=-10, arr_delay=-20), ("06-03 16:00", "06-03 15:50", "06-03 17:30", "06-03 17:10"),
    ),
    "over midnight": (
        flight("2013-06-03", 2330, 45), ("06-04 03:30", "06-04 03:30", "06-04 04:45", "06-04 04:45"),
    ),
    "late beyond midnight": (
        flight("2013-06-03", 2200, 2310, dep_delay=130, arr_delay=125),
        ("06-04 02:00", "06-04 04:10", "06-04 03:10", "06-04 05:15"),
    ),
    "at the turn of the year": (
        flight("2012-12-31", 2330, 45), ("01-01 04:30", "01-01 04:30", "01-01 05:45", "01-01 05:45"),
    ),
    "dep_time 2400": (
        flight("2013-06-03", 2355, 110, dep_time=2400, dep_delay=5, arr_delay=0),
        ("06-04 03:55", "06-04 04:00", "06-04 05:10", "06-04 05:10"),
    ),
    "scheduled to land at 2400": (
        flight("2013-06-03", 2240, 2400), ("06-04 02:40", "06-04 02:40", "06-04 04:00", "06-04 04:00"),
    ),
    "scheduled to land at 0": (
        flight("2013-06-03", 2240, 0), ("06-04 02:40", "06-04 02:40", "06-04 04:00", "06-04 04:00"),
    ),
    "westbound, lands before it left by the clock": (
        flight("2013-06-03", 1210, 1205, dest="ORD"), ("06-03 16:10", "06-03 16:10", "06-03 17:05", "06-03 17:05"),
    ),
    "westbound over midnight": (
        flight("2013-06-03", 2200, 45, dest="LAX"), ("06-04 02:00", "06-04 02:00", "06-04 07:45", "06-04 07:45"),
    ),
    "westbound, midnight in UTC only": (
        flight("2013-06-03", 1000, 1430, dest="HNL"), ("06-03 14:00", "06-03 14:00", "06-04 00:30", "06-04 00:30"),
    ),
    "to Arizona in summer, no DST there": (
        flight("2013-06-03", 1200, 1430, dest="PHX"), ("06-03 16:00", "06-03 16:00", "06-03 21:30", "06-03 21:30"),
    ),
    "to Arizona in winter": (
        flight("2013-01-03", 1200, 1530, dest="PHX"), ("01-03 17:00", "01-03 17:00", "01-03 22:30", "01-03 22:30"),
    ),
    "BQN, no airport row": (
        flight("2013-06-03", 2355, 340, dest="BQN"), ("06-04 03:55", "06-04 03:55", "06-04 07:40", "06-04 07:40"),
    ),
    "PSE, no airport row": (
        flight("2013-06-03", 1200, 1545, dest="PSE"), ("06-03 16:00", "06-03 16:00", "06-03 19:45", "06-03 19:45"),
    ),
    "SJU, no airport row": (
        flight("2013-01-03", 1200, 1645, dest="SJU"), ("01-03 17:00", "01-03 17:00", "01-03 20:45", "01-03 20:45"),
    ),
    "STT, no airport row": (
        flight("2013-01-03", 1200, 1645, dest="STT", arr_delay=15),
        ("01-03 17:00", "01-03 17:00", "01-03 20:45", "01-03 21:00"),
    ),
    "March, leaves before the change, lands after": (
        flight("2013-03-09", 2330, 315), ("03-10 04:30", "03-10 04:30", "03-10 07:15", "03-10 07:15"),
    ),
    "March, to land at a reading the clock skips": (
        flight("2013-03-09", 2345, 230), ("03-10 04:45", "03-10 04:45", "03-10 07:30", "03-10 07:30"),
    ),
    "March, leaves after the change": (
        flight("2013-03-10", 600, 715), ("03-10 10:00", "03-10 10:00", "03-10 11:15", "03-10 11:15"),
    ),
    "March, lands where the clock has not changed yet": (
        flight("2013-03-10", 15, 130, dest="ORD"), ("03-10 05:15", "03-10 05:15", "03-10 07:30", "03-10 07:30"),
    ),
    "March, lands where it changed meanwhile": (
        flight("2013-03-10", 400, 830, dest="LAX"), ("03-10 08:00", "03-10 08:00", "03-10 15:30", "03-10 15:30"),
    ),
    "November, to land in the doubled hour": (
        flight("2013-11-02", 2330, 130), ("11-03 03:30", "11-03 03:30", "11-03 05:30", "11-03 05:30"),
    ),
    "November, lands after the doubled hour": (
        flight("2013-11-02", 2330, 215), ("11-03 03:30", "11-03 03:30", "11-03 07:15", "11-03 07:15"),
    ),
    "November, late through the doubled hour": (
        flight("2013-11-02", 2330, 45, dep_delay=180, arr_delay=180),
        ("11-03 03:30", "11-03 06:30", "11-03 04:45", "11-03 07:45"),
    ),
    "November, leaves in the doubled hour": (
        flight("2013-11-03", 100, 215), ("11-03 05:00", "11-03 05:00", "11-03 07:15", "11-03 07:15"),
    ),
    "November, leaves after the change": (
        flight("2013-11-03", 600, 715), ("11-03 11:00", "11-03 11:00", "11-03 12:15", "11-03 12:15"),
    ),
}  # fmt: skip

UNFLOWN = {
    "lands": (flight(), {"schedule", "assignments", "departures", "arrivals"}),
    "cancelled": (cancelled(), {"schedule", "assignments", "cancellations"}),
    "cancelled, no tail number": (cancelled(tailnum=None), {"schedule", "cancellations"}),
    "diverted, landed elsewhere": (diverted(), {"schedule", "assignments", "departures", "diversions"}),
    "diverted, no arr_time": (diverted(arr_time=None), {"schedule", "assignments", "departures", "diversions"}),
}


def frames(groups) -> dict[str, pd.DataFrame]:
    return {name: table.to_pandas() for name, table in groups.items()}


@pytest.fixture(scope="module")
def flown(groups_of) -> pd.DataFrame:
    """Every case of FLOWN, by its place in the dict as flight number."""
    rows = [row | {"flight": number} for number, (row, _) in enumerate(FLOWN.values(), start=1)]
    groups = frames(groups_of(flights=rows))
    schedule = groups["schedule"][["flight", "scheduled_departure", "scheduled_arrival"]]
    return schedule.merge(groups["arrivals"][["flight", "departed_at", "landed_at"]], on="flight").set_index("flight")


@pytest.mark.parametrize("case", FLOWN)
def test_a_flights_moments_in_utc(flown, case):
    row = flown.loc[list(FLOWN).index(case) + 1]
    columns = ["scheduled_departure", "departed_at", "scheduled_arrival", "landed_at"]
    assert list(row[columns]) == [at(text) for text in FLOWN[case][1]]


@pytest.fixture(scope="module")
def unflown(groups_of) -> dict[str, pd.DataFrame]:
    """Every case of UNFLOWN, by its place in the dict as flight number."""
    rows = [row | {"flight": number} for number, (row, _) in enumerate(UNFLOWN.values(), start=1)]
    groups = frames(groups_of(flights=rows))
    numbers = groups["schedule"].set_index("flight_id")["flight"]
    return {
        name: frame.assign(number=frame["flight_id"].map(numbers))
        for name, frame in groups.items()
        if name != "weather"
    }


@pytest.mark.parametrize("case", UNFLOWN)
def test_a_flight_is_in_the_groups_of_what_happened_to_it(unflown, case):
    number = list(UNFLOWN).index(case) + 1
    assert {name for name, frame in unflown.items() if number in set(frame["number"])} == UNFLOWN[case][1]


@pytest.mark.parametrize(
    ("case", "group", "known_at"),
    [
        ("lands", "schedule", "05-06 16:00"),
        ("lands", "assignments", "06-02 16:00"),
        ("lands", "departures", "06-03 16:00"),
        ("lands", "arrivals", "06-03 17:30"),
        ("cancelled", "cancellations", "06-03 16:00"),
        ("diverted, landed elsewhere", "diversions", "06-04 17:30"),
        ("diverted, no arr_time", "departures", "06-03 16:00"),
    ],
)
def test_when_a_row_is_known(unflown, case, group, known_at):
    frame = unflown[group].set_index("number")
    assert frame.loc[list(UNFLOWN).index(case) + 1, "known_at"] == at(known_at)


def test_a_delay_moves_when_it_is_known(groups_of):
    groups = frames(groups_of(flights=[flight(dep_delay=10, arr_delay=25)]))
    assert groups["departures"]["known_at"].item() == at("06-03 16:10")
    assert groups["arrivals"]["known_at"].item() == at("06-03 17:55")


# New York's day and hour of an observation, and when it is known.
HOURS = [
    ("2013-06-03", 12, "06-03 17:00"),
    ("2013-06-03", 23, "06-04 04:00"),
    ("2013-03-10", 1, "03-10 07:00"),
    ("2013-03-10", 3, "03-10 08:00"),
    ("2013-11-03", 1, "11-03 06:00"),
    ("2013-11-03", 2, "11-03 08:00"),
]
WINDS = {IMPOSSIBLE_WIND_SPEED: None, 42.5: 42.5, 0.0: 0.0, None: None}


@pytest.fixture(scope="module")
def weather(groups_of) -> pd.DataFrame:
    """The observations of HOURS, then one hour for each of WINDS."""
    hours = [observation(day, hour) for day, hour, _ in HOURS]
    winds = [observation("2013-12-01", hour, wind_speed=wind) for hour, wind in enumerate(WINDS)]
    return (
        groups_of(flights=[flight()], weather=hours + winds)["weather"].to_pandas().set_index("known_at").sort_index()
    )


@pytest.mark.parametrize(("day", "hour", "known_at"), HOURS)
def test_an_hours_weather_is_known_at_its_end(weather, day, hour, known_at):
    began = pd.Timestamp(observation(day, hour)["time_hour"])
    assert weather.loc[at(known_at), "observed_from"] == began


@pytest.mark.parametrize(("hour", "expected"), list(enumerate(WINDS.values())), ids=[str(wind) for wind in WINDS])
def test_the_impossible_wind_is_missing(weather, hour, expected):
    got = weather.loc[at("12-01 06:00") + timedelta(hours=hour), "wind_speed"]
    assert (None if pd.isna(got) else got) == expected


@pytest.fixture(scope="module")
def one_flight(groups_of):
    """One flight that left at 16:00 and landed at 17:25, in UTC."""
    return groups_of(flights=[flight(arr_delay=-5)])


@pytest.mark.parametrize(
    ("moment", "known"),
    [
        (datetime(2013, 6, 3, 17, 24, 59, 999_999, tzinfo=UTC), 0),
        (datetime(2013, 6, 3, 17, 25, tzinfo=UTC), 1),
        (datetime(2013, 6, 3, 17, 25, 0, 1, tzinfo=UTC), 1),
    ],
)
def test_what_becomes_known_at_a_moment_is_known_as_of_it(one_flight, moment, known):
    assert as_of(one_flight, moment)["arrivals"].count().execute() == known


def test_as_of_takes_a_moment_of_any_time_zone(one_flight):
    in_new_york = datetime(2013, 6, 3, 13, 25, tzinfo=ZoneInfo("America/New_York"))
    assert as_of(one_flight, in_new_york)["arrivals"].count().execute() == 1


@pytest.mark.parametrize(
    ("hour", "known"),
    [
        (0, {"schedule", "assignments"}),
        (16, {"schedule", "assignments", "departures"}),
        (18, {"schedule", "assignments", "departures", "arrivals"}),
    ],
)
def test_as_of_cuts_every_group(one_flight, hour, known):
    groups = as_of(one_flight, datetime(2013, 6, 3, hour, tzinfo=UTC))
    assert set(groups) == set(GROUPS)
    assert {name for name, table in groups.items() if name != "weather" and table.count().execute()} == known


# The real year, against the raw files read by pandas alone.


@pytest.fixture(scope="module")
def raw_flights(seed_dir: Path) -> pd.DataFrame:
    """The raw flights as pandas reads them, indexed by what the project calls flight_id."""
    raw = pd.concat([pd.read_csv(file) for file in sorted((seed_dir / "flights").glob("*.csv"))], ignore_index=True)
    scheduled = pd.to_datetime(raw["time_hour"], utc=True) + pd.to_timedelta(raw["minute"], unit="min")
    ids = (
        raw["carrier"] + raw["flight"].astype(str) + "-" + raw["origin"] + "-" + scheduled.dt.strftime("%Y-%m-%dT%H:%M")
    )
    return raw.set_index(ids)


@pytest.fixture(scope="module")
def real_arrivals(real_groups) -> pd.DataFrame:
    return real_groups["arrivals"].to_pandas().set_index("flight_id")


def test_every_raw_flight_is_scheduled_once(real_groups, raw_flights):
    scheduled = real_groups["schedule"].to_pandas()["flight_id"]
    assert len(raw_flights) == 336_776
    assert sorted(scheduled) == sorted(raw_flights.index)


@pytest.mark.parametrize(
    ("group", "rows"),
    [
        ("schedule", 336_776),
        ("assignments", 336_776 - 2_512),
        ("departures", 336_776 - 8_255),
        ("arrivals", 336_776 - 8_255 - 1_175),
        ("cancellations", 8_255),
        ("diversions", 1_175),
        ("weather", 26_115),
    ],
)
def test_rows_of_each_group_in_2013(real_groups, group, rows):
    assert real_groups[group].count().execute() == rows


def test_no_flight_is_shorter_than_its_time_in_the_air(real_arrivals, raw_flights):
    took = real_arrivals["landed_at"] - real_arrivals["departed_at"]
    in_the_air = pd.to_timedelta(raw_flights.loc[real_arrivals.index, "air_time"], unit="min")
    assert in_the_air.notna().all()
    assert (took >= in_the_air).all()


def test_every_flight_is_scheduled_for_half_an_hour_to_twelve_hours(real_groups):
    schedule = real_groups["schedule"].to_pandas()
    takes = schedule["scheduled_arrival"] - schedule["scheduled_departure"]
    assert takes.between(timedelta(minutes=30), timedelta(hours=12)).all()


def test_landings_on_the_destinations_clock_are_the_recorded_arr_time(real_arrivals, raw_flights, seed_dir):
    airports = pd.read_csv(seed_dir / "airports.csv").set_index("faa")["tzone"].dropna().to_dict()
    zones = raw_flights.loc[real_arrivals.index, "dest"].map(airports | TIME_ZONES_OF_ABSENT_AIRPORTS)
    recorded = raw_flights.loc[real_arrivals.index, "arr_time"].astype(int) % 2400
    read = pd.Series(-1, index=real_arrivals.index)
    for zone, rows in zones.groupby(zones).groups.items():
        local = real_arrivals.loc[rows, "landed_at"].dt.tz_convert(zone)
        read.loc[rows] = local.dt.hour * 100 + local.dt.minute
    different = read[read != recorded]
    assert len(read) == 327_346
    assert len(different) == 1
    assert abs(different.iloc[0] - recorded[different.index[0]]) == 100


def test_departures_read_on_new_yorks_clock_are_the_recorded_dep_time(real_groups, raw_flights):
    departures = real_groups["departures"].to_pandas().set_index("flight_id")
    local = departures["departed_at"].dt.tz_convert("America/New_York")
    recorded = raw_flights.loc[departures.index, "dep_time"].astype(int) % 2400
    assert (local.dt.hour * 100 + local.dt.minute == recorded).all()
