"""Rolling statistics by hand on small tables, against brute force in pandas, and on any number of threads."""

from collections.abc import Sequence
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import FeatureError
from flightline.data.rolling import rolling, span_name

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


def events_of(*rows: tuple[str, str, int | None]) -> pd.DataFrame:
    """Make events of (shop, time of day, units)."""
    frame = pd.DataFrame(rows, columns=["shop", "at", "units"]).astype({"units": "Int64"})
    return frame.assign(at=pd.to_datetime("2013-06-03 " + frame["at"], utc=True))


def roll(
    connection, events: pd.DataFrame, windows: Sequence[timedelta] = (HOUR,), keys: Sequence[str] = ("shop",)
) -> pd.DataFrame:
    """Roll count, mean units and share missing, one row a moment, in order."""
    table = rolling(
        ibis.memtable(events, schema={"shop": "string", "at": "timestamp('UTC')", "units": "int64"}),
        keys=keys, at="at", windows=windows, prefix="d",
        means={"mean": _.units.cast("float64")}, over=_.units.notnull(), shares={"missing": _.units.isnull()},
    )  # fmt: skip
    return connection.to_pandas(table.order_by(*keys, "event_timestamp"))


def values(frame: pd.DataFrame, *columns: str) -> list[list[object]]:
    return [[None if pd.isna(value) else value for value in row] for row in frame[list(columns)].to_numpy(dtype=object)]


CASES = {
    "one event": ([("UA", "10:00", 5)], [[1, 5, 0]]),
    "two in the window": ([("UA", "10:00", 5), ("UA", "10:30", 15)], [[1, 5, 0], [2, 10, 0]]),
    "the far edge of the window counts": ([("UA", "10:00", 5), ("UA", "11:00", 15)], [[1, 5, 0], [2, 10, 0]]),
    "a minute beyond the edge does not": ([("UA", "10:00", 5), ("UA", "11:01", 15)], [[1, 5, 0], [1, 15, 0]]),
    "ties in time are one row that holds both": ([("UA", "10:00", 5), ("UA", "10:00", 15)], [[2, 10, 0]]),
    "equal events are both counted": ([("UA", "10:00", 5), ("UA", "10:00", 5)], [[2, 5, 0]]),
    "other keys do not mix": ([("AA", "10:00", 5), ("UA", "10:00", 15)], [[1, 5, 0], [1, 15, 0]]),
    "an event a minute later does not count": ([("UA", "10:00", 5), ("UA", "10:01", 15)], [[1, 5, 0], [2, 10, 0]]),
    "nor does any later one": ([("UA", "10:30", 15), ("UA", "10:00", 5)], [[1, 5, 0], [2, 10, 0]]),
    "a missing measure counts, but not in the mean": (
        [("UA", "10:00", 5), ("UA", "10:30", None)],
        [[1, 5, 0], [2, 5, 0.5]],
    ),
    "nothing to average": ([("UA", "10:00", None)], [[1, None, 1]]),
    "nothing to average any more": ([("UA", "10:00", 5), ("UA", "11:30", None)], [[1, 5, 0], [1, None, 1]]),
    "negative and zero are numbers": (
        [("UA", "10:00", -5), ("UA", "10:10", 0), ("UA", "10:20", 5)],
        [[1, -5, 0], [2, -2.5, 0], [3, 0, 0]],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_count_mean_and_share_over_an_hour(connection, case):
    rows, expected = CASES[case]
    got = roll(connection, events_of(*rows))
    assert values(got, "d_1h_count", "d_1h_mean", "d_1h_missing") == expected


def test_each_window_is_its_own(connection):
    got = roll(
        connection, events_of(("UA", "08:00", 1), ("UA", "10:00", 3), ("UA", "10:30", 8)), windows=(HOUR, 3 * HOUR)
    )
    assert values(got, "d_1h_count", "d_1h_mean", "d_3h_count", "d_3h_mean") == [
        [1, 1, 1, 1],
        [1, 3, 2, 2],
        [2, 5.5, 3, 4],
    ]


def test_without_keys_all_events_are_one_group(connection):
    got = roll(connection, events_of(("AA", "10:00", 5), ("UA", "10:30", 15)), keys=())
    assert values(got, "d_1h_count", "d_1h_mean") == [[1, 5], [2, 10]]


def test_a_mean_is_exact_to_a_hundredth(connection):
    events = ibis.memtable(events_of(("UA", "10:00", 1), ("UA", "10:01", 2)))
    table = rolling(events, keys=["shop"], at="at", windows=(HOUR,), means={"mean": _.units * 0.123}, prefix="d")
    assert list(connection.to_pandas(table.order_by("event_timestamp"))["d_1h_mean"]) == [0.12, 0.185]


def test_features_are_float64(connection):
    got = roll(connection, events_of(("UA", "10:00", 5)))
    assert set(got.drop(columns=["shop", "event_timestamp"]).dtypes) == {np.dtype("float64")}


@pytest.mark.parametrize(
    ("span", "name"), [(HOUR, "1h"), (24 * HOUR, "24h"), (timedelta(days=2), "2d"), (timedelta(days=30), "30d")]
)
def test_a_windows_name(span, name):
    assert span_name(span) == name


@pytest.mark.parametrize("span", [timedelta(0), timedelta(minutes=30), timedelta(minutes=90), timedelta(hours=25)])
def test_a_window_that_has_no_name_of_its_own_is_refused(span):
    with pytest.raises(FeatureError, match="give whole hours up to 24, or whole days"):
        span_name(span)


def random_events(seed: int, rows: int = 400) -> pd.DataFrame:
    """Make events of three shops on a coarse grid of times, so that ties and window edges are common."""
    random = np.random.default_rng(seed)
    unitss = pd.array(random.integers(-30, 240, rows), dtype="Int64")
    unitss[random.random(rows) < 0.3] = pd.NA
    at = pd.Timestamp("2013-06-03", tz="UTC") + pd.to_timedelta(random.integers(0, 200, rows) * 15, unit="min")
    return pd.DataFrame({"shop": random.choice(["AA", "DL", "UA"], rows), "at": at, "units": unitss})


def brute_force(events: pd.DataFrame, window: timedelta) -> list[list[object]]:
    """Compute each row from the definition: look at every event of the key and keep those in the window."""
    rows = []
    for shop, moment in sorted(set(zip(events["shop"], events["at"], strict=True))):
        inside = events[(events["shop"] == shop) & (events["at"] <= moment) & (events["at"] >= moment - window)]
        known = inside["units"].dropna().astype(float)
        mean = round(known.mean(), 9) if len(known) else None
        rows.append([shop, moment, len(inside), mean, round(inside["units"].isna().mean(), 9)])
    return rows


@pytest.mark.parametrize("window", [HOUR, 6 * HOUR, timedelta(days=7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_events_agree_with_brute_force(connection, seed, window):
    events, prefix = random_events(seed), f"d_{span_name(window)}"
    got = roll(connection, events, windows=(window,)).round(9)
    assert values(
        got, "shop", "event_timestamp", f"{prefix}_count", f"{prefix}_mean", f"{prefix}_missing"
    ) == brute_force(events, window)


def test_the_result_depends_on_neither_threads_nor_event_order():
    events = random_events(2, rows=20_000)
    shuffled = events.sample(frac=1, random_state=0)
    results = []
    for threads, rows in ((1, events), (2, events), (2, shuffled)):
        with engine.connect(threads) as connection:
            results.append(roll(connection, rows, windows=(HOUR, 6 * HOUR)))
    pd.testing.assert_frame_equal(results[0], results[1], check_exact=True)
    pd.testing.assert_frame_equal(results[0], results[2], check_exact=True)
