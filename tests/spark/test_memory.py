"""What Spark's process holds, in the least heap that it starts with; each in a process of its own, for it may end."""

from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.engines import spark
from flightline.core.engine_settings import SparkSettings
from flightline.core.errors import EngineError
from tests.adapters.feast.test_asof_store import SHOP, at, shop_rows, view_of
from tests.spark.conftest import OPTIONS
from tests.spark.test_spark_store import open_on_spark
from tests.support.own_process import exit_code_of

SMALL = OPTIONS | {"spark.driver.memory": "500m"}
VIEWS, ROWS, LETTERS = 12, 20_000, 2_000  # of keys 40 MB, which Spark holds two or three times


def run_out(folder: Path) -> None:
    """Ask for a text that is longer than the heap."""
    ended = r"Spark's process ended \(exit code 3\), most likely of memory: .*spark\.driver\.memory"
    with (
        pytest.raises(EngineError, match=ended),
        spark.connect(SparkSettings(options=SMALL), 1, folder) as backend,
    ):
        backend.session.sql("SELECT length(repeat('x', 1000000000)) AS letters").toArrow()


def join_many_views(folder: Path) -> None:
    """Join twelve views to rows whose keys fill a good part of the heap."""
    keys = [f"{number:0>{LETTERS}}" for number in range(ROWS)]
    view_of(shop_rows((keys[7], "10:00", "10:05", 1.0)), folder / "shop.parquet", "shop", [SHOP], ["units"])
    views = [view_of(None, folder / "shop.parquet", f"shop_{number}", [SHOP], ["units"]) for number in range(VIEWS)]
    asked = pd.DataFrame({"shop": keys, "event_timestamp": at("12:00")})
    names = [f"{view.name}:units" for view in views]
    store = open_on_spark(folder, *views, options=SMALL)
    found = store.get_historical_features(asked, names, full_feature_names=True).to_df()
    assert len(found) == ROWS
    assert [found[f"{view.name}__units"].sum() for view in views] == [1.0] * VIEWS


def test_a_full_heap_ends_in_one_sentence(tmp_path: Path) -> None:
    assert exit_code_of(run_out, tmp_path) == 0


def test_the_asked_rows_are_not_held_once_for_each_view(tmp_path: Path) -> None:
    assert exit_code_of(join_many_views, tmp_path) == 0
