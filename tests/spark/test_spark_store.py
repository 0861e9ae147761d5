"""The point-in-time join on Spark against the hand-made tables of `test_asof_store.py`, and against DuckDB's."""

from datetime import timedelta

import numpy as np
import pytest

from tests.adapters.feast import test_asof_store as asof
from tests.adapters.feast.test_asof_store import CASES, SHOP, ask, known, open_store, shop_rows, view_of
from tests.spark.conftest import OPTIONS

SPARK = "flightline.adapters.feast.spark_store.SparkOfflineStore"
pytestmark = [
    pytest.mark.usefixtures("spark_engine"),
    pytest.mark.filterwarnings("ignore:.*is an experimental feature:RuntimeWarning"),
]


def open_on_spark(folder, *views, options=OPTIONS):
    store = open_store(folder, *views)
    written = {"type": SPARK, "folder": str(folder / "spark"), "spark": {"options": options}}
    store.config.offline_config, store.config._offline_store = written, None
    return type(store)(config=store.config)


@pytest.mark.parametrize(("rows", "times", "ttl", "is_known_only", "expected"), CASES.values(), ids=CASES)
def test_one_view_gives_the_hand_made_values(tmp_path, rows, times, ttl, is_known_only, expected):
    view = view_of(shop_rows(*rows), tmp_path / "shop.parquet", "shop_sales", [SHOP], ["units"], ttl)
    job = open_on_spark(tmp_path, view).get_historical_features(
        ask(*[("S1", time) for time in times]), ["shop_sales:units"], filter_by_created_timestamp=is_known_only
    )
    assert known(job.to_df()["units"]) == expected


def test_an_exact_tie_gives_one_row_and_the_greater_value(tmp_path):
    tie = shop_rows(("S1", "10:00", "10:05", 2.0), ("S1", "10:00", "10:05", 3.0), ("S1", "10:00", "10:05", 1.0))
    view = view_of(tie, tmp_path / "shop.parquet", "shop_sales", [SHOP], ["units"])
    job = open_on_spark(tmp_path, view).get_historical_features(ask(("S1", "12:00")), ["shop_sales:units"])
    assert known(job.to_df()["units"]) == [3.0]


def test_rows_keep_order_duplicates_and_missing_keys(tmp_path):
    rows = shop_rows(asof.S1, ("S2", "10:00", "10:05", 5.0), (None, "10:00", "10:05", 9.0))
    view = view_of(rows, tmp_path / "shop.parquet", "shop_sales", [SHOP], ["units"])
    asked = ask(("S2", "12:00"), ("S9", "11:00"), (None, "11:00"), ("S1", "12:00"), ("S2", "12:00"), ("S1", "09:00"))
    asked = asked.assign(row_id=np.arange(6)).astype({"shop": "category"})
    result = open_on_spark(tmp_path, view).get_historical_features(asked, ["shop_sales:units"]).to_df()
    assert known(result["units"]) == [5.0, None, None, 1.0, 5.0, None]
    assert list(result["row_id"]) == list(range(6))


@pytest.mark.parametrize("is_known_only", [False, True])
def test_a_random_join_equals_duckdbs(tmp_path, is_known_only):
    rng = np.random.default_rng(1)
    rows = asof.make_random(rng, 700)
    rows["created"] = rows["event_timestamp"] + np.timedelta64(15, "m") * rng.integers(-4, 40, 700)
    rows = rows.drop_duplicates(["shop", "city", "event_timestamp", "created"])
    rows["units"] = np.where(rng.random(len(rows)) < 0.1, np.nan, rng.normal(size=len(rows)))
    view = view_of(rows, tmp_path / "rows.parquet", "pair", [SHOP, asof.CITY], ["units"], timedelta(hours=2))
    asked = asof.make_random(rng, 900)
    expected, got = (
        store.get_historical_features(asked, ["pair:units"], filter_by_created_timestamp=is_known_only).to_df()
        for store in (open_store(tmp_path, view), open_on_spark(tmp_path, view))
    )
    assert 0 < expected["units"].isna().sum() < len(expected)
    assert known(got["units"]) == known(expected["units"])
