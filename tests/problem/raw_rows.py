"""Hand-made raw rows: only what a case is about is written down, the rest is filled in."""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flightline.data.contract import MISSING
from flightline.problem.raw_tables import CONTRACTS, LOCAL_TIME_ZONE

AIRPORTS = {
    "BOS": "America/New_York",
    "EWR": "America/New_York",
    "JFK": "America/New_York",
    "LGA": "America/New_York",
    "ORD": "America/Chicago",
    "DEN": "America/Denver",
    "PHX": "America/Phoenix",
    "LAX": "America/Los_Angeles",
    "HNL": "Pacific/Honolulu",
}


def utc_hour(day: str, hour: int) -> str:
    """Write a full hour of New York's clock as the raw tables write UTC."""
    local = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(LOCAL_TIME_ZONE)).replace(hour=hour)
    return local.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day_columns(day: str) -> dict[str, int]:
    year, month, day_of_month = map(int, day.split("-"))
    return {"year": year, "month": month, "day": day_of_month}


def flight(day: str = "2013-06-03", sched_dep_time: int = 1200, sched_arr_time: int = 1330, **changes: object) -> dict:
    """Make a raw flight from EWR to BOS, on time unless told otherwise; None is missing."""
    hour, minute = divmod(sched_dep_time, 100)
    row = {
        **_day_columns(day),
        "sched_dep_time": sched_dep_time, "dep_time": sched_dep_time, "dep_delay": 0,
        "sched_arr_time": sched_arr_time, "arr_time": sched_arr_time, "arr_delay": 0,
        "carrier": "UA", "flight": 1, "tailnum": "N10001", "origin": "EWR", "dest": "BOS",
        "air_time": 60, "distance": 200, "hour": hour, "minute": minute, "time_hour": utc_hour(day, hour),
    }  # fmt: skip
    return row | changes


def cancelled(**changes: object) -> dict:
    """Make a raw flight that never left."""
    missing = dict.fromkeys(["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"])
    return flight(**{**missing, **changes})


def diverted(**changes: object) -> dict:
    """Make a raw flight that left and landed elsewhere."""
    return flight(**{"arr_delay": None, "air_time": None, **changes})


def observation(day: str = "2013-06-03", hour: int = 12, **changes: object) -> dict:
    """Make a raw hour of weather at EWR."""
    row = {
        "origin": "EWR", **_day_columns(day), "hour": hour, "temp": 50.0, "dewp": 40.0, "humid": 60.0,
        "wind_dir": 180.0, "wind_speed": 10.0, "wind_gust": None, "precip": 0.0, "pressure": 1010.0, "visib": 10.0,
        "time_hour": utc_hour(day, hour),
    }  # fmt: skip
    return row | changes


def write_raw(
    folder: Path, flights: Sequence[dict], weather: Sequence[dict] = (), airports: dict[str, str | None] = AIRPORTS
) -> None:
    """Write raw tables as the data folder holds them."""
    rows = {
        "flights": flights,
        "weather": weather or [observation()],
        "airports": [
            {"faa": faa, "name": faa, "lat": 0, "lon": 0, "alt": 0, "tz": 0, "dst": "A", "tzone": zone}
            for faa, zone in airports.items()
        ],
        "airlines": [{"carrier": "UA", "name": "United"}],
        "planes": [],
    }
    for name, contract in CONTRACTS.items():
        if contract.is_monthly:
            (folder / name).mkdir()
        file = folder / name / "2013-06.csv" if contract.is_monthly else folder / f"{name}.csv"
        with file.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, list(contract.schema.columns), restval=MISSING, lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {key: MISSING if value is None else value for key, value in row.items()} for row in rows[name]
            )
