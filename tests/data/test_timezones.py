"""Local clock readings to UTC, by hand on the nights that matter, and against zoneinfo at large."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.data.timezones import to_utc, zone_periods

YEAR = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
NEW_YORK, PUERTO_RICO = "America/New_York", "America/Puerto_Rico"

READINGS = {
    "winter": (NEW_YORK, "2013-01-15 12:00", "2013-01-15 17:00"),
    "summer": (NEW_YORK, "2013-07-15 12:00", "2013-07-15 16:00"),
    "midnight, the day changes in UTC": (NEW_YORK, "2013-07-15 23:59", "2013-07-16 03:59"),
    "last minute before spring's change": (NEW_YORK, "2013-03-10 01:59", "2013-03-10 06:59"),
    "skipped in spring, read by the old offset": (NEW_YORK, "2013-03-10 02:30", "2013-03-10 07:30"),
    "first minute after spring's change": (NEW_YORK, "2013-03-10 03:00", "2013-03-10 07:00"),
    "before the doubled hour": (NEW_YORK, "2013-11-03 00:59", "2013-11-03 04:59"),
    "shown twice in autumn, the first counts": (NEW_YORK, "2013-11-03 01:30", "2013-11-03 05:30"),
    "after the doubled hour": (NEW_YORK, "2013-11-03 02:00", "2013-11-03 07:00"),
    "another zone, another hour": ("America/Chicago", "2013-11-03 02:00", "2013-11-03 08:00"),
    "no DST, winter": (PUERTO_RICO, "2013-01-15 12:00", "2013-01-15 16:00"),
    "no DST, summer": (PUERTO_RICO, "2013-07-15 12:00", "2013-07-15 16:00"),
    "no DST, on the night of the change": ("America/Phoenix", "2013-03-10 02:30", "2013-03-10 09:30"),
    "east of Greenwich": ("Asia/Chongqing", "2013-07-15 04:00", "2013-07-14 20:00"),
    "change at half past in UTC": ("Australia/Lord_Howe", "2013-04-07 02:00", "2013-04-06 15:30"),
    "DST is in winter, south of the equator": ("America/Santiago", "2013-01-15 12:00", "2013-01-15 15:00"),
}


def in_utc(connection: ibis.BaseBackend, readings: pd.DataFrame) -> list[pd.Timestamp]:
    """Convert rows of id, zone and local by the code under test, in the order of their id."""
    periods = ibis.memtable(zone_periods(readings["zone"], *YEAR))
    table = to_utc(ibis.memtable(readings), periods, local="local", zone="zone", name="moment")
    return list(connection.to_pandas(table.order_by("id"))["moment"])


@pytest.fixture(scope="module")
def moments() -> dict[str, pd.Timestamp]:
    """The literal readings converted in one go, by case."""
    readings = pd.DataFrame(
        [(zone, pd.Timestamp(local)) for zone, local, _ in READINGS.values()], columns=["zone", "local"]
    )
    with engine.connect(2) as connection:
        return dict(zip(READINGS, in_utc(connection, readings.assign(id=range(len(readings)))), strict=True))


@pytest.mark.parametrize("case", READINGS)
def test_a_reading_becomes_the_moment_it_names(moments, case):
    assert moments[case] == pd.Timestamp(READINGS[case][2], tz="UTC")


# With daylight saving and without, north and south of the equator, of half an hour and of a quarter.
ZONES = (NEW_YORK, PUERTO_RICO, "America/Phoenix", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Tallinn",
         "America/Anchorage", "Pacific/Honolulu", "UTC")  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_tried_agrees_with_zoneinfo(connection, zone):
    random = np.random.default_rng(0)
    minutes = random.integers(0, 363 * 24 * 60, 2000) + 24 * 60
    readings = pd.DataFrame(
        {"id": range(2000), "zone": zone, "local": pd.Timestamp("2013-01-01") + pd.to_timedelta(minutes, "min")}
    )
    expected = [local.to_pydatetime().replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for local in readings["local"]]
    assert in_utc(connection, readings) == expected


@pytest.mark.parametrize("day", [datetime(2013, 3, 10, tzinfo=UTC), datetime(2013, 11, 3, tzinfo=UTC)])
def test_every_minute_of_a_night_of_change_agrees_with_zoneinfo(connection, day):
    local = [day.replace(tzinfo=None) + timedelta(minutes=minute) for minute in range(6 * 60)]
    readings = pd.DataFrame({"id": range(len(local)), "zone": NEW_YORK, "local": local})
    assert in_utc(connection, readings) == [
        reading.replace(tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC) for reading in local
    ]


def test_a_zone_is_tabulated_from_change_to_change():
    rows = zone_periods([NEW_YORK], *YEAR)
    assert rows.astype(str).to_numpy().tolist() == [
        [NEW_YORK, "2012-12-31 19:00:00", "2013-03-10 03:00:00", "-300"],
        [NEW_YORK, "2013-03-10 03:00:00", "2013-11-03 02:00:00", "-240"],
        [NEW_YORK, "2013-11-03 02:00:00", "2013-12-31 19:00:00", "-300"],
    ]


@pytest.mark.parametrize("zone", [PUERTO_RICO, "America/Phoenix", "Pacific/Honolulu"])
def test_a_zone_without_dst_has_one_period(zone):
    assert len(zone_periods([zone], *YEAR)) == 1


def test_a_zone_named_twice_is_tabulated_once():
    assert len(zone_periods([PUERTO_RICO, PUERTO_RICO], *YEAR)) == 1


def test_periods_of_a_zone_leave_no_gap_and_no_overlap():
    rows = zone_periods([NEW_YORK], datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    assert len(rows) == 61
    assert (rows["local_start"].iloc[1:].to_numpy() == rows["local_end"].iloc[:-1].to_numpy()).all()


def test_a_reading_outside_the_periods_has_no_row(connection):
    readings = pd.DataFrame({"id": [0, 1], "zone": NEW_YORK, "local": pd.to_datetime(["2013-06-01", "2014-06-01"])})
    assert in_utc(connection, readings) == [pd.Timestamp("2013-06-01 04:00", tz="UTC")]
