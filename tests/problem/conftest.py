"""What the tests of the problem lean on: the real data, and groups of hand-made rows."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import ibis
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.problem import make_project
from tests.problem.raw_rows import write_raw

_PACKAGE = "flightline.problem"


@pytest.fixture(autouse=True)
def problem_of_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what opens a project, here and in processes that a test starts, open the clone's own."""
    monkeypatch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", _PACKAGE)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The clone's own problem at a place with nothing in it."""
    return make_project(Settings(root=tmp_path_factory.mktemp("problem"), problem_package=_PACKAGE))


@pytest.fixture(scope="session")
def seed_dir(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real raw data of 2013; not to be written to."""
    folder = tmp_path_factory.mktemp("seed")
    project.raw_tables.write_seed(folder)
    return folder


@pytest.fixture(scope="session")
def winter_dir(project: Project, seed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real raw data of January and February; not to be written to."""
    folder = tmp_path_factory.mktemp("winter")
    for name in project.raw_tables.contracts:
        if (seed_dir / name).is_dir():
            (folder / name).mkdir()
            for month in ("2013-01", "2013-02"):
                (folder / name / f"{month}.csv").symlink_to(seed_dir / name / f"{month}.csv")
        else:
            (folder / f"{name}.csv").symlink_to(seed_dir / f"{name}.csv")
    return folder


def _groups(project: Project, connection: ibis.BaseBackend, data_dir: Path) -> dict[str, ibis.Table]:
    raw = engine.load_raw(connection, data_dir, project.raw_tables.contracts)
    return engine.build_groups(connection, raw, project.features)


@pytest.fixture(scope="session")
def real_groups(project: Project, seed_dir: Path) -> Iterator[dict[str, ibis.Table]]:
    """The groups of the whole real year."""
    with engine.connect(2) as connection:
        yield _groups(project, connection, seed_dir)


@pytest.fixture(scope="session")
def winter_groups(project: Project, winter_dir: Path) -> Iterator[dict[str, ibis.Table]]:
    """The groups of the real January and February."""
    with engine.connect(2) as connection:
        yield _groups(project, connection, winter_dir)


@pytest.fixture(scope="session")
def winter_examples(project: Project, winter_groups: dict[str, ibis.Table]) -> pd.DataFrame:
    """The 51,955 flights of the real January and February, with every entity key; not to be changed."""
    rows = project.features.examples(winter_groups, project.problem).order_by("event_timestamp", "example_id")
    known = engine.to_frame(rows)
    return known.assign(**project.requests.keys(known))


@pytest.fixture(scope="session")
def winter_store(
    project: Project, winter_groups: dict[str, ibis.Table], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A real Feast repository with the project's declarations applied over the real winter; not to be changed."""
    from flightline.adapters.feast import feature_store as feast_store

    settings = Settings(root=tmp_path_factory.mktemp("winter_store"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "feature_repo", settings.feature_repo, ignore=ignored)
    engine.write_feature_tables(winter_groups, project.features.tables, settings.features_dir / "winter")
    feast_store.activate(settings, settings.features_dir / "winter")
    feast_store.apply(settings)
    return settings


@pytest.fixture(scope="module")
def groups_of(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made rows: ``groups_of(flights=[...], weather=[...])``; see `tests.problem.raw_rows`."""
    with ExitStack() as opened:

        def build(**rows: list[dict]) -> dict[str, ibis.Table]:
            folder = tmp_path_factory.mktemp("raw")
            write_raw(folder, **rows)
            return _groups(project, opened.enter_context(engine.connect(2)), folder)

        yield build
