"""The offline store against hand-made tables, a pandas reference and Feast's own duckdb store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

from flightline.adapters.feast.asof_store import AsofOfflineStore
from flightline.core.errors import FeatureError

# Feast warns of on-demand views and saved data sets being experimental; Ibis calls an old name of DuckDB's.
pytestmark = [
    pytest.mark.usefixtures("unguarded"),  # on-demand views, which the store can join
    pytest.mark.filterwarnings("ignore:.*is an experimental feature:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
]

ASOF = f"{AsofOfflineStore.__module__}.{AsofOfflineStore.__qualname__}"
DAY = "2020-01-01"
SHOP = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)
CITY = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)


def at(text: str) -> pd.Timestamp:
    """Read a time of day, or a whole timestamp, as UTC."""
    return pd.Timestamp(text if "-" in text else f"{DAY} {text}", tz="UTC")


def open_store(repo: Path, *objects: object, store_type: str = ASOF) -> FeatureStore:
    repo.mkdir(parents=True, exist_ok=True)
    name = store_type.rsplit(".", 1)[-1]
    (repo / f"{name}.yaml").write_text(
        f"project: bakeries\nregistry: {repo}/{name}.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"offline_store:\n  type: {store_type}\nonline_store:\n  type: sqlite\n  path: {repo}/{name}_online.db\n"
    )
    store = FeatureStore(repo_path=str(repo), fs_yaml_file=repo / f"{name}.yaml")
    store.apply([SHOP, CITY, *objects])
    return store


def view_of(frame, path, name, entities, features, ttl=None) -> FeatureView:
    """Write a frame to an absolute path, or declare what is at a relative one."""
    if frame is not None:
        frame.to_parquet(path, index=False)
    created = "created" if frame is not None and "created" in frame else ""
    schema = [Field(name=entity.join_key, dtype=String) for entity in entities]
    schema += [Field(name=feature, dtype=Float64) for feature in features]
    source = FileSource(
        name=f"{name}_source", path=str(path), timestamp_field="event_timestamp", created_timestamp_column=created
    )
    return FeatureView(name=name, entities=entities, ttl=ttl, schema=schema, source=source)


def shop_rows(*rows: tuple[str | None, str, str | None, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["shop", "event_timestamp", "created", "units"])
    for column in ("event_timestamp", "created"):
        frame[column] = pd.to_datetime([at(text) if text else pd.NaT for text in frame[column]], utc=True)
    return frame.assign(units=frame["units"].astype("float64"))


def ask(*rows: tuple[str | None, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["shop", "event_timestamp"])
    return frame.assign(event_timestamp=[at(text) for text in frame["event_timestamp"]])


def known(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else value for value in values]


HOUR = timedelta(hours=1)
S1 = ("S1", "10:00", "10:05", 1.0)
LATE = ("S1", "11:00", "15:00", 2.0)  # known long after the event
CASES = {
    "newest not later": ([S1, LATE], ["09:59", "10:00", "10:59", "11:00"], None, False, [None, 1.0, 1.0, 2.0]),
    "ttl edge counts": ([S1], ["11:00"], HOUR, False, [1.0]),
    "one microsecond beyond ttl": ([S1], ["11:00:00.000001"], HOUR, False, [None]),
    "ttl of zero is no limit": ([S1], ["2023-01-01"], timedelta(0), False, [1.0]),
    "ttl hides an expired newest row": ([S1, LATE], ["12:30"], HOUR, False, [None]),
    "greatest created wins a tie": (
        [("S1", "10:00", "10:07", 7.0), ("S1", "10:00", "10:09", 9.0), ("S1", "10:00", "10:08", 8.0)],
        ["12:00"], None, False, [9.0]),
    "unknown created loses a tie": ([S1, ("S1", "10:00", None, 5.0)], ["12:00"], None, False, [1.0]),
    "created only breaks ties": ([S1, LATE], ["12:00"], None, False, [2.0]),
    "newest null hides the older value": ([S1, ("S1", "11:00", "11:05", None)], ["12:00"], None, False, [None]),
    "not known yet": ([S1, LATE], ["10:04", "10:05", "14:59", "15:00"], None, True, [None, 1.0, 1.0, 2.0]),
    "a correction counts once known": (
        [S1, ("S1", "10:00", "12:00", 3.0)], ["11:59", "12:00"], None, True, [1.0, 3.0]),
    "a late row does not replace a newer event": (
        [("S1", "11:00", "11:05", 2.0), ("S1", "10:00", "13:00", 1.0)], ["11:05", "13:00"], None, True, [2.0, 2.0]),
    "known at once, newest event wins": (
        [("S1", "10:00", "13:00", 1.0), ("S1", "11:00", "13:00", 2.0)], ["13:00"], None, True, [2.0]),
    "known at once, newest created wins": (
        [("S1", "10:00", "08:00", 1.0), ("S1", "10:00", "09:00", 2.0)], ["10:00"], None, True, [2.0]),
    "created before the event": ([("S1", "10:00", "08:00", 1.0)], ["09:00", "10:00"], None, True, [None, 1.0]),
    "never known": ([("S1", "10:00", None, 1.0)], ["12:00"], None, True, [None]),
    "ttl runs from the event, not from created": ([LATE], ["15:00"], HOUR, True, [None]),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "times", "ttl", "is_known_only", "expected"), CASES.values(), ids=CASES)
def test_one_view_gives_the_hand_made_values(tmp_path, rows, times, ttl, is_known_only, expected):
    view = view_of(shop_rows(*rows), tmp_path / "shop.parquet", "shop_sales", [SHOP], ["units"], ttl)
    store = open_store(tmp_path, view)
    job = store.get_historical_features(
        ask(*[("S1", time) for time in times]), ["shop_sales:units"], filter_by_created_timestamp=is_known_only
    )
    assert known(job.to_df()["units"]) == expected


@pytest.fixture(scope="module")
def bakeries(tmp_path_factory) -> FeatureStore:
    """Two views with different keys and a source with other column names, under one repository."""
    repo = tmp_path_factory.mktemp("bakeries")
    shops = shop_rows(S1, ("S2", "10:00", "10:05", 5.0), (None, "10:00", "10:05", 9.0)).assign(share=[0.1, 0.2, 0.3])
    cities = pd.DataFrame({"city": ["Bergen"], "event_timestamp": [at("09:00")], "units": [20.0]})
    prices = pd.DataFrame({"town": ["Bergen"], "seen": [at("08:00").tz_localize(None)], "price kr": [30.0]})
    prices.to_parquet(repo / "prices.parquet", index=False)
    names = {"town": "city", "price kr": "price"}
    source = FileSource(name="prices_source", path="prices.parquet", timestamp_field="seen", field_mapping=names)
    schema = [Field(name="city", dtype=String), Field(name="price", dtype=Float64)]

    shop = view_of(shops, repo / "p.parquet", "shop_sales", [SHOP], ["units", "share"])
    request = RequestSource(name="opening", schema=[Field(name="hours", dtype=Int64)])

    @on_demand_feature_view(
        sources=[shop, request], schema=[Field(name="units_per_hour", dtype=Float64)], mode="python"
    )
    def ratio(inputs: dict) -> dict:
        return {"units_per_hour": [d / m for d, m in zip(inputs["units"], inputs["hours"], strict=True)]}

    city = view_of(cities, repo / "a.parquet", "city_sales", [CITY], ["units"])
    prices = FeatureView(name="prices", entities=[CITY], ttl=None, schema=schema, source=source)
    return open_store(repo, shop, city, prices, ratio)


def test_rows_keep_order_duplicates_and_extra_columns(bakeries):
    asked = ask(("S2", "12:00"), ("S9", "11:00"), (None, "11:00"), ("S1", "12:00"), ("S2", "12:00"), ("S1", "09:00"))
    asked = asked.assign(is_open=[True, False, None] * 2, count=np.arange(6, dtype="int32"), noted=at("01:00"))
    asked = asked.assign(kind=pd.Categorical(list("ABABAB"))).set_axis([7, 7, 3, 2, 1, 0])
    result = bakeries.get_historical_features(asked, ["shop_sales:units"]).to_df()
    assert known(result.pop("units")) == [5.0, None, None, 1.0, 5.0, None]
    pd.testing.assert_frame_equal(result, asked.reset_index(drop=True))


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2020-01-01 10:00", "2020-01-01 09:59"]),
        pd.to_datetime(["2020-01-01 05:00-05:00", "2020-01-01 04:59-05:00"]).tz_convert("America/New_York"),
        ["2020-01-01 10:00", "2020-01-01 09:59"],
        ["2020-01-01T05:00:00-05:00", "2020-01-01T10:59:00+01:00"],
        [datetime(2020, 1, 1, 10, tzinfo=UTC), datetime(2020, 1, 1, 9, 59, tzinfo=UTC)],
    ],
    ids=["naive", "other zone", "text", "text with zones", "objects"],
)
def test_every_kind_of_timestamp_is_compared_in_utc(bakeries, times):
    asked = pd.DataFrame({"shop": ["S1", "S1"], "event_timestamp": times})
    result = bakeries.get_historical_features(asked, ["shop_sales:units"]).to_df()
    assert known(result["units"]) == [1.0, None]
    assert list(result["event_timestamp"]) == [at("10:00"), at("09:59")]


def test_missing_entity_timestamps_and_no_rows_at_all(bakeries):
    asked = ask(("S1", "12:00"), ("S1", "12:00")).assign(event_timestamp=[at("12:00"), pd.NaT])
    assert known(bakeries.get_historical_features(asked, ["shop_sales:units"]).to_df()["units"]) == [1.0, None]
    assert bakeries.get_historical_features(asked[:0], ["shop_sales:units"]).to_df().shape == (0, 3)


def test_views_join_on_their_own_keys_and_names_can_be_full(bakeries):
    asked = ask(("S1", "12:00"), ("S2", "12:00")).assign(city=["Tartu", "Bergen"])
    features = ["shop_sales:units", "city_sales:units", "prices:price"]
    result = bakeries.get_historical_features(asked, features, full_feature_names=True).to_df()
    assert list(result.columns[3:]) == ["shop_sales__units", "city_sales__units", "prices__price"]
    assert known(result["shop_sales__units"]) == [1.0, 5.0]
    assert known(result["city_sales__units"]) == [None, 20.0]
    assert known(result["prices__price"]) == [None, 30.0]


def test_a_view_can_be_joined_under_other_names_of_its_key(bakeries):
    view = bakeries.get_feature_view("city_sales")
    both = [view.with_name(end).with_join_key_map({"city": f"{end}_city"}) for end in ("from", "to")]
    bakeries.apply(FeatureService(name="ferry", features=both))
    asked = pd.DataFrame(
        {"from_city": ["Bergen", "Oslo"], "to_city": ["Oslo", "Bergen"], "event_timestamp": at("12:00")}
    )
    service = bakeries.get_feature_service("ferry")
    result = bakeries.get_historical_features(asked, service, full_feature_names=True).to_df()
    assert known(result["from__units"]) == [20.0, None]
    assert known(result["to__units"]) == [None, 20.0]


def test_only_the_requested_features_come_back(bakeries):
    result = bakeries.get_historical_features(ask(("S2", "12:00")), ["shop_sales:share"]).to_df()
    assert list(result.columns) == ["shop", "event_timestamp", "share"]
    assert known(result["share"]) == [0.2]


def test_on_demand_features_are_computed(bakeries):
    asked = ask(("S2", "12:00"), ("S1", "12:00")).assign(hours=[10, 4])
    job = bakeries.get_historical_features(asked, ["shop_sales:units", "ratio:units_per_hour"])
    assert known(job.to_df()["units_per_hour"]) == [0.5, 0.25]


def test_a_view_without_entities_joins_on_time_alone(tmp_path):
    frame = pd.DataFrame({"event_timestamp": [at("10:00"), at("11:00")], "units": [1.0, 2.0]})
    store = open_store(tmp_path, view_of(frame, tmp_path / "all.parquet", "network", [], ["units"]))
    asked = pd.DataFrame({"event_timestamp": [at("11:30"), at("10:30"), at("09:30")]})
    assert known(store.get_historical_features(asked, ["network:units"]).to_df()["units"]) == [2.0, 1.0, None]


def test_a_view_with_two_keys_needs_both(tmp_path):
    frame = shop_rows(S1, S1).assign(city=["Bergen", "Oslo"], units=[1.0, 2.0])
    store = open_store(tmp_path, view_of(frame, tmp_path / "x.parquet", "pair", [SHOP, CITY], ["units"]))
    asked = ask(("S1", "12:00"), ("S1", "12:00"), ("S1", "12:00")).assign(city=["Oslo", "Bergen", None])
    assert known(store.get_historical_features(asked, ["pair:units"]).to_df()["units"]) == [2.0, 1.0, None]


@pytest.fixture
def relative(tmp_path, monkeypatch) -> FeatureStore:
    """A repository with relative paths: one file, and one folder of monthly files; the cwd is elsewhere."""
    repo, elsewhere = tmp_path / "repo", tmp_path / "elsewhere"
    for folder in (repo / "data" / "months", elsewhere / "data"):
        folder.mkdir(parents=True)
    shop_rows(S1).to_parquet(repo / "data" / "shop.parquet", index=False)
    shop_rows(("S1", "10:00", "10:05", -1.0)).to_parquet(elsewhere / "data" / "shop.parquet", index=False)
    shop_rows(S1).to_parquet(repo / "data" / "months" / "2020-01.parquet", index=False)
    shop_rows(LATE).to_parquet(repo / "data" / "months" / "2020-02.parquet", index=False)
    monkeypatch.chdir(elsewhere)
    paths = {"shop_sales": "data/shop.parquet", "monthly": "data/months"}
    return open_store(repo, *[view_of(None, path, name, [SHOP], ["units"]) for name, path in paths.items()])


@pytest.mark.parametrize(("view", "expected"), [("shop_sales", 1.0), ("monthly", 2.0)])
def test_relative_paths_start_at_the_repository(relative, view, expected):
    job = relative.get_historical_features(ask(("S1", "12:00")), [f"{view}:units"])
    assert known(job.to_df()["units"]) == [expected]


@pytest.mark.parametrize(("view", "expected"), [("shop_sales", 1.0), ("monthly", 2.0)])
def test_materialised_values_come_from_the_repository(relative, view, expected):
    relative.materialize(at("09:00").to_pydatetime(), at("12:00").to_pydatetime(), feature_views=[view])
    online = relative.get_online_features([f"{view}:units"], [{"shop": "S1"}]).to_dict()
    assert online["units"] == [expected]


def test_all_rows_come_from_the_repository(relative):
    source = relative.get_feature_view("monthly").batch_source
    job = AsofOfflineStore.pull_all_from_table_or_query(
        config=relative.config, data_source=source, join_key_columns=["shop"], feature_name_columns=["units"],
        timestamp_field="event_timestamp", start_date=at("10:30"), end_date=at("11:00"),
    )  # fmt: skip
    assert list(job.to_df()["units"]) == [2.0]


def test_a_saved_data_set_can_be_written_and_read(bakeries, tmp_path):
    job = bakeries.get_historical_features(ask(("S2", "12:00"), ("S1", "12:00")), ["shop_sales:units"])
    storage = SavedDatasetFileStorage(path=str(tmp_path / "saved.parquet"))
    saved = bakeries.create_saved_dataset(job, "saved", storage)
    assert list(saved.to_df()["units"]) == [5.0, 1.0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("SELECT 1", "entity_df is a str.*pandas DataFrame"),
        (pd.DataFrame({"event_timestamp": [at("12:00")]}), r"lacks join keys of shop_sales: \['shop'\]"),
        (ask(("S1", "12:00")).assign(units=0.0), r"columns that are there already: \['units'\]"),
        (pd.DataFrame({"shop": ["S1"], "event_timestamp": [1]}), "event_timestamp is int64"),
    ],
    ids=["sql", "missing key", "name taken", "numeric time"],
)
def test_an_entity_frame_that_cannot_be_joined_is_refused(bakeries, asked, message):
    with pytest.raises(FeatureError, match=message):
        bakeries.get_historical_features(asked, ["shop_sales:units"])


def test_a_column_the_source_lacks_is_named(tmp_path):
    view = view_of(shop_rows(S1), tmp_path / "p.parquet", "shop_sales", [SHOP], ["units", "speed"])
    job = open_store(tmp_path, view).get_historical_features(ask(("S1", "12:00")), ["shop_sales:speed"])
    with pytest.raises(FeatureError, match=r"shop_sales needs column speed of .*p.parquet"):
        job.to_df()


def make_random(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Make rows of 6 shops and 3 cities on a coarse grid of times, so that ties and edges are common."""
    frame = pd.DataFrame({"shop": rng.choice([f"S{i}" for i in range(6)], rows)})
    frame["city"] = rng.choice(["Tartu", "Bergen", "Oslo"], rows)
    frame["event_timestamp"] = at("00:00") + pd.to_timedelta(rng.integers(0, 96, rows) * 15, unit="min")
    return frame


def reference(asked: pd.DataFrame, rows: pd.DataFrame, ttl: timedelta, is_known_only: bool) -> list[float | None]:
    """Return each entity row's value by pandas: merge_asof, or the definition itself where created counts."""
    if is_known_only:
        return [_known_value(ask, rows, ttl) for ask in asked.itertuples()]
    newest = rows.sort_values(["event_timestamp", "created"])
    newest = newest.drop_duplicates(["shop", "city", "event_timestamp"], keep="last")
    ordered = asked.reset_index().sort_values("event_timestamp")
    joined = pd.merge_asof(ordered, newest, on="event_timestamp", by=["shop", "city"], tolerance=ttl)
    return known(joined.set_index("index")["units"].sort_index())


def _known_value(ask, rows: pd.DataFrame, ttl: timedelta) -> float | None:
    is_candidate = (rows["shop"] == ask.shop) & (rows["city"] == ask.city)
    is_candidate &= rows[["event_timestamp", "created"]].max(axis=1) <= ask.event_timestamp
    candidates = rows[is_candidate].sort_values(["event_timestamp", "created"])
    if candidates.empty or candidates["event_timestamp"].iloc[-1] + ttl < ask.event_timestamp:
        return None
    return known(candidates["units"])[-1]


@pytest.mark.parametrize("is_known_only", [False, True])
@pytest.mark.parametrize(("seed", "asked_rows"), [(0, 12), (1, 900), (2, 900)])
def test_random_joins_equal_pandas_and_feasts_duckdb_store(tmp_path, seed, asked_rows, is_known_only):
    rng = np.random.default_rng(seed)
    rows = make_random(rng, 700)
    rows["created"] = rows["event_timestamp"] + pd.to_timedelta(rng.integers(-4, 40, 700) * 15, unit="min")
    rows = rows.drop_duplicates(["shop", "city", "event_timestamp", "created"])
    rows["units"] = np.where(rng.random(len(rows)) < 0.1, np.nan, rng.normal(size=len(rows)))
    ttl = timedelta(hours=2)
    view = view_of(rows, tmp_path / "rows.parquet", "pair", [SHOP, CITY], ["units"], ttl)
    asked = make_random(rng, asked_rows)
    asked["row_id"] = np.arange(len(asked))
    results = [
        open_store(tmp_path, view, store_type=store_type)
        .get_historical_features(asked, ["pair:units"], filter_by_created_timestamp=is_known_only)
        .to_df()
        for store_type in (ASOF, "duckdb")
    ]
    expected = reference(asked, rows, ttl, is_known_only)
    assert 0 < expected.count(None) < len(expected)
    assert list(results[0]["row_id"]) == list(range(len(asked)))
    assert known(results[0]["units"]) == expected
    assert known(results[1].sort_values("row_id")["units"]) == expected
