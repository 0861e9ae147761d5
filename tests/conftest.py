"""What every test may lean on: the real data, groups of hand-made rows, and a guard around the developer's state."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import ibis
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.settings import Settings
from flightline.problem.features import FEATURE_TABLES, examples
from flightline.problem.raw_tables import CONTRACTS
from flightline.problem.request_features import request_keys
from flightline.problem.source import write_seed
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that stand on such fixtures, before `-m` chooses; where workers share, long files come first.

    So none is left with a long file at the end, while the other has nothing more to do.
    """
    for item in items:
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def isolated_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fixtures that outlive a test off the developer's own state, settings and servers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith(("FLIGHTLINE_", "MLFLOW_TRACKING", "MLFLOW_REGISTRY"))
        ]:
            patch.delenv(name)
        patch.setenv("FLIGHTLINE_ROOT", str(tmp_path_factory.mktemp("session_root")))
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect_home")))
        for name, value in _NO_PHONING_HOME.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def isolated_root(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each test a root of its own, so that settings built from nothing never name the clone."""
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(tmp_path_factory.mktemp("root")))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The clone itself, to read and copy from."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def seed_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real raw data of 2013; not to be written to."""
    folder = tmp_path_factory.mktemp("seed")
    write_seed(folder)
    return folder


@pytest.fixture(scope="session")
def winter_dir(seed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real raw data of January and February; not to be written to."""
    folder = tmp_path_factory.mktemp("winter")
    for name in CONTRACTS:
        if (seed_dir / name).is_dir():
            (folder / name).mkdir()
            for month in ("2013-01", "2013-02"):
                (folder / name / f"{month}.csv").symlink_to(seed_dir / name / f"{month}.csv")
        else:
            (folder / f"{name}.csv").symlink_to(seed_dir / f"{name}.csv")
    return folder


def _groups(connection: ibis.BaseBackend, data_dir: Path) -> dict[str, ibis.Table]:
    return engine.build_groups(connection, engine.load_raw(connection, data_dir, CONTRACTS))


@pytest.fixture(scope="session")
def real_groups(seed_dir: Path) -> Iterator[dict[str, ibis.Table]]:
    """The groups of the whole real year."""
    with engine.connect(2) as connection:
        yield _groups(connection, seed_dir)


@pytest.fixture(scope="session")
def winter_groups(winter_dir: Path) -> Iterator[dict[str, ibis.Table]]:
    """The groups of the real January and February."""
    with engine.connect(2) as connection:
        yield _groups(connection, winter_dir)


@pytest.fixture(scope="session")
def winter_examples(winter_groups: dict[str, ibis.Table]) -> pd.DataFrame:
    """The 51,955 flights of the real January and February, with every entity key; not to be changed."""
    known = engine.to_frame(examples(winter_groups).order_by("event_timestamp", "example_id"))
    return known.assign(**request_keys(known))


@pytest.fixture(scope="session")
def winter_store(
    winter_groups: dict[str, ibis.Table], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A real Feast repository with the project's declarations applied over the real winter; not to be changed."""
    from flightline.adapters.feast import feature_store as feast_store

    settings = Settings(root=tmp_path_factory.mktemp("winter_store"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "feature_repo", settings.feature_repo, ignore=ignored)
    engine.write_feature_tables(winter_groups, FEATURE_TABLES, settings.features_dir / "winter")
    feast_store.activate(settings, settings.features_dir / "winter")
    feast_store.apply(settings)
    return settings


@pytest.fixture
def connection() -> Iterator[ibis.BaseBackend]:
    """An engine of the test's own."""
    with engine.connect(2) as opened:
        yield opened


@pytest.fixture(scope="module")
def groups_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made rows: ``groups_of(flights=[...], weather=[...])``; see `tests.support.raw_rows`."""
    with ExitStack() as opened:

        def build(**rows: list[dict]) -> dict[str, ibis.Table]:
            from tests.support.raw_rows import write_raw  # here, so that the other tests need no flights

            folder = tmp_path_factory.mktemp("raw")
            write_raw(folder, **rows)
            return _groups(opened.enter_context(engine.connect(2)), folder)

        yield build
