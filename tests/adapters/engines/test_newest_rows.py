"""Rows that a part of the log can have been made of: what is left out of a table changes nothing that is rebuilt."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.engines.duckdb import open_plain
from flightline.adapters.engines.newest_rows import newest_rows
from flightline.monitoring.parity import StoredView, rebuild_view

START = datetime(2020, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
COLUMNS = ["stop", "line", "since", "event_timestamp", "created_timestamp", "fallen", "newest"]
KEYS = ("stop", "line", "since")


def moments(hours: np.ndarray) -> pd.Series:
    return pd.Series(START + pd.to_timedelta(hours, unit="h")).astype("datetime64[us, UTC]")


def some_keys(random: np.random.Generator, rows: int) -> pd.DataFrame:
    line = random.integers(0, 2, rows)
    return pd.DataFrame(
        {"stop": random.choice(["a", "b", "c"], rows).astype(object), "line": line, "since": moments(line)}
    )


@pytest.fixture(params=range(5))
def random(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.fixture
def table(random: np.random.Generator, tmp_path: Path) -> pd.DataFrame:
    """A table of few moments, so that many rows tie, but not in their created timestamps."""
    stamps = random.integers(0, 60, 200)
    rows = some_keys(random, 200).assign(
        event_timestamp=moments(stamps), created_timestamp=moments(random.integers(0, 10_000, 200)),
        fallen=np.where(random.random(200) < 0.1, np.nan, random.normal(size=200)), newest=stamps,
    )  # fmt: skip
    rows[COLUMNS].to_parquet(tmp_path / "rain.parquet")
    return pd.read_parquet(tmp_path / "rain.parquet")


LOADED = [(), ((0, 60),), ((0, 10), (20, 45)), ((30, 30),)]


@pytest.mark.parametrize("loaded", LOADED, ids=["never", "always", "with a gap", "one moment"])
def test_what_is_left_out_changes_nothing(table, random, tmp_path, loaded):
    view = StoredView(
        "rain", KEYS, ("fallen",), 5 * HOUR, tuple((START + a * HOUR, START + b * HOUR) for a, b in loaded)
    )
    asked = some_keys(random, 60).assign(watermark=moments(random.integers(30, 50, 60)))
    asked = asked.assign(clock=asked["watermark"] + pd.to_timedelta(random.integers(0, 8, 60), unit="h"))
    asked.loc[random.random(60) < 0.1, "stop"] = None
    asked.loc[random.random(60) < 0.1, "watermark"] = pd.NaT
    asked["line"] = asked["line"].astype(object)  # as the log's JSON gives it
    known = asked[asked["watermark"].notna()]
    between = known["watermark"].min(), known["watermark"].max()
    with open_plain() as connection:
        rows = newest_rows(connection, tmp_path / "rain.parquet", known[list(KEYS)], COLUMNS, between, view.loaded)
    assert dict(rows.dtypes) == dict(table.dtypes)
    given, expected = (rebuild_view(view, each, asked) for each in (rows, table))
    pd.testing.assert_series_equal(given.stamps, expected.stamps)
    pd.testing.assert_frame_equal(given.values, expected.values)
    assert given.reasons.tolist() == expected.reasons.tolist()
    older = rows[rows["event_timestamp"] <= between[0]]
    assert older.groupby(list(KEYS))["event_timestamp"].nunique().max() <= 2, "the history of a key is not read"
    assert (rows["event_timestamp"] <= between[1]).all()


def test_nobody_asked_is_no_row(table, tmp_path):
    with open_plain() as connection:
        rows = newest_rows(connection, tmp_path / "rain.parquet", table[list(KEYS)][:0], COLUMNS, (pd.NaT, pd.NaT), ())
    assert rows.empty
    assert dict(rows.dtypes) == dict(table.dtypes)


@pytest.mark.parametrize("name", ["newest_stamp", "newest_loaded_stamp", "key_0", "known", "newest", "asked", 'a"b'])
def test_a_key_may_have_any_name(table, tmp_path, name):
    plain = table.drop(columns="newest")
    found = []
    for key in ("stop", name):
        here = plain.rename(columns={"stop": key})
        here.to_parquet(tmp_path / "named.parquet")
        between, loaded = (START + 20 * HOUR, START + 30 * HOUR), ((START, START + 10 * HOUR),)
        with open_plain() as connection:
            rows = newest_rows(
                connection, tmp_path / "named.parquet", here[["line", key]][:20], list(here), between, loaded
            )
        found.append(rows.rename(columns={key: "stop"}).sort_values(list(plain), ignore_index=True))
    pd.testing.assert_frame_equal(*found)
