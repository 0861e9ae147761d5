"""The engine: typed loading, groups as of a clock, and feature tables that appear whole or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import FeatureError
from tests.toy_problem import load_features, sale, shop_row, write_raw
from tests.toy_tables import CONTRACTS, FEATURE_TABLES, GROUPS, shop_recent

Tables = Mapping[str, ibis.Table]
CODE = load_features()
SHOPS = [shop_row(1), shop_row(2)]
SALES = [sale(), sale(shop="S02", units=None), sale("2020-06-04T06:00:00Z", units=100)]


@pytest.fixture
def raw_dir(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_raw(folder, {"shops": SHOPS, "sales": SALES})
    return folder


def load(connection, data_dir: Path) -> dict[str, ibis.Table]:
    return engine.load_raw(connection, data_dir, CONTRACTS)


# Loading.


@pytest.mark.parametrize("name", CONTRACTS)
def test_columns_have_the_types_of_the_contract(connection, raw_dir, name):
    kinds = {"Int64": "int64", "Float64": "float64", "object": "string", "datetime64[ns, UTC]": "timestamp('UTC', 6)"}
    expected = {column: kinds[str(spec.dtype)] for column, spec in CONTRACTS[name].schema.columns.items()}
    assert {column: str(kind) for column, kind in load(connection, raw_dir)[name].schema().items()} == expected


def test_na_is_missing_in_every_type(connection, tmp_path):
    write_raw(tmp_path, {"shops": [shop_row(1, city=None)], "sales": [sale(units=None), sale()]})
    raw = load(connection, tmp_path)
    assert raw["shops"].to_pandas()[["city", "rating"]].isna().all(axis=None)
    assert raw["sales"].units.isnull().sum().execute() == 1


def test_times_are_read_as_utc(connection, raw_dir):
    first = load(connection, raw_dir)["sales"].to_pandas()["opens"].min()
    assert first == pd.Timestamp("2020-06-03 06:00", tz="UTC")


def test_the_session_is_in_utc(connection):
    assert connection.raw_sql("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_months_are_read_as_one_table(connection, tmp_path):
    write_raw(tmp_path, {"shops": SHOPS, "sales": [*SALES, sale("2020-07-01T06:00:00Z")]})
    sales = load(connection, tmp_path)["sales"]
    assert sales.opens.month().execute().value_counts().to_dict() == {6: 3, 7: 1}


def test_a_cell_of_another_type_stops_the_load(connection, raw_dir):
    file = raw_dir / "sales" / "2020-06.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(",80", ",many", 1), encoding="utf-8")
    with pytest.raises(duckdb.Error, match="many"):
        load(connection, raw_dir)


# Groups.


def test_every_group_is_built(connection, raw_dir):
    assert set(engine.build_groups(connection, load(connection, raw_dir), CODE)) == set(GROUPS)


@pytest.mark.parametrize(
    ("clock", "rows"),
    [
        (datetime(2020, 5, 31, 6, 0, tzinfo=UTC), [2, 0, 0]),
        (datetime(2020, 6, 3, 7, 0, tzinfo=UTC), [3, 0, 1]),
        (datetime(2020, 6, 3, 16, 0, tzinfo=UTC), [3, 1, 1]),
        (None, [3, 2, 1]),
    ],
    ids=["three days before", "an hour after opening", "at the first closing", "all"],
)
def test_groups_end_at_the_clock(connection, raw_dir, clock, rows):
    groups = engine.build_groups(connection, load(connection, raw_dir), CODE, clock)
    assert [groups[name].count().execute() for name in ("plans", "closings", "closed_days")] == rows


@pytest.mark.parametrize(
    ("change", "got"), [({"known_at": _.known_at.cast("timestamp")}, "timestamp"), ({}, "not there")]
)
def test_a_group_whose_moments_have_no_zone_is_refused(connection, raw_dir, change, got):
    def without_zone(prepared):
        group = GROUPS["closings"](prepared)
        return group.mutate(**change) if change else group.drop("known_at")

    code = replace(CODE, groups={**GROUPS, "closings": without_zone})
    with pytest.raises(FeatureError, match=f"known_at of the group closings is {got}.*, expected a moment in UTC"):
        engine.build_groups(connection, load(connection, raw_dir), code)


def test_a_feature_table_whose_moments_have_no_zone_is_refused(toy_groups):
    def without_zone(groups):
        table = shop_recent(groups)
        return table.mutate(event_timestamp=table.event_timestamp.cast("timestamp"))

    moment = datetime(2020, 5, 20, tzinfo=UTC)
    with pytest.raises(FeatureError, match="event_timestamp of the feature table shop_recent is timestamp"):
        engine.find_leaks(toy_groups, {"shop_recent": without_zone}, [moment])


@pytest.mark.parametrize(("shops", "rows"), [(SHOPS[:1], 2), ([*SHOPS, SHOPS[0]], 5)], ids=["lost", "doubled"])
def test_preparing_that_loses_or_doubles_rows_is_refused(connection, tmp_path, shops, rows):
    write_raw(tmp_path, {"shops": shops, "sales": SALES})
    with pytest.raises(FeatureError, match=f"preparing sales turned 3 raw rows into {rows}"):
        engine.build_groups(connection, load(connection, tmp_path), CODE)


# Feature tables.


def stock(*rows: tuple[str, str, float]) -> ibis.Table:
    """Make a feature table of (shop, time of day, units)."""
    frame = pd.DataFrame(rows, columns=["shop", "event_timestamp", "units"])
    return ibis.memtable(
        frame.assign(event_timestamp=pd.to_datetime("2013-06-03 " + frame["event_timestamp"], utc=True))
    )


def good(groups: Tables) -> ibis.Table:
    return stock(("S02", "11:00", 2.0), ("S01", "12:00", 3.0), ("S02", "10:00", 1.0))


def doubled(groups: Tables) -> ibis.Table:
    return stock(("S01", "10:00", 1.0), ("S01", "10:00", 2.0), ("S01", "10:00", 3.0))


def broken(groups: Tables) -> ibis.Table:
    raise FeatureError("no such group")


def test_a_table_is_written_ordered_and_stamped(tmp_path):
    rows = engine.write_feature_tables({}, {"good": good}, tmp_path / "v1")
    table = pd.read_parquet(tmp_path / "v1" / "good.parquet")
    assert rows == {"good": 3}
    assert list(table) == ["shop", "event_timestamp", "created_timestamp", "units"]
    assert table["units"].tolist() == [3.0, 1.0, 2.0]
    assert table["created_timestamp"].equals(table["event_timestamp"].rename("created_timestamp"))


def test_numbers_that_are_no_float64_become_it(tmp_path):
    def mixed(groups: Tables) -> ibis.Table:
        table = good(groups)
        is_many = table.units > 1
        cases = ibis.cases((is_many, 1.0), else_=0.0)
        return table.mutate(chosen=cases, filled=table.units.nullif(1).fill_null(0.0), is_many=is_many)

    rows = engine.write_feature_tables({}, {"mixed": mixed}, tmp_path / "v1")
    table = pd.read_parquet(tmp_path / "v1" / "mixed.parquet")
    assert rows == {"mixed": 3}
    assert set(table[["units", "chosen", "filled", "is_many"]].dtypes.astype(str)) == {"float64"}
    assert table["chosen"].tolist() == table["is_many"].tolist() == [1.0, 0.0, 1.0]


def test_each_table_is_reported_with_its_rows(tmp_path):
    told = []
    engine.write_feature_tables(
        {}, {"one": good, "two": good}, tmp_path / "v1", lambda name, rows: told.append((name, rows))
    )
    assert told == [("one", 3), ("two", 3)]


def test_two_rows_of_one_key_and_moment_are_refused_with_their_number(tmp_path):
    with pytest.raises(
        FeatureError, match=r"doubled holds 2 row\(s\) whose \(shop, event_timestamp, created_timestamp\)"
    ):
        engine.write_feature_tables({}, {"doubled": doubled}, tmp_path / "v1")


def test_equal_rows_are_refused_too(tmp_path):
    pd.DataFrame({"shop": ["S01", "S01"], "event_timestamp": [1, 1], "units": [1.0, 1.0]}).to_parquet(
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


def test_a_table_is_hashed_a_piece_at_a_time(tmp_path, monkeypatch):
    (tmp_path / "large.parquet").write_bytes(b"a table")
    monkeypatch.delattr(Path, "read_bytes")  # which gives all at once
    assert engine.tables_digest(tmp_path)


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
    groups = engine.build_groups(connection, load(connection, raw_dir), CODE)
    rows = engine.write_feature_tables(groups, FEATURE_TABLES, tmp_path / "v1")
    assert rows == {"shop_recent": 2, "city_recent": 2, "shop_weekday": 2, "baking_plan": 3}


# Leaks; that those of the project's own problem are found is tested in tests/problem/test_leakage.py.


def test_moments_outside_the_data_are_left_out(toy_groups):
    inside, outside = datetime(2020, 3, 10, 10, tzinfo=UTC), datetime(2021, 7, 1, tzinfo=UTC)
    assert engine.moments_inside(toy_groups, [inside, outside]) == [inside]


def test_without_a_moment_inside_the_data_its_middle_is_taken(toy_groups):
    moments = engine.moments_inside(toy_groups, [datetime(2012, 1, 1, tzinfo=UTC)])
    assert len(moments) == 1
    assert datetime(2020, 3, 25, tzinfo=UTC) < moments[0] < datetime(2020, 4, 20, tzinfo=UTC)
    assert engine.find_leaks(toy_groups, {"shop_recent": shop_recent}, moments) == []


def test_a_mean_over_the_whole_period_is_a_leak(toy_groups):
    def whole(groups: Tables) -> ibis.Table:
        sold = groups["closings"]
        usual = sold.group_by("shop").aggregate(usual=_.units.mean())
        return sold.join(usual, "shop").select("shop", event_timestamp=_.closes, usual=_.usual)

    moment = datetime(2020, 3, 10, 10, tzinfo=UTC)
    (leak,) = engine.find_leaks(toy_groups, {"whole": whole, "honest": shop_recent}, [moment])
    assert (leak.table, leak.moment) == ("whole", moment)
    assert leak.rows > 0


@pytest.mark.parametrize("hour", [0, 10, 19])
def test_what_is_stamped_a_second_too_early_is_seen_at_any_moment(toy_groups, hour):
    def early(groups: Tables) -> ibis.Table:
        second = ibis.interval(seconds=1)
        return groups["closings"].select("shop", event_timestamp=_.known_at - second, units=_.units.cast("float64"))

    moment = datetime(2020, 3, 10, hour, 20, tzinfo=UTC)
    assert [leak.moment for leak in engine.find_leaks(toy_groups, {"early": early}, [moment])] == [moment]


def test_leaks_come_by_moment_then_by_table(connection, tmp_path):
    sales = [sale(f"2020-06-{day:02}T06:00:00Z", units=day) for day in range(1, 9)]
    write_raw(tmp_path, {"shops": SHOPS, "sales": sales})
    groups = engine.build_groups(connection, load(connection, tmp_path), CODE)

    def early(groups: Tables) -> ibis.Table:
        return groups["closings"].select("shop", event_timestamp=_.opens, units=_.units.cast("float64"))

    moments = [datetime(2020, 6, day, 6, 30, tzinfo=UTC) for day in (3, 5)]
    leaks = engine.find_leaks(
        groups, {"one": early, "honest": shop_recent, "two": early}, moments, after=timedelta(days=1)
    )
    assert [(leak.table, leak.moment, leak.rows) for leak in leaks] == [
        (name, moment, 1) for moment in moments for name in ("one", "two")
    ]
    assert leaks[0].sample == "shop=S01, event_timestamp=2020-06-03 06:00:00+00:00, units=3.0"


def known(rows: pd.DataFrame, ahead: timedelta) -> ibis.Table:
    """Make a group of rows with a column day, known so long before it."""
    return ibis.memtable(rows.assign(known_at=rows["day"] - ahead))


def weekly_groups(planned_ahead: timedelta) -> dict[str, ibis.Table]:
    """Make weeks, planned ahead of their first day, and what each had come to 28 days later."""
    weeks = pd.DataFrame({"day": pd.date_range("2020-01-06", "2021-06-28", freq="7D", tz="UTC")})
    weeks = weeks.assign(week=weeks["day"].dt.strftime("%Y-%m-%d"))
    sold = weeks.assign(units=[float(number) for number in range(len(weeks))])
    return {"plans": known(weeks, planned_ahead), "sold": known(sold, -timedelta(days=28))}


def outcome_at_its_beginning(groups: Tables) -> ibis.Table:
    return groups["sold"].select("week", event_timestamp=_.day, units=_.units)


def outcome_of_what_is_planned(groups: Tables) -> ibis.Table:
    sold = groups["sold"].select("week", "units")
    return groups["plans"].left_join(sold, "week").select("week", event_timestamp=_.day, units=_.units)


@pytest.mark.parametrize("weekday", range(7))
def test_a_leak_of_what_comes_once_a_week_is_found_on_each_day(weekday):
    moment = datetime(2020, 6, 8 + weekday, 12, tzinfo=UTC)
    leaks = engine.find_leaks(weekly_groups(timedelta(days=28)), {"early": outcome_at_its_beginning}, [moment])
    assert [leak.table for leak in leaks] == ["early"]


def test_a_table_of_what_is_planned_far_ahead_is_compared():
    tables = {"early": outcome_of_what_is_planned}
    moment = datetime(2020, 9, 10, tzinfo=UTC)
    assert engine.find_leaks(weekly_groups(timedelta(days=180)), tables, [moment])
