"""What the tests of the problem lean on: the project, and groups of hand-made purchases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.problem import make_project

Purchase = tuple[int, str, int, int, float]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The problem at a place with nothing in it."""
    return make_project(Settings(root=tmp_path_factory.mktemp("problem"), problem_package="flightline.problem"))


@pytest.fixture
def write_purchases(tmp_path: Path) -> Callable[..., Path]:
    """Write purchases as they lie under data/: ``write_purchases([(4, "1997-01-01", 1, 2, 29.33), ...])``."""

    def write(rows: list[Purchase], header: str = "customer,day,number,cds,amount") -> Path:
        months: dict[str, list[str]] = {}
        for row in rows:
            months.setdefault(row[1][:7], [header]).append(",".join(map(str, row)))
        folder = tmp_path / "purchases"
        folder.mkdir()
        for month, lines in months.items():
            (folder / f"{month}.csv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


@pytest.fixture
def groups_of(project: Project, write_purchases: Callable[..., Path]) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made purchases."""
    with ExitStack() as opened:

        def build(rows: list[Purchase]) -> dict[str, ibis.Table]:
            connection = opened.enter_context(engine.connect(1))
            raw = engine.load_raw(connection, write_purchases(rows), project.raw_tables.contracts)
            return engine.build_groups(connection, raw, project.features)

        yield build
