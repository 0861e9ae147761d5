"""What the tests of the problem lean on: the project, and groups of hand-made fixes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.problem import make_project

Fix = tuple[str, str, str, float, float, str, int | str, int | str]


def fix(hour: str, storm: str = "2010255N12325", wind: int | str = 40, latitude: float = 15.5) -> Fix:
    """Make a fix of an hour, YYYY-MM-DDTHH, in the Atlantic."""
    return (storm, f"{hour}:00Z", "AL", latitude, -40.5, "TS", wind, 1000)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The problem at a place with nothing in it."""
    return make_project(Settings(root=tmp_path_factory.mktemp("problem"), problem_package="flightline.problem"))


@pytest.fixture
def write_fixes(tmp_path: Path) -> Callable[..., Path]:
    """Write fixes as they lie under data/: ``write_fixes([fix("2010-09-14T06", wind=40), ...])``."""

    def write(rows: list[Fix]) -> Path:
        header = "storm,fixed_at,basin,latitude,longitude,status,wind,pressure"
        months: dict[str, list[str]] = {}
        for row in rows:
            months.setdefault(row[1][:7], [header]).append(",".join(map(str, row)))
        folder = tmp_path / "fixes"
        folder.mkdir()
        for month, lines in months.items():
            (folder / f"{month}.csv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


@pytest.fixture
def groups_of(project: Project, write_fixes: Callable[..., Path]) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made fixes."""
    with ExitStack() as opened:

        def build(rows: list[Fix]) -> dict[str, ibis.Table]:
            connection = opened.enter_context(engine.connect(1))
            raw = engine.load_raw(connection, write_fixes(rows), project.raw_tables.contracts)
            return engine.build_groups(connection, raw, project.features)

        yield build
