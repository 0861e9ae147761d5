"""What is read past Feast's own way is what that gives, bit by bit, on SQLite and on Redis."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import MAX_KEPT_KEYS, OnlineFeatures
from flightline.adapters.feast.registry import open_store
from flightline.adapters.feast.store_readers import RedisReader, SqliteReader, StoreReader, View, open_reader
from flightline.core.errors import FeatureError
from flightline.core.settings import Settings
from tests.support import small_store
from tests.support.own_process import exit_code_of
from tests.support.small_service import NOON
from tests.toy_problem import PROBLEM

REPOSITORY = Path(__file__).parents[3]
DECLARATIONS = """
from datetime import timedelta
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float32, Float64, Int64

STOP = Entity(name="stop", value_type=ValueType.STRING)
LINE = Entity(name="line", join_keys=["line_number"], value_type=ValueType.INT64)
DAY = Entity(name="day", value_type=ValueType.INT32)


def view(name, entities, **features):
    source = FileSource(name=name + "_table", path=name + ".parquet", timestamp_field="event_timestamp")
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    return FeatureView(name=name, entities=entities, ttl=timedelta(days=1), schema=schema, source=source)


RAIN = view("rain", [STOP], fallen=Float64, coming=Float64, days=Int64, share=Float32, is_wet=Bool)
WIND = view("wind", [STOP], gust=Float64)
DELAYS = view("delays", [LINE, STOP], mean=Float64, last=Float64)
CALENDAR = view("calendar", [DAY], holidays=Float64)
"""
DOUBLE = [0.0, -0.0, 0.1, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"), -1.5]
FOUND = datetime(2020, 5, 1, 11, 59, 58, tzinfo=UTC)


def _text(value: str) -> Value:
    return Value(string_val=value)


def _write(store, name: str, key: dict[str, Value], values: dict[str, Value], at: datetime = FOUND) -> None:
    entity = EntityKey(join_keys=list(key), entity_values=list(key.values()))
    rows = [(entity, values, at, at)]
    store._get_provider().online_write_batch(store.config, store.get_feature_view(name), rows, None)


def _fill(store) -> None:
    for number, value in enumerate(DOUBLE):
        whole = {"fallen": Value(double_val=value), "coming": Value(), "days": Value(int64_val=number)}
        part = {"share": Value(float_val=0.1), "is_wet": Value(bool_val=bool(number % 2))}
        _write(store, "rain", {"stop": _text(f"stop {number}")}, whole | part, FOUND - timedelta(hours=number))
    _write(store, "wind", {"stop": _text("stop 1")}, {"gust": Value(double_val=3.5)})
    _write(store, "wind", {"stop": _text("")}, {"gust": Value(null_val=0)})
    _write(store, "wind", {"stop": _text("Sør/ 雨 ")}, {"gust": Value(double_val=7.0)})
    for line in (7, -7, 2**63 - 1):
        both = {"line_number": Value(int64_val=line), "stop": _text("stop 1")}
        _write(store, "delays", both, {"mean": Value(double_val=line), "last": Value(double_val=0.5)})
    # A feature that the view had before, with another moment.
    _write(store, "delays", both, {"a_former_one": Value(double_val=1.0)}, FOUND - timedelta(days=300))
    _write(store, "delays", both, {"zz_former_one": Value(double_val=1.0)}, FOUND - timedelta(days=200))
    _write(store, "calendar", {"day": Value(int32_val=-3)}, {"holidays": Value(double_val=2.0)})


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimpleNamespace]:
    if request.param == "redis":
        settings = request.getfixturevalue("stack")
    else:
        settings = Settings(root=tmp_path / "embedded")
        settings.feature_repo.mkdir(parents=True)
        shutil.copy(REPOSITORY / "feature_repo" / "feature_store.yaml", settings.feature_repo)
    (settings.feature_repo / "definitions.py").write_text(DECLARATIONS)
    (settings.state_dir / "feast").mkdir(parents=True, exist_ok=True)
    opened = open_store(settings)
    opened.apply(feast_store.load_declarations(settings))
    _fill(opened)
    return opened


def _view(store, name: str, *features: str) -> View:
    declared = store.get_feature_view(name)
    keys = tuple(column.name for column in declared.entity_columns)
    named = features or tuple(field.name for field in declared.features)
    return View(declared, name, timedelta(days=1), keys, named)


def _key(view: View, **values: object) -> tuple[object, ...]:
    return tuple(values[name] for name in view.keys)


def test_all_views_at_once_are_what_feast_gives_one_by_one(store) -> None:
    rain, some = _view(store, "rain"), _view(store, "rain", "days", "fallen")
    wind, delays, calendar = (_view(store, name) for name in ("wind", "delays", "calendar"))
    stops = [(f"stop {number}",) for number in range(len(DOUBLE) + 1)]
    asked = [
        (rain, stops),
        (some, stops[::-1]),
        (wind, [*stops[:3], ("",), ("Sør/ 雨 ",), ("nowhere",)]),
        (delays, [_key(delays, line_number=line, stop="stop 1") for line in (7, -7, 2**63 - 1, 8)]),
        (calendar, [(-3,), (3,)]),
        (wind, []),
    ]
    reader = open_reader(store, [rain, wind, delays, calendar])
    assert type(reader) is (SqliteReader if store.config.online_store.type == "sqlite" else RedisReader)
    got, expected = reader.read(asked), StoreReader(store).read(asked)
    assert got == expected
    assert [[number and number.hex() for _, row in view for number in row] for view in got] == [
        [number and number.hex() for _, row in view for number in row] for view in expected
    ]
    assert got[0][0] == (FOUND, (0.0, None, 0.0, pytest.approx(0.1), 0.0))
    assert got[0][-1] == got[2][-1] == got[4][1] == (None, ())
    assert got[2][4] == (FOUND, (7.0,))
    reader.close()


def test_what_is_written_to_sqlite_is_seen_by_the_next_read(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    small_store.make_store(settings)
    features = OnlineFeatures.open(settings, PROBLEM.feature_service)
    asked = [{"shop": "S01", "city": "Bergen"}]
    assert (
        features.read(asked, NOON)[0].values
        == features.read(asked, NOON)[0].values
        == {"mean_units": 60.0, "seats": 9.0}
    )
    small_store.write_tables(settings, 55.0)
    feast_store.materialise(settings, NOON)
    assert features.read(asked, NOON)[0].values["mean_units"] == 55.0
    features.close()


def test_values_of_redis_are_kept_until_the_registry_is_opened_anew(stack: Settings) -> None:
    small_store.make_store(stack)
    kept = OnlineFeatures.open(stack, PROBLEM.feature_service)
    asked = [{"shop": "S01", "city": "Bergen"}]
    before = kept.read(asked, NOON)
    small_store.write_tables(stack, 55.0)
    feast_store.materialise(stack, NOON)
    assert kept.read(asked, NOON) == before
    anew = OnlineFeatures.open(stack, PROBLEM.feature_service)
    assert anew.read(asked, NOON)[0].values["mean_units"] == 55.0
    for features in (kept, anew):
        features.close()


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    small_store.make_store(settings)
    features = OnlineFeatures.open(settings, PROBLEM.feature_service)
    for first in range(0, 3 * MAX_KEPT_KEYS, MAX_KEPT_KEYS // 2):
        asked = [{"shop": f"X{number}", "city": None} for number in range(first, first + MAX_KEPT_KEYS)]
        assert len(features.read(asked, NOON)) == MAX_KEPT_KEYS
        assert all(len(of_view) <= MAX_KEPT_KEYS for of_view in features._kept[1])
    features.close()


def read_until_closed(features: OnlineFeatures) -> None:
    with suppress(FeatureError):
        while True:
            features.read([{}], NOON)  # as readiness does: without a key nothing is kept


def read_and_close(settings: Settings) -> None:
    for _ in range(30):
        features = OnlineFeatures.open(settings, PROBLEM.feature_service)
        thread = Thread(target=read_until_closed, args=(features,))
        thread.start()
        features.close()
        thread.join()


def test_sqlite_is_closed_after_whoever_reads_from_it(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    small_store.make_store(settings)
    assert exit_code_of(read_and_close, settings) == 0
