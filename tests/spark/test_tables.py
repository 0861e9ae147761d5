"""The toy problem's groups, feature tables, examples and leak test on Spark: what DuckDB gives, to the last bit."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from tests.toy_tables import FEATURE_TABLES


@pytest.fixture(scope="module")
def spark_groups(spark_engine, toy_place):
    raw = engine.load_raw(spark_engine, toy_place.settings.data_dir, toy_place.raw_tables.contracts)
    return engine.build_groups(spark_engine, raw, toy_place.features)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the rows in order, and times in one unit: of a column with missing ones Ibis' DuckDB gives nanoseconds."""
    times = frame.select_dtypes("datetimetz")
    frame = frame.assign(**{name: times[name].dt.as_unit("us") for name in times})
    return frame.sort_values(list(frame.columns), ignore_index=True)


def test_the_groups_are_equal(toy_groups, spark_groups):
    for name, expected in toy_groups.items():
        got = engine.to_frame(spark_groups[name])
        pd.testing.assert_frame_equal(plain(got), plain(engine.to_frame(expected)), check_exact=True)


def test_the_feature_tables_are_equal_files_of_equal_types(toy_groups, spark_groups, toy_place, tmp_path):
    for folder, groups in {"duckdb": toy_groups, "spark": spark_groups}.items():
        engine.write_feature_tables(groups, FEATURE_TABLES, tmp_path / folder, keys=toy_place.key_names)
    for name in FEATURE_TABLES:
        expected, got = (pd.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("duckdb", "spark"))
        pd.testing.assert_frame_equal(got, expected, check_exact=True)
    assert sorted(file.name for file in (tmp_path / "spark").iterdir()) == sorted(
        f"{n}.parquet" for n in FEATURE_TABLES
    )


def test_the_examples_are_equal(toy_groups, spark_groups, toy_place):
    expected, got = (
        engine.to_frame(
            toy_place.features.examples(groups, toy_place.problem).order_by("event_timestamp", "example_id")
        )
        for groups in (toy_groups, spark_groups)
    )
    pd.testing.assert_frame_equal(plain(got), plain(expected), check_exact=True)


def test_the_leak_test_passes_and_bites(spark_groups):
    def leaky(groups):
        closings = groups["closings"]
        return closings.select("shop", event_timestamp=closings.opens, units=closings.units)

    moment = datetime(2020, 3, 10, 10, tzinfo=UTC)
    leaks = engine.find_leaks(spark_groups, {**FEATURE_TABLES, "leaky": leaky}, [moment])
    assert [leak.table for leak in leaks] == ["leaky"]
