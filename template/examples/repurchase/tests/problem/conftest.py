"""What the tests of the problem lean on: the project, and groups of hand-made purchases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.own_problem import groups_of, project, write_months  # noqa: F401 two are fixtures

Purchase = tuple[int, str, int, int, float]


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[list[Purchase]], Path]:
    """Write purchases as they lie under data/: ``write_rows([(4, "1997-01-01", 1, 2, 29.33), ...])``."""
    return lambda rows: write_months(tmp_path, "purchases", "customer,day,number,cds,amount", rows, day_at=1)
