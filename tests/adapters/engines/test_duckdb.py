"""DuckDB keeps within the memory and disk of the settings, wherever the project opens it."""

import re
from pathlib import Path

import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.engines import duckdb, open_engine
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.registry import open_store
from flightline.core.errors import EngineError
from flightline.core.settings import Settings

ROOT = Path(__file__).parents[3]
ROWS, MEMORY = 400_000, "70MB"  # enough with spilling, and not without


def large_table(connection):
    """Make an expression that takes some 60 MB to group."""
    shop = "hash(range)::VARCHAR || hash(range + 1)::VARCHAR || hash(range + 2)::VARCHAR || hash(range + 3)::VARCHAR"
    connection.raw_sql(f"CREATE VIEW large AS SELECT {shop} AS shop, now() AS event_timestamp FROM range({ROWS})")
    table = connection.table("large")
    return lambda groups: table.group_by("shop", "event_timestamp").aggregate(units=table.count().cast("float64"))


def test_a_connection_has_the_limits_of_the_settings(tmp_path):
    settings = Settings(root=tmp_path, duckdb={"memory_limit": "100MiB", "spill_limit": "2GiB"})
    names = (
        "current_setting('memory_limit'), current_setting('max_temp_directory_size'), current_setting('temp_directory')"
    )
    expected = ("100.0 MiB", "2.0 GiB", str(tmp_path / ".state" / "spill"))
    with open_engine(settings) as connection:
        assert connection.raw_sql(f"SELECT {names}").fetchone() == expected
    with duckdb.open_plain(settings.duckdb_limits) as connection:
        assert connection.execute(f"SELECT {names}").fetchone() == expected


def test_feasts_store_has_them_too(toy_store):
    settings = Settings(root=toy_store.settings.root, duckdb={"memory_limit": "100MiB"})
    assert open_store(settings).config.offline_store.limits == settings.duckdb_limits


def test_a_join_without_room_says_so(toy_store, toy_examples):
    settings = Settings(root=toy_store.settings.root, duckdb={"memory_limit": "1MB", "spill_limit": "1KB"})
    with pytest.raises(EngineError, match="FLIGHTLINE_DUCKDB__"):
        feast_store.join_features(settings, toy_store.problem.feature_service, toy_examples)


def test_a_full_spill_disk_ends_with_one_sentence_and_leaves_nothing(tmp_path):
    settings = Settings(
        root=tmp_path, threads=1, duckdb={"memory_limit": MEMORY, "spill_limit": "1MB", "spill_dir": tmp_path / "spill"}
    )
    target = tmp_path / "tables"
    with pytest.raises(EngineError, match=r"no room is left where DuckDB puts.*SPILL_LIMIT") as caught:  # noqa: SIM117
        with open_engine(settings) as connection:
            engine.write_feature_tables({}, {"large": large_table(connection)}, target)
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.iterdir() if path.name != "spill"] == []
    assert list((tmp_path / "spill").glob("**/*")) == []


def test_with_room_to_spill_the_same_table_is_written(tmp_path):
    settings = Settings(root=tmp_path, threads=1, duckdb={"memory_limit": MEMORY})
    with open_engine(settings) as connection:
        rows = engine.write_feature_tables(
            {}, {"large": large_table(connection)}, tmp_path / "tables", limits=settings.duckdb_limits
        )
    assert rows == {"large": ROWS}


def test_nothing_else_opens_a_connection():
    found = {
        str(file.relative_to(ROOT)): found
        for folder in ("src", "pipelines", "serving", "tools")
        for file in (ROOT / folder).rglob("*.py")
        if (found := re.findall(r"duckdb\.(?:ibis\.)?connect\(", file.read_text(encoding="utf-8")))
    }
    assert found.keys() == {"src/flightline/adapters/engines/duckdb.py", "src/flightline/adapters/engines/__init__.py"}
