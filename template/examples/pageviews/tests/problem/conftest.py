"""What the tests of the problem lean on: the project, and groups of hand-made rows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.problem import make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The problem at a place with nothing in it."""
    return make_project(Settings(root=tmp_path_factory.mktemp("problem"), problem_package="flightline.problem"))


@pytest.fixture
def write_views(tmp_path: Path) -> Callable[..., Path]:
    """Write counts as they lie under data/: ``write_views([("Lent", "2020-01-01", 100), ...])``."""

    def write(rows: list[tuple[str, str, int]], header: str = "page,day,views") -> Path:
        months: dict[str, list[str]] = {}
        for page, day, views in rows:
            months.setdefault(day[:7], [header]).append(f"{page},{day},{views}")
        folder = tmp_path / "views"
        folder.mkdir()
        for month, lines in months.items():
            (folder / f"{month}.csv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


@pytest.fixture
def groups_of(project: Project, write_views: Callable[..., Path]) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made counts."""
    with ExitStack() as opened:

        def build(rows: list[tuple[str, str, int]]) -> dict[str, ibis.Table]:
            connection = opened.enter_context(engine.connect(1))
            raw = engine.load_raw(connection, write_views(rows), project.raw_tables.contracts)
            return engine.build_groups(connection, raw, project.features)

        yield build
