"""Each rule about the raw tables, broken once in a data set of a few literal rows."""

from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.core.errors import ContractError
from flightline.data.contract import check_dataset
from flightline.problem.raw_tables import AIRPORT_TIME_ZONES, CONTRACTS, TIME_ZONES_OF_ABSENT_AIRPORTS

FLIGHTS, WEATHER = "flights/2013-01.csv", "weather/2013-01.csv"
ROWS = {
    FLIGHTS: [
        "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z",  # late
        "2013,1,1,NA,1630,NA,NA,1815,NA,EV,4308,N18120,EWR,RDU,NA,416,16,30,2013-01-01T21:00:00Z",  # cancelled
        "2013,1,1,2354,2359,-5,518,444,NA,B6,1503,N606JB,JFK,SJU,NA,1598,23,59,2013-01-02T04:00:00Z",  # diverted
    ],
    WEATHER: [
        "EWR,2013,1,1,5,39.02,26.06,59.37,270,10.35702,NA,0,1012,10,2013-01-01T10:00:00Z",
        "JFK,2013,1,1,5,NA,NA,NA,NA,NA,NA,0,NA,10,2013-01-01T10:00:00Z",
    ],
    "planes.csv": ["N14228,1999,Fixed wing multi engine,BOEING,737-824,2,149,NA,Turbo-fan"],
    "airports.csv": [
        "EWR,Newark Liberty Intl,40.6925,-74.168667,18,-5,A,America/New_York",
        "JFK,John F Kennedy Intl,40.639751,-73.778925,13,-5,A,America/New_York",
        "IAH,George Bush Intercontinental,29.984433,-95.341442,97,-6,A,America/Chicago",
        "RDU,Raleigh Durham Intl,35.877639,-78.787472,435,-5,A,NA",
    ],
    "airlines.csv": ["UA,United Air Lines Inc.", "EV,ExpressJet Airlines Inc.", "B6,JetBlue Airways"],
}
SAME_HOUR = "time_hour (UTC) and year, month, day, hour (local) name the same hour"
SCHEDULED = "hour and minute are those of sched_dep_time"


def _data_set() -> dict[str, pd.DataFrame]:
    raw = {}
    for file, rows in ROWS.items():
        columns = CONTRACTS[file.split("/")[0].removesuffix(".csv")].columns
        cells = [[None if cell == "NA" else cell for cell in row.split(",")] for row in rows]
        raw[file] = pd.DataFrame(cells, columns=list(columns), dtype=object)
    return raw


def _broken_rules(raw: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Return (where and what, rule) of each violation."""
    with pytest.raises(ContractError) as broken:
        check_dataset(raw, CONTRACTS)
    lines = str(broken.value).splitlines()[1:-1]
    return [(line.split(" breaks: ")[0].strip(), line.split(" breaks: ")[1]) for line in lines]


def test_the_literal_rows_keep_the_contract() -> None:
    assert check_dataset(_data_set(), CONTRACTS) == {
        "airlines": 3,
        "airports": 4,
        "planes": 1,
        "flights": 3,
        "weather": 2,
    }


@pytest.mark.slow
def test_the_real_year_keeps_the_contract(seed_dir: Path) -> None:
    rows = check_dataset(RawFiles(seed_dir), CONTRACTS)
    assert rows == {"airlines": 16, "airports": 1458, "planes": 3322, "flights": 336_776, "weather": 26_115}


@pytest.mark.parametrize(
    ("file", "column", "value", "rule"),
    [
        (FLIGHTS, "dep_delay", "-121", "lies between -120 and 2880"),
        (FLIGHTS, "dep_delay", "two", "is a whole number"),
        (FLIGHTS, "arr_delay", "2881", "lies between -180 and 2880"),
        (FLIGHTS, "dep_time", "560", "is a clock reading hhmm, 0 to 2400"),
        (FLIGHTS, "arr_time", "-1", "lies between 0 and 2400"),
        (FLIGHTS, "sched_arr_time", None, "is never missing"),
        (FLIGHTS, "carrier", "UAL", "matches ^[0-9A-Z]{2}$"),
        (FLIGHTS, "carrier", "XX", "carrier is found in airlines.carrier"),
        (FLIGHTS, "flight", "0", "lies between 1 and 9999"),
        (FLIGHTS, "tailnum", "N1", "matches ^[0-9A-Z]{5,6}$"),
        (FLIGHTS, "origin", "BOS", "is one of EWR, JFK, LGA"),
        (FLIGHTS, "origin", "LGA", "origin is found in airports.faa"),
        (FLIGHTS, "dest", "iah", "matches ^[0-9A-Z]{3}$"),
        (FLIGHTS, "dest", "XXX", "dest is found in airports.faa"),
        (FLIGHTS, "air_time", "9", "lies between 10 and 1200"),
        (FLIGHTS, "distance", None, "is never missing"),
        (FLIGHTS, "time_hour", "2013-01-01T10:15:00Z", "is a full hour in UTC"),
        (FLIGHTS, "time_hour", "2013-01-01T05:00:00-05:00", "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ"),
        (WEATHER, "origin", "BOS", "is one of EWR, JFK, LGA"),
        (WEATHER, "temp", "131", "lies between -40 and 130"),
        (WEATHER, "dewp", "-61", "lies between -60 and 100"),
        (WEATHER, "humid", "100.1", "lies between 0 and 100"),
        (WEATHER, "wind_dir", "361", "lies between 0 and 360"),
        (WEATHER, "wind_speed", "151", "lies between 0 and 150, or is the known impossible 1048.36058"),
        (WEATHER, "wind_gust", "-1", "lies between 0 and 200"),
        (WEATHER, "precip", "16", "lies between 0 and 15"),
        (WEATHER, "pressure", "869", "lies between 870 and 1090"),
        (WEATHER, "visib", "101", "lies between 0 and 100"),
        (WEATHER, "time_hour", None, "is never missing"),
        ("planes.csv", "tailnum", "14228-N", "matches ^[0-9A-Z]{5,6}$"),
        ("planes.csv", "year", "1899", "lies between 1900 and 2100"),
        ("planes.csv", "model", "", "matches ."),
        ("planes.csv", "engines", "9", "lies between 1 and 8"),
        ("planes.csv", "seats", "0", "lies between 1 and 900"),
        ("airports.csv", "faa", "ewr", "matches ^[0-9A-Z]{3}$"),
        ("airports.csv", "lat", "90.1", "lies between -90 and 90"),
        ("airports.csv", "lon", "-181", "lies between -180 and 180"),
        ("airports.csv", "alt", "20001", "lies between -1500 and 20000"),
        ("airports.csv", "dst", "E", "matches ^[AUN]$"),
        ("airports.csv", "tzone", "America/Gotham", "is one of AIRPORT_TIME_ZONES"),
        ("airlines.csv", "name", None, "is never missing"),
    ],
)
def test_a_broken_value(file: str, column: str, value: str | None, rule: str) -> None:
    raw = _data_set()
    raw[file].loc[0, column] = value
    assert (f"{file}:2: {column}={value!r}", rule) in _broken_rules(raw)


@pytest.mark.parametrize(
    ("file", "row", "cells", "rule"),
    [
        (FLIGHTS, 0, {"time_hour": "2013-01-01T11:00:00Z"}, SAME_HOUR),
        (FLIGHTS, 2, {"time_hour": "2013-01-03T04:00:00Z"}, SAME_HOUR),
        (FLIGHTS, 0, {"day": "2"}, SAME_HOUR),
        (FLIGHTS, 0, {"minute": "16"}, SCHEDULED),
        (FLIGHTS, 0, {"sched_dep_time": "615"}, SCHEDULED),
        (FLIGHTS, 1, {"dep_delay": "0"}, "dep_time and dep_delay are both there or both missing"),
        (FLIGHTS, 2, {"dep_time": None}, "dep_time and dep_delay are both there or both missing"),
        (FLIGHTS, 1, {"arr_delay": "0"}, "a flight with an arrival delay has departed"),
        (FLIGHTS, 0, {"tailnum": None}, "a departed flight has a tailnum"),
        (WEATHER, 0, {"hour": "6"}, SAME_HOUR),
        (FLIGHTS, 0, {"month": "2", "time_hour": "2013-02-01T10:00:00Z"}, "rows of this file lie in 2013-01"),
        (WEATHER, 1, {"month": "2", "time_hour": "2013-02-01T10:00:00Z"}, "rows of this file lie in 2013-01"),
    ],
)
def test_columns_that_contradict_each_other(file: str, row: int, cells: dict[str, str | None], rule: str) -> None:
    raw = _data_set()
    for column, value in cells.items():
        raw[file].loc[row, column] = value
    found = _broken_rules(raw)
    assert [broken for _, broken in found] == [rule]
    assert found[0][0].startswith(f"{file}:{row + 2}: ")


@pytest.mark.parametrize(
    ("file", "cells", "rule"),
    [
        ("airlines.csv", {"carrier": "UA"}, "(carrier) is unique in airlines"),
        ("airports.csv", {"faa": "EWR"}, "(faa) is unique in airports"),
        (WEATHER, {"origin": "EWR"}, "(origin, time_hour) is unique in weather"),
    ],
)
def test_a_repeated_key(file: str, cells: dict[str, str], rule: str) -> None:
    raw = _data_set()
    for column, value in cells.items():
        raw[file].loc[1, column] = value
    assert rule in [broken for _, broken in _broken_rules(raw)]


def test_a_repeated_flight_and_aircraft() -> None:
    raw = _data_set()
    for file in (FLIGHTS, "planes.csv"):
        raw[file] = pd.concat([raw[file], raw[file].head(1)], ignore_index=True)
    assert _broken_rules(raw) == [
        ("planes.csv:3: tailnum='N14228'", "(tailnum) is unique in planes"),
        (
            f"{FLIGHTS}:5: carrier,flight,origin,time_hour=('UA', '1545', 'EWR', '2013-01-01 10:00:00+00:00')",
            "(carrier, flight, origin, time_hour) is unique in flights",
        ),
    ]


@pytest.mark.parametrize("dest", TIME_ZONES_OF_ABSENT_AIRPORTS)
def test_the_four_destinations_that_airports_lacks_are_allowed(dest: str) -> None:
    raw = _data_set()
    raw[FLIGHTS].loc[0, "dest"] = dest
    assert check_dataset(raw, CONTRACTS)["flights"] == 3


@pytest.mark.parametrize("file", ROWS)
@pytest.mark.parametrize("change", ["without", "renamed", "more", "swapped"])
def test_other_columns(file: str, change: str) -> None:
    raw = _data_set()
    frame, first, second = raw[file], *raw[file].columns[:2]
    raw[file] = {
        "without": frame.drop(columns=first),
        "renamed": frame.rename(columns={first: "other"}),
        "more": frame.assign(other="1"),
        "swapped": frame[[second, first, *frame.columns[2:]]],
    }[change]
    ((where, rule),) = _broken_rules(raw)
    assert where == f"{file}:"
    assert rule.startswith("columns must be ")


def test_every_zone_the_contract_allows_exists() -> None:
    for zone in {*AIRPORT_TIME_ZONES, *TIME_ZONES_OF_ABSENT_AIRPORTS.values()}:
        pd.Timestamp("2013-07-01", tz=zone)
