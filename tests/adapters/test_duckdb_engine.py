"""The engine: typed loading, groups as of a clock, and feature tables that appear whole or not at all."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import FeatureError
from flightline.problem.availability import GROUPS
from flightline.problem.features import FEATURE_TABLES, carrier_arrivals
from flightline.problem.raw_tables import CONTRACTS
from tests.problem.raw_rows import AIRPORTS, cancelled, diverted, flight, observation, write_raw

Tables = Mapping[str, ibis.Table]
FLIGHTS = [
    flight(),
    flight(flight=2, dest="LAX", sched_arr_time=1500),
    cancelled(flight=3, tailnum=None),
    diverted(flight=4),
]


@pytest.fixture
def raw_dir(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_raw(folder, flights=FLIGHTS)
    return folder


def load(connection, data_dir: Path) -> dict[str, ibis.Table]:
    return engine.load_raw(connection, data_dir, CONTRACTS)


# Loading.


@pytest.mark.parametrize("name", CONTRACTS)
def test_columns_have_the_types_of_the_contract(connection, raw_dir, name):
    kinds = {"Int64": "int64", "Float64": "float64", "object": "string", "datetime64[ns, UTC]": "timestamp('UTC', 6)"}
    expected = {column: kinds[str(spec.dtype)] for column, spec in CONTRACTS[name].schema.columns.items()}
    assert {column: str(kind) for column, kind in load(connection, raw_dir)[name].schema().items()} == expected


def test_na_is_missing_in_every_type(connection, raw_dir):
    row = load(connection, raw_dir)["flights"].filter(_.flight == 3).to_pandas()
    assert row[["dep_time", "arr_delay", "air_time", "tailnum"]].isna().all(axis=None)


def test_times_are_read_as_utc(connection, raw_dir):
    assert set(load(connection, raw_dir)["flights"].to_pandas()["time_hour"]) == {
        pd.Timestamp("2013-06-03 16:00", tz="UTC")
    }


def test_the_session_is_in_utc(connection):
    assert connection.raw_sql("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_months_are_read_as_one_table(connection, raw_dir, tmp_path):
    other = tmp_path / "july"
    other.mkdir()
    write_raw(other, flights=[flight("2013-07-01")])
    (other / "flights" / "2013-06.csv").rename(raw_dir / "flights" / "2013-07.csv")
    assert load(connection, raw_dir)["flights"].month.execute().value_counts().to_dict() == {6: 4, 7: 1}


def test_a_cell_of_another_type_stops_the_load(connection, raw_dir):
    file = raw_dir / "flights" / "2013-06.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("2013,6,3,1200", "2013,6,3,noon", 1), encoding="utf-8")
    with pytest.raises(duckdb.Error, match="noon"):
        load(connection, raw_dir)


# Groups.


def test_every_group_is_built(connection, raw_dir):
    assert set(engine.build_groups(connection, load(connection, raw_dir))) == set(GROUPS)


@pytest.mark.parametrize(
    ("clock", "rows"),
    [
        (datetime(2013, 6, 2, 15, 59, tzinfo=UTC), [4, 0, 0, 0, 0, 0]),
        (datetime(2013, 6, 3, 16, 0, tzinfo=UTC), [4, 3, 3, 0, 1, 0]),
        (datetime(2013, 6, 3, 17, 30, tzinfo=UTC), [4, 3, 3, 1, 1, 1]),
        (None, [4, 3, 3, 2, 1, 1]),
    ],
    ids=["the day before", "at departure", "at the first landing", "all"],
)
def test_groups_end_at_the_clock(connection, raw_dir, clock, rows):
    groups = engine.build_groups(connection, load(connection, raw_dir), clock)
    names = ("schedule", "assignments", "departures", "arrivals", "cancellations", "weather")
    assert [groups[name].count().execute() for name in names] == rows


@pytest.mark.parametrize(
    ("airports", "message"),
    [
        (AIRPORTS | {"LAX": "Mars/Olympus"}, "turned 4 raw rows into 3"),
        (AIRPORTS | {"LAX": None}, "turned 4 raw rows into 3"),
        ({faa: zone for faa, zone in AIRPORTS.items() if faa != "BOS"}, "turned 4 raw rows into 1"),
        (AIRPORTS | {"SJU": "America/Puerto_Rico"}, None),
    ],
    ids=["unknown zone", "no zone", "no airport", "one too many that no flight goes to"],
)
def test_rows_lost_on_the_way_to_utc_are_refused(connection, tmp_path, airports, message):
    write_raw(tmp_path, flights=FLIGHTS, airports=airports)
    if message is None:
        assert engine.build_groups(connection, load(connection, tmp_path))["schedule"].count().execute() == 4
        return
    with pytest.raises(FeatureError, match=f"preparing flights {message}"):
        engine.build_groups(connection, load(connection, tmp_path))


def test_rows_doubled_on_the_way_to_utc_are_refused(connection, tmp_path):
    write_raw(
        tmp_path, flights=[flight(dest="SJU", sched_arr_time=1545)], airports=AIRPORTS | {"SJU": "America/Puerto_Rico"}
    )
    with pytest.raises(FeatureError, match="preparing flights turned 1 raw rows into 2"):
        engine.build_groups(connection, load(connection, tmp_path))


# Feature tables.


def delays(*rows: tuple[str, str, float]) -> ibis.Table:
    """Make a feature table of (carrier, time of day, delay)."""
    frame = pd.DataFrame(rows, columns=["carrier", "event_timestamp", "delay"])
    return ibis.memtable(
        frame.assign(event_timestamp=pd.to_datetime("2013-06-03 " + frame["event_timestamp"], utc=True))
    )


def good(groups: Tables) -> ibis.Table:
    return delays(("UA", "11:00", 2.0), ("AA", "12:00", 3.0), ("UA", "10:00", 1.0))


def doubled(groups: Tables) -> ibis.Table:
    return delays(("UA", "10:00", 1.0), ("UA", "10:00", 2.0), ("UA", "10:00", 3.0))


def broken(groups: Tables) -> ibis.Table:
    raise FeatureError("no such group")


def test_a_table_is_written_ordered_and_stamped(tmp_path):
    rows = engine.write_feature_tables({}, {"good": good}, tmp_path / "v1")
    table = pd.read_parquet(tmp_path / "v1" / "good.parquet")
    assert rows == {"good": 3}
    assert list(table) == ["carrier", "event_timestamp", "created_timestamp", "delay"]
    assert table["delay"].tolist() == [3.0, 1.0, 2.0]
    assert table["created_timestamp"].equals(table["event_timestamp"].rename("created_timestamp"))


def test_each_table_is_reported_with_its_rows(tmp_path):
    told = []
    engine.write_feature_tables(
        {}, {"one": good, "two": good}, tmp_path / "v1", lambda name, rows: told.append((name, rows))
    )
    assert told == [("one", 3), ("two", 3)]


def test_two_rows_of_one_key_and_moment_are_refused_with_their_number(tmp_path):
    with pytest.raises(
        FeatureError, match=r"doubled holds 2 row\(s\) whose \(carrier, event_timestamp, created_timestamp\)"
    ):
        engine.write_feature_tables({}, {"doubled": doubled}, tmp_path / "v1")


def test_equal_rows_are_refused_too(tmp_path):
    pd.DataFrame({"carrier": ["UA", "UA"], "event_timestamp": [1, 1], "delay": [1.0, 1.0]}).to_parquet(
        tmp_path / "t.parquet"
    )
    with pytest.raises(FeatureError, match=r"t holds 1 row\(s\)"):
        engine.check_unique(tmp_path / "t.parquet")


@pytest.mark.parametrize("fault", [doubled, broken])
def test_a_failed_build_leaves_nothing_behind(tmp_path, fault):
    with pytest.raises(FeatureError):
        engine.write_feature_tables({}, {"good": good, "fault": fault}, tmp_path / "v1")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_leaves_the_tables_before_it_as_they_were(tmp_path):
    engine.write_feature_tables({}, {"good": good}, tmp_path / "v1")
    before = engine.tables_digest(tmp_path / "v1")
    with pytest.raises(FeatureError):
        engine.write_feature_tables({}, {"good": doubled}, tmp_path / "v1")
    assert engine.tables_digest(tmp_path / "v1") == before


def test_a_folder_is_not_there_before_all_its_tables_are(tmp_path):
    target, seen = tmp_path / "v1", []
    engine.write_feature_tables({}, {"one": good, "two": good}, target, lambda name, rows: seen.append(target.exists()))
    assert seen == [False, False]
    assert sorted(file.name for file in target.iterdir()) == ["one.parquet", "two.parquet"]


def test_a_table_built_no_more_is_gone_from_the_folder(tmp_path):
    engine.write_feature_tables({}, {"old": good}, tmp_path / "v1")
    engine.write_feature_tables({}, {"new": good}, tmp_path / "v1")
    assert [file.name for file in (tmp_path / "v1").iterdir()] == ["new.parquet"]


@pytest.mark.parametrize(
    ("tables", "is_same"),
    [
        ({"a": good}, True),
        ({"b": good}, False),
        ({"a": good, "b": good}, False),
        ({"a": lambda groups: good(groups).limit(2)}, False),
    ],
    ids=["same", "another name", "one more", "other rows"],
)
def test_the_digest_tells_tables_apart(tmp_path, tables, is_same):
    engine.write_feature_tables({}, {"a": good}, tmp_path / "v1")
    engine.write_feature_tables({}, tables, tmp_path / "v2")
    assert (engine.tables_digest(tmp_path / "v1") == engine.tables_digest(tmp_path / "v2")) is is_same


def test_tables_of_hand_made_groups_are_written_whole(connection, raw_dir, tmp_path):
    groups = engine.build_groups(connection, load(connection, raw_dir))
    rows = engine.write_feature_tables(groups, FEATURE_TABLES, tmp_path / "v1")
    expected = {"origin_weather": 1, "origin_departures": 1, "carrier_arrivals": 2, "aircraft_last_arrival": 2}
    assert expected.items() <= rows.items()
    assert set(rows) == set(FEATURE_TABLES)


# Leaks; that they are found is tested in tests/problem/test_leakage.py.


def test_moments_outside_the_data_are_left_out(winter_groups):
    inside, outside = datetime(2013, 1, 17, 22, tzinfo=UTC), datetime(2013, 7, 1, tzinfo=UTC)
    assert engine.moments_inside(winter_groups, [inside, outside]) == [inside]


def test_without_a_moment_inside_the_data_its_middle_is_taken(winter_groups):
    moments = engine.moments_inside(winter_groups, [datetime(2012, 1, 1, tzinfo=UTC)])
    assert len(moments) == 1
    assert datetime(2013, 1, 10, tzinfo=UTC) < moments[0] < datetime(2013, 1, 25, tzinfo=UTC)
    assert engine.find_leaks(winter_groups, {"carrier_arrivals": carrier_arrivals}, moments) == []


def test_leaks_come_by_moment_then_by_table(groups_of):
    flights = [flight(f"2013-06-{day:02}", arr_delay=day) for day in range(1, 9)]
    groups = groups_of(flights=flights, weather=[observation(f"2013-06-{day:02}") for day in range(1, 9)])

    def early(groups: Tables) -> ibis.Table:
        return groups["arrivals"].select(
            "carrier", event_timestamp=_.departed_at, delay=_.arrival_delay.cast("float64")
        )

    moments = [datetime(2013, 6, day, 16, 30, tzinfo=UTC) for day in (3, 5)]
    leaks = engine.find_leaks(
        groups, {"one": early, "honest": carrier_arrivals, "two": early}, moments, after=timedelta(days=1)
    )
    assert [(leak.table, leak.moment, leak.rows) for leak in leaks] == [
        (name, moment, 1) for moment in moments for name in ("one", "two")
    ]
    assert leaks[0].sample == "carrier=UA, event_timestamp=2013-06-03 16:00:00+00:00, delay=3.0"
