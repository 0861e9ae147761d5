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
    pytest.mark.filterwarnings("ignore:.*is an experimental feature:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
]

ASOF = f"{AsofOfflineStore.__module__}.{AsofOfflineStore.__qualname__}"
DAY = "2013-01-01"
PLANE = Entity(name="plane", join_keys=["tailnum"], value_type=ValueType.STRING)
ORIGIN = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING)


def at(text: str) -> pd.Timestamp:
    """Read a time of day, or a whole timestamp, as UTC."""
    return pd.Timestamp(text if "-" in text else f"{DAY} {text}", tz="UTC")


def open_store(repo: Path, *objects: object, store_type: str = ASOF) -> FeatureStore:
    repo.mkdir(parents=True, exist_ok=True)
    name = store_type.rsplit(".", 1)[-1]
    (repo / f"{name}.yaml").write_text(
        f"project: flights\nregistry: {repo}/{name}.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"offline_store:\n  type: {store_type}\nonline_store:\n  type: sqlite\n  path: {repo}/{name}_online.db\n"
    )
    store = FeatureStore(repo_path=str(repo), fs_yaml_file=repo / f"{name}.yaml")
    store.apply([PLANE, ORIGIN, *objects])
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


def plane_rows(*rows: tuple[str | None, str, str | None, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["tailnum", "event_timestamp", "created", "delay"])
    for column in ("event_timestamp", "created"):
        frame[column] = pd.to_datetime([at(text) if text else pd.NaT for text in frame[column]], utc=True)
    return frame.assign(delay=frame["delay"].astype("float64"))


def ask(*rows: tuple[str | None, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["tailnum", "event_timestamp"])
    return frame.assign(event_timestamp=[at(text) for text in frame["event_timestamp"]])


def known(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else value for value in values]


HOUR = timedelta(hours=1)
N1 = ("N1", "10:00", "10:05", 1.0)
LATE = ("N1", "11:00", "15:00", 2.0)  # known long after the event
CASES = {
    "newest not later": ([N1, LATE], ["09:59", "10:00", "10:59", "11:00"], None, False, [None, 1.0, 1.0, 2.0]),
    "ttl edge counts": ([N1], ["11:00"], HOUR, False, [1.0]),
    "one microsecond beyond ttl": ([N1], ["11:00:00.000001"], HOUR, False, [None]),
    "ttl of zero is no limit": ([N1], ["2023-01-01"], timedelta(0), False, [1.0]),
    "ttl hides an expired newest row": ([N1, LATE], ["12:30"], HOUR, False, [None]),
    "greatest created wins a tie": (
        [("N1", "10:00", "10:07", 7.0), ("N1", "10:00", "10:09", 9.0), ("N1", "10:00", "10:08", 8.0)],
        ["12:00"], None, False, [9.0]),
    "unknown created loses a tie": ([N1, ("N1", "10:00", None, 5.0)], ["12:00"], None, False, [1.0]),
    "created only breaks ties": ([N1, LATE], ["12:00"], None, False, [2.0]),
    "newest null hides the older value": ([N1, ("N1", "11:00", "11:05", None)], ["12:00"], None, False, [None]),
    "not known yet": ([N1, LATE], ["10:04", "10:05", "14:59", "15:00"], None, True, [None, 1.0, 1.0, 2.0]),
    "a correction counts once known": (
        [N1, ("N1", "10:00", "12:00", 3.0)], ["11:59", "12:00"], None, True, [1.0, 3.0]),
    "a late row does not replace a newer event": (
        [("N1", "11:00", "11:05", 2.0), ("N1", "10:00", "13:00", 1.0)], ["11:05", "13:00"], None, True, [2.0, 2.0]),
    "known at once, newest event wins": (
        [("N1", "10:00", "13:00", 1.0), ("N1", "11:00", "13:00", 2.0)], ["13:00"], None, True, [2.0]),
    "known at once, newest created wins": (
        [("N1", "10:00", "08:00", 1.0), ("N1", "10:00", "09:00", 2.0)], ["10:00"], None, True, [2.0]),
    "created before the event": ([("N1", "10:00", "08:00", 1.0)], ["09:00", "10:00"], None, True, [None, 1.0]),
    "never known": ([("N1", "10:00", None, 1.0)], ["12:00"], None, True, [None]),
    "ttl runs from the event, not from created": ([LATE], ["15:00"], HOUR, True, [None]),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "times", "ttl", "is_known_only", "expected"), CASES.values(), ids=CASES)
def test_one_view_gives_the_hand_made_values(tmp_path, rows, times, ttl, is_known_only, expected):
    view = view_of(plane_rows(*rows), tmp_path / "plane.parquet", "plane_delay", [PLANE], ["delay"], ttl)
    store = open_store(tmp_path, view)
    job = store.get_historical_features(
        ask(*[("N1", time) for time in times]), ["plane_delay:delay"], filter_by_created_timestamp=is_known_only
    )
    assert known(job.to_df()["delay"]) == expected


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> FeatureStore:
    """Two views with different keys and a source with other column names, under one repository."""
    repo = tmp_path_factory.mktemp("flights")
    planes = plane_rows(N1, ("N2", "10:00", "10:05", 5.0), (None, "10:00", "10:05", 9.0)).assign(late=[0.1, 0.2, 0.3])
    airports = pd.DataFrame({"origin": ["JFK"], "event_timestamp": [at("09:00")], "delay": [20.0]})
    weather = pd.DataFrame({"station": ["JFK"], "seen": [at("08:00").tz_localize(None)], "wind kt": [30.0]})
    weather.to_parquet(repo / "weather.parquet", index=False)
    names = {"station": "origin", "wind kt": "wind"}
    source = FileSource(name="weather_source", path="weather.parquet", timestamp_field="seen", field_mapping=names)
    schema = [Field(name="origin", dtype=String), Field(name="wind", dtype=Float64)]

    plane = view_of(planes, repo / "p.parquet", "plane_delay", [PLANE], ["delay", "late"])
    request = RequestSource(name="schedule", schema=[Field(name="distance", dtype=Int64)])

    @on_demand_feature_view(
        sources=[plane, request], schema=[Field(name="delay_per_mile", dtype=Float64)], mode="python"
    )
    def ratio(inputs: dict) -> dict:
        return {"delay_per_mile": [d / m for d, m in zip(inputs["delay"], inputs["distance"], strict=True)]}

    airport = view_of(airports, repo / "a.parquet", "airport_delay", [ORIGIN], ["delay"])
    weather = FeatureView(name="weather", entities=[ORIGIN], ttl=None, schema=schema, source=source)
    return open_store(repo, plane, airport, weather, ratio)


def test_rows_keep_order_duplicates_and_extra_columns(flights):
    asked = ask(("N2", "12:00"), ("N9", "11:00"), (None, "11:00"), ("N1", "12:00"), ("N2", "12:00"), ("N1", "09:00"))
    asked = asked.assign(is_late=[True, False, None] * 2, count=np.arange(6, dtype="int32"), noted=at("01:00"))
    asked = asked.assign(carrier=pd.Categorical(list("UAUAUA"))).set_axis([7, 7, 3, 2, 1, 0])
    result = flights.get_historical_features(asked, ["plane_delay:delay"]).to_df()
    assert known(result.pop("delay")) == [5.0, None, None, 1.0, 5.0, None]
    pd.testing.assert_frame_equal(result, asked.reset_index(drop=True))


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2013-01-01 10:00", "2013-01-01 09:59"]),
        pd.to_datetime(["2013-01-01 05:00-05:00", "2013-01-01 04:59-05:00"]).tz_convert("America/New_York"),
        ["2013-01-01 10:00", "2013-01-01 09:59"],
        ["2013-01-01T05:00:00-05:00", "2013-01-01T10:59:00+01:00"],
        [datetime(2013, 1, 1, 10, tzinfo=UTC), datetime(2013, 1, 1, 9, 59, tzinfo=UTC)],
    ],
    ids=["naive", "other zone", "text", "text with zones", "objects"],
)
def test_every_kind_of_timestamp_is_compared_in_utc(flights, times):
    asked = pd.DataFrame({"tailnum": ["N1", "N1"], "event_timestamp": times})
    result = flights.get_historical_features(asked, ["plane_delay:delay"]).to_df()
    assert known(result["delay"]) == [1.0, None]
    assert list(result["event_timestamp"]) == [at("10:00"), at("09:59")]


def test_missing_entity_timestamps_and_no_rows_at_all(flights):
    asked = ask(("N1", "12:00"), ("N1", "12:00")).assign(event_timestamp=[at("12:00"), pd.NaT])
    assert known(flights.get_historical_features(asked, ["plane_delay:delay"]).to_df()["delay"]) == [1.0, None]
    assert flights.get_historical_features(asked[:0], ["plane_delay:delay"]).to_df().shape == (0, 3)


def test_views_join_on_their_own_keys_and_names_can_be_full(flights):
    asked = ask(("N1", "12:00"), ("N2", "12:00")).assign(origin=["EWR", "JFK"])
    features = ["plane_delay:delay", "airport_delay:delay", "weather:wind"]
    result = flights.get_historical_features(asked, features, full_feature_names=True).to_df()
    assert list(result.columns[3:]) == ["plane_delay__delay", "airport_delay__delay", "weather__wind"]
    assert known(result["plane_delay__delay"]) == [1.0, 5.0]
    assert known(result["airport_delay__delay"]) == [None, 20.0]
    assert known(result["weather__wind"]) == [None, 30.0]


def test_a_view_can_be_joined_under_other_names_of_its_key(flights):
    view = flights.get_feature_view("airport_delay")
    both = [view.with_name(end).with_join_key_map({"origin": f"{end}_airport"}) for end in ("from", "to")]
    flights.apply(FeatureService(name="route", features=both))
    asked = pd.DataFrame({"from_airport": ["JFK", "LGA"], "to_airport": ["LGA", "JFK"], "event_timestamp": at("12:00")})
    service = flights.get_feature_service("route")
    result = flights.get_historical_features(asked, service, full_feature_names=True).to_df()
    assert known(result["from__delay"]) == [20.0, None]
    assert known(result["to__delay"]) == [None, 20.0]


def test_only_the_requested_features_come_back(flights):
    result = flights.get_historical_features(ask(("N2", "12:00")), ["plane_delay:late"]).to_df()
    assert list(result.columns) == ["tailnum", "event_timestamp", "late"]
    assert known(result["late"]) == [0.2]


def test_on_demand_features_are_computed(flights):
    asked = ask(("N2", "12:00"), ("N1", "12:00")).assign(distance=[10, 4])
    job = flights.get_historical_features(asked, ["plane_delay:delay", "ratio:delay_per_mile"])
    assert known(job.to_df()["delay_per_mile"]) == [0.5, 0.25]


def test_a_view_without_entities_joins_on_time_alone(tmp_path):
    frame = pd.DataFrame({"event_timestamp": [at("10:00"), at("11:00")], "delay": [1.0, 2.0]})
    store = open_store(tmp_path, view_of(frame, tmp_path / "all.parquet", "network", [], ["delay"]))
    asked = pd.DataFrame({"event_timestamp": [at("11:30"), at("10:30"), at("09:30")]})
    assert known(store.get_historical_features(asked, ["network:delay"]).to_df()["delay"]) == [2.0, 1.0, None]


def test_a_view_with_two_keys_needs_both(tmp_path):
    frame = plane_rows(N1, N1).assign(origin=["JFK", "LGA"], delay=[1.0, 2.0])
    store = open_store(tmp_path, view_of(frame, tmp_path / "x.parquet", "pair", [PLANE, ORIGIN], ["delay"]))
    asked = ask(("N1", "12:00"), ("N1", "12:00"), ("N1", "12:00")).assign(origin=["LGA", "JFK", None])
    assert known(store.get_historical_features(asked, ["pair:delay"]).to_df()["delay"]) == [2.0, 1.0, None]


@pytest.fixture
def relative(tmp_path, monkeypatch) -> FeatureStore:
    """A repository with relative paths: one file, and one folder of monthly files; the cwd is elsewhere."""
    repo, elsewhere = tmp_path / "repo", tmp_path / "elsewhere"
    for folder in (repo / "data" / "months", elsewhere / "data"):
        folder.mkdir(parents=True)
    plane_rows(N1).to_parquet(repo / "data" / "plane.parquet", index=False)
    plane_rows(("N1", "10:00", "10:05", -1.0)).to_parquet(elsewhere / "data" / "plane.parquet", index=False)
    plane_rows(N1).to_parquet(repo / "data" / "months" / "2013-01.parquet", index=False)
    plane_rows(LATE).to_parquet(repo / "data" / "months" / "2013-02.parquet", index=False)
    monkeypatch.chdir(elsewhere)
    paths = {"plane_delay": "data/plane.parquet", "monthly": "data/months"}
    return open_store(repo, *[view_of(None, path, name, [PLANE], ["delay"]) for name, path in paths.items()])


@pytest.mark.parametrize(("view", "expected"), [("plane_delay", 1.0), ("monthly", 2.0)])
def test_relative_paths_start_at_the_repository(relative, view, expected):
    job = relative.get_historical_features(ask(("N1", "12:00")), [f"{view}:delay"])
    assert known(job.to_df()["delay"]) == [expected]


@pytest.mark.parametrize(("view", "expected"), [("plane_delay", 1.0), ("monthly", 2.0)])
def test_materialised_values_come_from_the_repository(relative, view, expected):
    relative.materialize(at("09:00").to_pydatetime(), at("12:00").to_pydatetime(), feature_views=[view])
    online = relative.get_online_features([f"{view}:delay"], [{"tailnum": "N1"}]).to_dict()
    assert online["delay"] == [expected]


def test_all_rows_come_from_the_repository(relative):
    source = relative.get_feature_view("monthly").batch_source
    job = AsofOfflineStore.pull_all_from_table_or_query(
        config=relative.config, data_source=source, join_key_columns=["tailnum"], feature_name_columns=["delay"],
        timestamp_field="event_timestamp", start_date=at("10:30"), end_date=at("11:00"),
    )  # fmt: skip
    assert list(job.to_df()["delay"]) == [2.0]


def test_a_saved_data_set_can_be_written_and_read(flights, tmp_path):
    job = flights.get_historical_features(ask(("N2", "12:00"), ("N1", "12:00")), ["plane_delay:delay"])
    storage = SavedDatasetFileStorage(path=str(tmp_path / "saved.parquet"))
    saved = flights.create_saved_dataset(job, "saved", storage)
    assert list(saved.to_df()["delay"]) == [5.0, 1.0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("SELECT 1", "entity_df is a str.*pandas DataFrame"),
        (pd.DataFrame({"event_timestamp": [at("12:00")]}), r"lacks join keys of plane_delay: \['tailnum'\]"),
        (ask(("N1", "12:00")).assign(delay=0.0), r"columns that are there already: \['delay'\]"),
        (pd.DataFrame({"tailnum": ["N1"], "event_timestamp": [1]}), "event_timestamp is int64"),
    ],
    ids=["sql", "missing key", "name taken", "numeric time"],
)
def test_an_entity_frame_that_cannot_be_joined_is_refused(flights, asked, message):
    with pytest.raises(FeatureError, match=message):
        flights.get_historical_features(asked, ["plane_delay:delay"])


def test_a_column_the_source_lacks_is_named(tmp_path):
    view = view_of(plane_rows(N1), tmp_path / "p.parquet", "plane_delay", [PLANE], ["delay", "speed"])
    job = open_store(tmp_path, view).get_historical_features(ask(("N1", "12:00")), ["plane_delay:speed"])
    with pytest.raises(FeatureError, match=r"plane_delay needs column speed of .*p.parquet"):
        job.to_df()


def make_random(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Make rows of 6 planes and 3 airports on a coarse grid of times, so that ties and edges are common."""
    frame = pd.DataFrame({"tailnum": rng.choice([f"N{i}" for i in range(6)], rows)})
    frame["origin"] = rng.choice(["EWR", "JFK", "LGA"], rows)
    frame["event_timestamp"] = at("00:00") + pd.to_timedelta(rng.integers(0, 96, rows) * 15, unit="min")
    return frame


def reference(asked: pd.DataFrame, rows: pd.DataFrame, ttl: timedelta, is_known_only: bool) -> list[float | None]:
    """Return each entity row's value by pandas: merge_asof, or the definition itself where created counts."""
    if is_known_only:
        return [_known_value(ask, rows, ttl) for ask in asked.itertuples()]
    newest = rows.sort_values(["event_timestamp", "created"])
    newest = newest.drop_duplicates(["tailnum", "origin", "event_timestamp"], keep="last")
    ordered = asked.reset_index().sort_values("event_timestamp")
    joined = pd.merge_asof(ordered, newest, on="event_timestamp", by=["tailnum", "origin"], tolerance=ttl)
    return known(joined.set_index("index")["delay"].sort_index())


def _known_value(ask, rows: pd.DataFrame, ttl: timedelta) -> float | None:
    is_candidate = (rows["tailnum"] == ask.tailnum) & (rows["origin"] == ask.origin)
    is_candidate &= rows[["event_timestamp", "created"]].max(axis=1) <= ask.event_timestamp
    candidates = rows[is_candidate].sort_values(["event_timestamp", "created"])
    if candidates.empty or candidates["event_timestamp"].iloc[-1] + ttl < ask.event_timestamp:
        return None
    return known(candidates["delay"])[-1]


@pytest.mark.parametrize("is_known_only", [False, True])
@pytest.mark.parametrize(("seed", "asked_rows"), [(0, 12), (1, 900), (2, 900)])
def test_random_joins_equal_pandas_and_feasts_duckdb_store(tmp_path, seed, asked_rows, is_known_only):
    rng = np.random.default_rng(seed)
    rows = make_random(rng, 700)
    rows["created"] = rows["event_timestamp"] + pd.to_timedelta(rng.integers(-4, 40, 700) * 15, unit="min")
    rows = rows.drop_duplicates(["tailnum", "origin", "event_timestamp", "created"])
    rows["delay"] = np.where(rng.random(len(rows)) < 0.1, np.nan, rng.normal(size=len(rows)))
    ttl = timedelta(hours=2)
    view = view_of(rows, tmp_path / "rows.parquet", "pair", [PLANE, ORIGIN], ["delay"], ttl)
    asked = make_random(rng, asked_rows)
    asked["row_id"] = np.arange(len(asked))
    results = [
        open_store(tmp_path, view, store_type=store_type)
        .get_historical_features(asked, ["pair:delay"], filter_by_created_timestamp=is_known_only)
        .to_df()
        for store_type in (ASOF, "duckdb")
    ]
    expected = reference(asked, rows, ttl, is_known_only)
    assert 0 < expected.count(None) < len(expected)
    assert list(results[0]["row_id"]) == list(range(len(asked)))
    assert known(results[0]["delay"]) == expected
    assert known(results[1].sort_values("row_id")["delay"]) == expected
