"""What tests of the problem lean on: their conftest imports these fixtures, and has a `write_rows` for them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.problem import make_project
from pipelines.steps.features import check_leaks


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The problem at a place with nothing in it."""
    return make_project(Settings(root=tmp_path_factory.mktemp("problem"), problem_package="flightline.problem"))


@pytest.fixture
def groups_of(project: Project, write_rows: Callable[..., Path]) -> Iterator[Callable[..., dict[str, ibis.Table]]]:
    """Build groups from hand-made rows, as `write_rows` takes them."""
    with ExitStack() as opened:

        def build(*rows: Any) -> dict[str, ibis.Table]:
            connection = opened.enter_context(engine.connect(1))
            raw = engine.load_raw(connection, write_rows(*rows), project.raw_tables.contracts)
            return engine.build_groups(connection, raw, project.features)

        yield build


def look_for_leaks(project: Project, folder: Path, **tables: Callable[..., ibis.Table]) -> None:
    """Run the leak test of training over the first copy of the data, on these feature tables alone.

    Raises
    ------
    LeakError
        Naming table and moment.
    """
    project.raw_tables.write_seed(folder)
    with engine.connect(2) as connection:
        raw = engine.load_raw(connection, folder, project.raw_tables.contracts)
        groups = engine.build_groups(connection, raw, project.features)
        examples = engine.to_frame(project.features.examples(groups, project.problem))
        check_leaks(groups, replace(project.features, tables=tables), project.problem, examples)


def write_months(data: Path, table: str, header: str, rows: Sequence[Sequence[object]], day_at: int) -> Path:
    """Write rows as a monthly table lies under data/.

    Parameters
    ----------
    day_at
        Which cell begins with the month.
    """
    months: dict[str, list[str]] = {}
    for row in rows:
        months.setdefault(str(row[day_at])[:7], [header]).append(",".join(map(str, row)))
    (data / table).mkdir()
    for month, lines in months.items():
        (data / table / f"{month}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return data
