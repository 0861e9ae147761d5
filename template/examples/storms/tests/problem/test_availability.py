"""When each group is known, by hand."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from flightline.adapters.duckdb_engine import to_frame
from tests.problem.conftest import fix

OTHER = "2010257N16282"
ROWS = [
    fix("2010-09-14T06"),
    fix("2010-09-14T12"),
    fix("2010-09-15T06", wind=70),
    fix("2010-09-15T12", storm=OTHER),
    fix("2010-09-16T12", storm=OTHER, wind="NA"),
]


def at(day: int, hour: int) -> datetime:
    return datetime(2010, 9, day, hour, tzinfo=UTC)


@pytest.fixture
def rows_of(groups_of):
    groups = groups_of(ROWS)

    def rows(name: str) -> pd.DataFrame:
        return to_frame(groups[name]).sort_values("fixed_at").reset_index(drop=True)

    return rows


def test_a_fix_is_its_forecasters_at_once_and_all_the_worlds_three_hours_later(rows_of):
    assert list(rows_of("sightings")["known_at"])[:2] == [at(14, 6), at(14, 12)]
    assert list(rows_of("fixes")["known_at"])[:2] == [at(14, 9), at(14, 15)]


def test_what_became_of_a_storm_is_known_a_day_and_three_hours_later_also_that_it_is_gone(rows_of):
    outcomes = rows_of("outcomes")
    assert list(outcomes["is_there"]) == [True, False, False, True]
    assert list(outcomes["known_at"]) == [at(15, 9), at(15, 15), at(16, 9), at(16, 15)]
    assert outcomes["wind_then"].iloc[0] == 70
    assert outcomes["wind_then"].isna().iloc[3]


def test_a_day_that_the_list_does_not_cover_has_no_outcome(rows_of):
    assert "2010-09-16T12:00Z" not in set(rows_of("outcomes")["fixed_at"])
