"""What every test may lean on: the toy problem in places of its own, and a guard around the developer's state."""

import os
from collections.abc import Iterator
from pathlib import Path

import ibis
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from tests import toy_problem
from tests.support.chromium import browser  # noqa: F401 a fixture, for pages of every folder
from tests.support.servers.postgres import postgres_server  # noqa: F401 a fixture, for tests of every folder
from tests.support.servers.redis_server import redis_server  # noqa: F401 likewise

_NO_PHONING_HOME = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


# What is built from whole real months takes seconds for each worker, so its tests are slow ones.
_SLOW_FIXTURES = {"real_groups", "winter_groups", "winter_store", "winter_tables", "filled_root"}
TOY_PACKAGE = "tests.toy_problem"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by fixtures and models, before `-m` chooses; where workers share, long files come first.

    So none is left with a long file at the end, while the other has nothing more to do.
    """
    for item in items:
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if isinstance(item, pytest.Function) and "keras_" in getattr(getattr(item, "callspec", None), "id", ""):
            item.add_marker(pytest.mark.keras)  # so the models of the zoo that need it are named
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("system")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def isolated_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fixtures that outlive a test off the developer's own state, settings and servers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith(("FLIGHTLINE_", "MLFLOW_TRACKING", "MLFLOW_REGISTRY"))
        ]:
            patch.delenv(name)
        patch.setenv("FLIGHTLINE_ROOT", str(tmp_path_factory.mktemp("session röot")))
        patch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", TOY_PACKAGE)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect höme")))
        for name, value in _NO_PHONING_HOME.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def isolated_root(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give each test a root of its own, so that settings built from nothing never name the clone.

    Shared roots have a space and a letter beyond ASCII in their names, as folders of people have.
    """
    root = tmp_path_factory.mktemp("a röot")
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(root))
    return root


@pytest.fixture(scope="session")
def repository() -> Path:
    """The clone itself, to read and copy from."""
    return Path(__file__).parents[1]


@pytest.fixture
def toy_project(isolated_root: Path) -> Project:
    """The toy problem in the test's own root, with its Feast repository and raw data."""
    return toy_problem.make_root(isolated_root)


@pytest.fixture(scope="session")
def toy_place(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy problem in a root for many tests; not to be changed."""
    return toy_problem.make_root(tmp_path_factory.mktemp("the töy"))


@pytest.fixture(scope="session")
def toy_groups(toy_place: Project) -> Iterator[dict[str, ibis.Table]]:
    """The groups of all the toy problem's raw data."""
    with engine.connect(2) as opened:
        raw = engine.load_raw(opened, toy_place.settings.data_dir, toy_place.raw_tables.contracts)
        yield engine.build_groups(opened, raw, toy_place.features)


@pytest.fixture(scope="session")
def toy_examples(toy_place: Project, toy_groups: dict[str, ibis.Table]) -> pd.DataFrame:
    """The toy problem's examples, with every entity key; not to be changed."""
    rows = toy_place.features.examples(toy_groups, toy_place.problem).order_by("event_timestamp", "example_id")
    known = engine.to_frame(rows)
    return known.assign(**toy_place.requests.keys(known))


@pytest.fixture(scope="session")
def toy_store(
    toy_place: Project, toy_groups: dict[str, ibis.Table], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The toy problem with its feature tables written and declared to a real Feast; not to be changed."""
    from flightline.adapters.feast import feature_store as feast_store

    root = tmp_path_factory.mktemp("töy store")
    toy_problem.write_feature_repo(root)
    project = toy_place.at(Settings(root=root))
    folder = project.settings.features_dir / "toy"
    engine.write_feature_tables(toy_groups, project.features.tables, folder, keys=project.key_names)
    feast_store.activate(project.settings, folder)
    feast_store.apply(project.settings)
    return project


@pytest.fixture
def connection() -> Iterator[ibis.BaseBackend]:
    """An engine of the test's own."""
    with engine.connect(2) as opened:
        yield opened
