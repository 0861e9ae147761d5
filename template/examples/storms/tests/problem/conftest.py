"""What the tests of the problem lean on: the project, and groups of hand-made fixes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.own_problem import groups_of, project, write_months  # noqa: F401 two are fixtures

Fix = tuple[str, str, str, float, float, str, int | str, int | str]


def fix(hour: str, storm: str = "2010255N12325", wind: int | str = 40, latitude: float = 15.5) -> Fix:
    """Make a fix of an hour, YYYY-MM-DDTHH, in the Atlantic."""
    return (storm, f"{hour}:00Z", "AL", latitude, -40.5, "TS", wind, 1000)


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[list[Fix]], Path]:
    """Write fixes as they lie under data/: ``write_rows([fix("2010-09-14T06", wind=40), ...])``."""
    header = "storm,fixed_at,basin,latitude,longitude,status,wind,pressure"
    return lambda rows: write_months(tmp_path, "fixes", header, rows, day_at=1)
