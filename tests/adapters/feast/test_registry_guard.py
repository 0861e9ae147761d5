"""A registry with code in it is refused before any of it runs, wherever it is and whoever reads it."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from feast.protos.feast.core.DataSource_pb2 import DataSource
from feast.protos.feast.core.FeatureView_pb2 import FeatureView
from feast.protos.feast.core.Registry_pb2 import Registry

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.feast.pages import feast_pages
from flightline.adapters.feast.registry import open_store
from flightline.adapters.feast.registry_guard import PLAIN, guarded_classes
from flightline.core.errors import StoredCodeError
from flightline.core.settings import Settings
from tests.support import small_store
from tests.support.small_service import NOON
from tests.toy_problem import PROBLEM

SERVICE = PROBLEM.feature_service
EXAMPLES = pd.DataFrame({"example_id": ["1"], "event_timestamp": [NOON], "shop": ["S01"], "city": ["Bergen"]})
READERS: dict[str, Callable[[Settings], object]] = {
    "the service": lambda settings: OnlineFeatures.open(settings, SERVICE),
    "apply": feast_store.apply,
    "the join": lambda settings: feast_store.join_features(settings, SERVICE, EXAMPLES),
    "materialise": lambda settings: feast_store.materialise(settings, NOON),
    "declarations": lambda settings: feast_store.is_registered(settings, SERVICE),
    "parity": lambda settings: feast_store.stored_views(settings, SERVICE),
}


class Planted:
    """Makes a file where its pickle is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(root=tmp_path_factory.mktemp("made"))
    small_store.make_store(settings)
    return settings


@pytest.fixture
def embedded(made: Settings, tmp_path: Path) -> Settings:
    return Settings(root=shutil.copytree(made.root, tmp_path / "root"))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that planted code makes; a module that makes it lies where Python imports from."""
    marker = tmp_path / "marker"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "planted.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    return marker


def plant_source(view: FeatureView, marker: Path) -> None:
    """Put into a view the transformation that the audit put there."""
    function = view.spec.feature_transformation.user_defined_function
    function.name, function.mode = "planted", "python"
    function.body_text = f"open({str(marker)!r}, 'w').close()\ndef planted(frame): return frame\n"


def plant_view_of_view(view: FeatureView, marker: Path) -> None:
    inner = FeatureView()
    plant_source(inner, marker)
    view.spec.source_views.add().CopyFrom(inner.spec)


def plant_class(view: FeatureView, _: Path) -> None:
    view.spec.batch_source.type = DataSource.SourceType.CUSTOM_SOURCE
    view.spec.batch_source.data_source_class_type = "planted.Source"


def plant_pickle(view: FeatureView, marker: Path) -> None:
    view.spec.feature_transformation.user_defined_function.body = pickle.dumps(Planted(marker))


def plant_substrait(view: FeatureView, marker: Path) -> None:
    view.spec.feature_transformation.substrait_transformation.ibis_function = pickle.dumps(Planted(marker))


IN_A_VIEW = {
    "source": plant_source,
    "pickle": plant_pickle,
    "substrait": plant_substrait,
    "view of a view": plant_view_of_view,
    "class of a source": plant_class,
}


def plant(registry: Registry, kind: str, marker: Path) -> None:
    """Put code of a kind into a registry."""
    pickled, project = pickle.dumps(Planted(marker)), registry.feature_views[0].spec.project
    if kind in IN_A_VIEW:
        IN_A_VIEW[kind](registry.feature_views[0], marker)
    elif kind == "on-demand view":
        added = registry.on_demand_feature_views.add()
        added.spec.feature_transformation.user_defined_function.body = pickled
        added.spec.name, added.spec.project, added.spec.mode = "added", project, "python"
    elif kind == "stream view":
        added = registry.stream_feature_views.add()
        added.spec.user_defined_function.body = pickled
        added.spec.name, added.spec.project = "added", project
    elif kind == "profiler":
        registry.validation_references.add().ge_profiler.profiler.body = pickled
    else:
        registry.infra.infra_objects.add().infra_object_class_type = "planted.Table"


def attack(settings: Settings, kind: str, marker: Path) -> None:
    """Write to a registry file as who has broken in does."""
    file = settings.state_dir / "feast" / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    plant(registry, kind, marker)
    registry.version_id = "another"  # Feast keeps what it has parsed by this
    file.write_bytes(registry.SerializeToString())


def attack_table(marker: Path, url: str) -> None:
    """Edit one field of one row of a registry in PostgreSQL."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        (found,) = connection.execute(
            "SELECT feature_view_proto FROM feature_views WHERE feature_view_name = 'recent'"
        ).fetchone()
        view = FeatureView.FromString(found)
        plant_source(view, marker)
        connection.execute(
            "UPDATE feature_views SET feature_view_proto = %s WHERE feature_view_name = 'recent'",
            [view.SerializeToString()],
        )


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("source", r"feature_views 'recent'\.spec.*FeatureTransformationV2"),
        ("pickle", r"feature_views 'recent'\.spec.*FeatureTransformationV2"),
        ("substrait", r"feature_views 'recent'\.spec.*FeatureTransformationV2"),
        ("view of a view", r"source_views\.feature_transformation"),
        ("on-demand view", r"on_demand_feature_views 'added' \(of kind OnDemandFeatureView\)"),
        ("stream view", r"stream_feature_views 'added' \(of kind StreamFeatureView\)"),
        ("profiler", r"validation_references \(of kind ValidationReference\)"),
        ("class of a source", r"data_source_class_type = 'planted\.Source'"),
        ("class of a table", r"infra_object_class_type = 'planted\.Table'"),
    ],
)
def test_code_of_every_kind_is_refused_and_not_run(embedded: Settings, marker: Path, kind: str, named: str) -> None:
    attack(embedded, kind, marker)
    with pytest.raises(StoredCodeError, match=rf"the registry that feature_store\.yaml names holds .*{named}"):
        OnlineFeatures.open(embedded, SERVICE)
    assert not marker.exists()


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_a_registry_file_refuses_it(embedded: Settings, marker: Path, reader: str) -> None:
    attack(embedded, "source", marker)
    with pytest.raises(StoredCodeError, match="'recent'"):
        READERS[reader](embedded)
    assert not marker.exists()


def test_whoever_reads_a_registry_in_postgresql_refuses_it(stack: Settings, marker: Path, monkeypatch) -> None:
    small_store.make_store(stack)
    opened = open_store(stack)
    attack_table(marker, opened.config.registry.path)
    for read in READERS.values():
        with pytest.raises(StoredCodeError, match=r"feature_store\.stack\.yaml .*'recent'"):
            read(stack)
    for late in (opened.list_feature_views, lambda: opened.get_feature_view("recent")):
        with pytest.raises(StoredCodeError, match="'recent'"):
            late()
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["source", "class of a source"])
def test_a_registry_that_changes_after_the_check_runs_nothing(embedded: Settings, marker: Path, kind: str) -> None:
    opened = open_store(embedded)
    attack(embedded, kind, marker)
    with pytest.raises(StoredCodeError, match="'recent'"):
        opened.list_feature_views()
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Batch feature views are experimental:RuntimeWarning")
def test_a_transformation_that_is_declared_is_refused_at_apply(embedded: Settings) -> None:
    file = embedded.feature_repo / "definitions.py"
    declared = file.read_text(encoding="utf-8").replace(
        'PLAN = view("plan", CITY, timedelta(hours=1), "seats")',
        "from feast import BatchFeatureView\n"
        "from feast.transformation.python_transformation import PythonTransformation\n"
        'PLAN = view("plan", CITY, timedelta(hours=1), "seats")\n'
        'PLAN = BatchFeatureView(name="plan", entities=[CITY], schema=PLAN.schema, source=PLAN.batch_source,\n'
        '    mode="python", feature_transformation=PythonTransformation(lambda rows: rows, "lambda rows: rows"))',
    )
    file.write_text(declared, encoding="utf-8")
    before = (embedded.state_dir / "feast" / "registry.db").read_bytes()
    with pytest.raises(StoredCodeError, match=r"feature_repo/ holds .*'plan'.*feature_transformation"):
        feast_store.apply(embedded)
    assert (embedded.state_dir / "feast" / "registry.db").read_bytes() == before


def test_all_that_feast_keeps_in_a_registry_is_guarded() -> None:
    guarded = {kind.__name__ for kind in guarded_classes()}
    kept = {field.message_type for field in Registry.DESCRIPTOR.fields if field.message_type is not None}
    unguarded = {kind.full_name for kind in kept if kind.name not in guarded}
    assert unguarded == {
        "feast.core.FeatureTable",  # Feast reads none any more, and it is not plain
        "feast.core.FeatureViewVersionHistory",  # bytes of views, guarded when they become one
        "feast.core.ProjectMetadata",
        "google.protobuf.Timestamp",
    }
    assert "feast.core.FeatureTable" not in PLAIN


def test_feasts_own_pages_run_nothing_either(embedded: Settings, marker: Path) -> None:
    attack(embedded, "source", marker)
    with pytest.raises(StoredCodeError):
        feast_pages(embedded)
    assert not marker.exists()
