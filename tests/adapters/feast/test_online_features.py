"""Online reads on a real, small Feast store: two views, by hand."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from feast.protos.feast.core.Entity_pb2 import EntitySpecV2
from feast.protos.feast.core.Feature_pb2 import FeatureSpecV2
from feast.protos.feast.core.FeatureView_pb2 import FeatureView, FeatureViewState
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.Value_pb2 import ValueType

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.meaning import Meanings, meanings_registered
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.feast.registry import open_on_snapshot
from flightline.core.errors import FeatureError
from flightline.core.lineage import digest_of
from flightline.core.settings import Settings

NOON = datetime(2020, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DECLARATIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

STOP = Entity(name="stop", value_type=ValueType.STRING)
LINE = Entity(name="line", join_keys=["line_number"], value_type=ValueType.INT64)


def view(name, entity, ttl, features):
    source = FileSource(
        name=name + "_table",
        path=f"../.state/features/current/{name}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    schema = [Field(name=feature, dtype=Float64) for feature in features]
    return FeatureView(name=name, entities=[entity], ttl=ttl, schema=schema, source=source)


RAIN = view("rain", STOP, timedelta(hours=1), ["fallen", "coming"])
DELAYS = view("delays", LINE, timedelta(days=30), ["delay"])
SERVICE = FeatureService(name="buses_v1", features=[RAIN, DELAYS])
"""


def _table(key: str, *rows: tuple[object, datetime, dict[str, float | None]]) -> pd.DataFrame:
    frame = pd.DataFrame([{key: value, "event_timestamp": at, **features} for value, at, features in rows])
    return frame.assign(created_timestamp=frame["event_timestamp"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(root=tmp_path_factory.mktemp("root"))
    settings.feature_repo.mkdir()
    shutil.copy(Path(__file__).parents[3] / "feature_repo" / "feature_store.yaml", settings.feature_repo)
    (settings.feature_repo / "definitions.py").write_text(DECLARATIONS)
    tables = settings.features_dir / "current"
    tables.mkdir(parents=True)
    _table(
        "stop",
        ("north", NOON - 90 * MINUTE, {"fallen": 9.0, "coming": 9.0}),
        ("north", NOON - 30 * MINUTE, {"fallen": 1.0, "coming": 2.0}),
        ("south", NOON, {"fallen": 3.0, "coming": None}),
        ("", NOON, {"fallen": 5.0, "coming": 5.0}),
    ).to_parquet(tables / "rain.parquet")
    _table("line_number", (7, NOON - timedelta(days=2), {"delay": 4.0})).to_parquet(tables / "delays.parquet")
    feast_store.apply(settings)
    feast_store.materialise(settings, NOON)
    return settings


@pytest.fixture(scope="module")
def features(settings: Settings):
    opened = OnlineFeatures.open(settings, "buses_v1")
    yield opened
    opened.close()


def test_names_come_in_the_order_of_the_service(features: OnlineFeatures) -> None:
    assert features.names == ("fallen", "coming", "delay")


def test_gives_the_newest_values_and_when_they_became_known(features: OnlineFeatures) -> None:
    (row,) = features.read([{"stop": "north", "line_number": 7, "other": object()}], NOON)
    assert row.values == {"fallen": 1.0, "coming": 2.0, "delay": 4.0}
    assert row.event_timestamps == {"rain": NOON - 30 * MINUTE, "delays": NOON - timedelta(days=2)}
    assert row.missing == {}


def test_gives_many_rows_in_their_order(features: OnlineFeatures) -> None:
    stops = ["south", "north", "south", "nowhere", None]
    rows = features.read([{"stop": stop, "line_number": 7} for stop in stops], NOON)
    assert [row.values["fallen"] for row in rows] == [3.0, 1.0, 3.0, None, None]


def test_no_rows_give_no_rows(features: OnlineFeatures) -> None:
    assert features.read([], NOON) == []


@pytest.mark.parametrize("row", [{"stop": "nowhere", "line_number": 8}, {"stop": None, "line_number": None}, {}])
def test_an_unknown_or_missing_key_has_no_value(features: OnlineFeatures, row: dict[str, object]) -> None:
    (read,) = features.read([row], NOON)
    assert read.values == {"fallen": None, "coming": None, "delay": None}
    assert read.missing == {"rain": "no value", "delays": "no value"}
    assert read.event_timestamps == {}


def test_a_newest_value_of_null_is_missing_by_itself(features: OnlineFeatures) -> None:
    (row,) = features.read([{"stop": "south", "line_number": 7}], NOON)
    assert row.values == {"fallen": 3.0, "coming": None, "delay": 4.0}
    assert row.missing == {"coming": "no value"}


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (NOON + 30 * MINUTE, 1.0),  # exactly ttl old
        (NOON + 30 * MINUTE + timedelta(seconds=1), None),
    ],
)
def test_ttl_is_judged_at_as_of(features: OnlineFeatures, as_of: datetime, expected: float | None) -> None:
    (row,) = features.read([{"stop": "north", "line_number": 7}], as_of)
    assert row.values["fallen"] == expected
    assert row.missing == ({} if expected else {"rain": "stale"})
    assert row.event_timestamps["rain"] == NOON - 30 * MINUTE


@pytest.mark.parametrize(
    ("as_of", "expected"), [(NOON - 30 * MINUTE, 1.0), (NOON - 30 * MINUTE - timedelta(seconds=1), None)]
)
def test_a_value_after_as_of_is_never_used(features: OnlineFeatures, as_of: datetime, expected: float | None) -> None:
    (row,) = features.read([{"stop": "north", "line_number": 7}], as_of)
    assert row.values["fallen"] == expected
    assert row.missing == ({} if expected else {"rain": "after the clock"})


def test_reads_go_on_during_materialisation_and_a_new_registry(settings: Settings, features: OnlineFeatures) -> None:
    file = settings.state_dir / "feast" / "registry.db"
    whole = file.read_bytes()
    registry = Registry.FromString(whole)
    for view in registry.feature_views:
        view.meta.state = FeatureViewState.MATERIALIZING
    try:
        file.write_bytes(registry.SerializeToString())
        assert features.read([{"stop": "north"}], NOON)[0].values["fallen"] == 1.0
        opened_meanwhile = OnlineFeatures.open(settings, "buses_v1")
        assert opened_meanwhile.read([{"stop": "north"}], NOON)[0].values["fallen"] == 1.0
        opened_meanwhile.close()
        file.write_bytes(b"")
        assert features.read([{"stop": "north"}], NOON)[0].values["fallen"] == 1.0
    finally:
        file.write_bytes(whole)


def test_an_unknown_feature_service_is_refused_and_no_path_shown(settings: Settings) -> None:
    with pytest.raises(FeatureError, match="'other_v1' cannot be opened") as caught:
        OnlineFeatures.open(settings, "other_v1")
    assert "/" not in str(caught.value)


def test_a_root_without_a_registry_is_refused_and_left_as_it_was(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(settings.feature_repo, tmp_path / "feature_repo")
    with pytest.raises(FeatureError, match="no Feast registry yet; run `make train`"):
        OnlineFeatures.open(Settings(root=tmp_path), "buses_v1")
    assert [entry.name for entry in tmp_path.iterdir()] == ["feature_repo"]


def test_a_view_never_materialised_is_refused(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(settings.root, tmp_path / "root")
    other = Settings(root=tmp_path / "root")
    (other.state_dir / "feast" / "registry.db").unlink()
    feast_store.apply(other)
    with pytest.raises(FeatureError, match="the feature view rain was never materialised"):
        OnlineFeatures.open(other, "buses_v1")


def _entity(registry: Registry) -> EntitySpecV2:
    return next(entity.spec for entity in registry.entities if entity.spec.name == "stop")


def _field(view: FeatureView) -> FeatureSpecV2:
    return next(field for field in view.spec.features if field.name == "fallen")


@pytest.mark.parametrize(
    "edit",
    [
        lambda registry, view: view.spec.ttl.FromSeconds(60),
        lambda registry, view: setattr(view.spec.batch_source.file_options, "uri", "../elsewhere.parquet"),
        lambda registry, view: setattr(view.spec.batch_source, "timestamp_field", "other"),
        lambda registry, view: setattr(view.spec.batch_source, "created_timestamp_column", "other"),
        lambda registry, view: view.spec.batch_source.field_mapping.update({"coming": "fallen"}),
        lambda registry, view: setattr(_field(view), "value_type", ValueType.INT64),
        lambda registry, view: setattr(view.spec.entity_columns[0], "value_type", ValueType.INT64),
        lambda registry, view: setattr(view.spec.entity_columns[0], "name", "line_number"),
        lambda registry, view: setattr(_entity(registry), "value_type", ValueType.INT32),
        lambda registry, view: setattr(view.spec, "disabled", True),
        lambda registry, view: registry.feature_services[0].spec.features[0].join_key_map.update({"stop": "line"}),
        lambda registry, view: setattr(registry.feature_services[0].spec.features[0], "feature_view_name_alias", "x"),
        lambda registry, view: registry.feature_services[0].spec.features[0].feature_columns.pop(),
    ],
    ids=[
        "ttl", "table", "timestamp", "created timestamp", "mapped column", "type of a feature", "type of a key",
        "key of the view", "type of an entity", "disabled", "mapped key", "alias", "a feature less",
    ],
)  # fmt: skip
def test_an_edited_field_of_the_registry_is_another_meaning(settings: Settings, tmp_path: Path, edit) -> None:
    root = Settings(root=shutil.copytree(settings.root, tmp_path / "root"))
    file = root.state_dir / "feast" / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    before = digests(root)
    edit(registry, next(view for view in registry.feature_views if view.spec.name == "rain"))
    file.write_bytes(registry.SerializeToString())
    assert digests(root)[0] != before[0]


def digests(settings: Settings) -> Meanings:
    # Feast keeps what it has parsed by a registry's id, which whoever edits one field leaves as it was.
    with TemporaryDirectory() as folder:
        return meanings_registered(open_on_snapshot(settings, Path(folder)), "buses_v1")


def test_what_is_registered_means_what_is_declared(settings: Settings) -> None:
    assert digests(settings).whole == digest_of(feast_store.describe_service(settings, "buses_v1"))


def test_a_join_on_another_meaning_is_refused(settings: Settings) -> None:
    asked = pd.DataFrame({"example_id": ["1"], "event_timestamp": [NOON], "stop": ["north"], "line_number": [7]})
    for meaning in ("", *digests(settings)):
        assert len(feast_store.join_features(settings, "buses_v1", asked, meaning)) == 1
    with pytest.raises(FeatureError, match="mean something else than expected"):
        feast_store.join_features(settings, "buses_v1", asked, "a" * 64)


def test_opening_leaves_the_registry_as_it_was(settings: Settings) -> None:
    file = settings.state_dir / "feast" / "registry.db"
    before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino)
    OnlineFeatures.open(settings, "buses_v1").close()
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before


def declared(root: Path, old: str, new: str) -> Settings:
    """Make a repository with other declarations, and nothing applied."""
    settings = Settings(root=root)
    settings.feature_repo.mkdir()
    shutil.copy(Path(__file__).parents[3] / "feature_repo" / "feature_store.yaml", settings.feature_repo)
    assert old in DECLARATIONS
    (settings.feature_repo / "definitions.py").write_text(DECLARATIONS.replace(old, new))
    return settings


def test_without_a_ttl_a_value_is_loaded_however_old_it_is(settings: Settings, tmp_path: Path) -> None:
    endless = declared(tmp_path, "timedelta(days=30)", "timedelta(0)")
    shutil.copytree((settings.features_dir / "current").resolve(), endless.features_dir / "current")
    old = _table("line_number", (7, NOON - timedelta(days=300 * 365), {"delay": 4.0}))
    old.to_parquet(endless.features_dir / "current" / "delays.parquet")
    feast_store.apply(endless)
    feast_store.materialise(endless, NOON)
    asked = pd.DataFrame({"example_id": ["a"], "event_timestamp": [NOON], "stop": ["north"], "line_number": [7]})
    opened = OnlineFeatures.open(endless, "buses_v1")
    (row,) = opened.read(asked.to_dict("records"), NOON)
    opened.close()
    assert row.values["delay"] == 4.0
    assert feast_store.join_features(endless, "buses_v1", asked)["delay"].tolist() == [4.0]


@pytest.mark.parametrize(
    ("entities", "named"), [("[]", "__dummy"), ('[Entity(name="bus", value_type=ValueType.STRING)]', "bus")]
)
def test_a_view_whose_entity_is_no_variable_is_refused(tmp_path: Path, entities: str, named: str) -> None:
    settings = declared(tmp_path, "entities=[entity]", f"entities={entities}")
    with pytest.raises(FeatureError, match=f"the view rain names as entities {named} .*make it one"):
        feast_store.describe_service(settings, "buses_v1")
