"""When each group is known, by hand; 1997-01-06 is a Monday."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from flightline.adapters.duckdb_engine import to_frame

JANUARY_TO_MARCH = [
    (4, "1997-01-03", 1, 2, 20.0),
    (4, "1997-02-09", 1, 1, 10.0),  # a Sunday
    (4, "1997-03-08", 1, 1, 10.0),
    (21, "1997-01-05", 1, 1, 5.0),
    (21, "1997-03-09", 1, 1, 5.0),  # a Sunday, and the end of the list
]


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(1997, month, day, hour, tzinfo=UTC)


@pytest.fixture
def groups(groups_of):
    return groups_of(JANUARY_TO_MARCH)


def rows_of(table, customer: int) -> pd.DataFrame:
    return to_frame(table.filter(table.customer == customer).order_by("known_at")).reset_index(drop=True)


def test_a_purchase_is_known_at_noon_of_the_day_after(groups):
    assert list(rows_of(groups["purchases"], 4)["known_at"]) == [at(1, 4), at(2, 10), at(3, 9)]


def test_a_customer_is_on_the_calendar_from_the_first_monday_after_the_first_delivery(groups):
    assert rows_of(groups["calendar"], 4)["week"].iloc[0] == "1997-01-06"
    # Bought on the Sunday, delivered at noon of the Monday: too late for it.
    assert rows_of(groups["calendar"], 21)["week"].iloc[0] == "1997-01-13"


def test_a_monday_is_known_28_days_ahead_but_not_before_its_customer(groups):
    weeks = rows_of(groups["calendar"], 4).set_index("week")["known_at"]
    assert weeks["1997-01-06"] == at(1, 4)
    assert weeks["1997-03-03"] == at(2, 3, hour=0)


def test_the_calendar_goes_on_28_days_after_the_list(groups):
    assert rows_of(groups["calendar"], 4)["week"].iloc[-1] == "1997-03-31"


def test_an_outcome_is_known_when_the_28th_day_is_delivered_whatever_it_is(groups):
    outcomes = rows_of(groups["outcomes"], 4).set_index("week")
    # 1997-01-13 to 1997-02-09: the purchase of the last day counts; of the week before it does not.
    assert list(outcomes["purchases"].iloc[:2]) == [0, 1]
    assert list(outcomes["known_at"].iloc[:2]) == [at(2, 3), at(2, 10)]


def test_28_days_that_the_list_does_not_cover_have_no_outcome(groups):
    # The 28 days from the 10th of February end with the 9th of March, the list's last day.
    assert rows_of(groups["outcomes"], 4)["week"].iloc[-1] == "1997-02-10"
