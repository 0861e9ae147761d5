"""What the tests of the problem lean on: the project, and groups of hand-made rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.own_problem import groups_of, project, write_months  # noqa: F401 two are fixtures


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Write counts as they lie under data/: ``write_rows([("Lent", "2020-01-01", 100), ...])``."""

    def write(rows: list[tuple[str, str, int]], header: str = "page,day,views") -> Path:
        return write_months(tmp_path, "views", header, rows, day_at=1)

    return write
