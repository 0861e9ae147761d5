"""Each feature and the label, by hand, and from when on it may be used; 1997-01-06 is a Monday."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import LeakError
from tests.support.own_problem import look_for_leaks

PURCHASES = [
    (4, "1997-01-03", 1, 2, 20.5),
    (4, "1997-01-03", 2, 1, 9.25),  # the same day: one day with purchases, whose amounts add up
    (4, "1997-02-08", 1, 4, 44.0),  # the Saturday before the 10th of February
    (4, "1997-02-09", 1, 1, 7.0),  # the Sunday: delivered on the Monday
    (21, "1997-04-30", 1, 1, 1.0),
]


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(1997, month, day, hour, tzinfo=UTC)


@pytest.fixture
def table(project, groups_of):
    """Compute a feature table for customer 4."""

    def compute(name: str, rows: list = PURCHASES) -> pd.DataFrame:
        found = project.features.tables[name](groups_of(rows))
        return engine.to_frame(found.filter(found.customer == 4).order_by("event_timestamp"))

    return compute


def test_the_first_purchase_is_that_of_the_whole_first_day(table):
    (row,) = table("customer_first_purchase").to_dict("records")
    assert row["event_timestamp"] == at(1, 4)
    assert (row["first_cds"], row["first_amount"]) == (3.0, 29.75)


def test_the_last_purchase_is_stamped_when_its_day_is_delivered(table):
    found = table("customer_last_purchase")
    assert list(found["event_timestamp"]) == [at(1, 4), at(2, 9), at(2, 10)]
    assert list(found["last_amount"]) == [29.75, 44.0, 7.0]
    assert list(found["last_cds"]) == [3.0, 4.0, 1.0]
    assert found["days_between_last_two"].iloc[0] != found["days_between_last_two"].iloc[0]  # missing
    assert list(found["days_between_last_two"].iloc[1:]) == [36.0, 1.0]


def test_a_week_is_computed_at_noon_of_the_sunday_before(table):
    weeks = table("customer_week").set_index("week")
    assert weeks.loc["1997-02-10", "event_timestamp"] == at(2, 9)
    assert list(weeks["event_timestamp"]) == [
        datetime.strptime(week, "%Y-%m-%d").replace(tzinfo=UTC) - timedelta(hours=12) for week in weeks.index
    ]


@pytest.mark.parametrize(
    ("week", "expected"),
    [
        # Saturday's purchase counts, Sunday's is not known yet.
        ("1997-02-10", {"days_since_last": 0.0, "days_since_first": 36.0, "days_with_purchase_28d": 1.0,
                        "days_with_purchase_84d": 2.0, "spent_28d": 44.0, "spent_84d": 73.75}),
        ("1997-02-17", {"days_since_last": 6.0, "days_with_purchase_28d": 2.0, "spent_28d": 51.0}),
        # 28 deliveries: that of the 9th of February still counts, a week later it does not.
        ("1997-03-10", {"days_since_last": 27.0, "days_with_purchase_28d": 1.0, "spent_28d": 7.0}),
        ("1997-03-17", {"days_since_last": 34.0, "days_with_purchase": 3.0, "spent": 80.75}),
    ],
)  # fmt: skip
def test_a_week_counts_what_was_delivered_before_it(table, week, expected):
    row = table("customer_week").set_index("week").loc[week]
    assert {name: row[name] for name in expected} == expected


def examples_of(project, groups) -> pd.DataFrame:
    found = project.features.examples(groups, project.problem)
    return engine.to_frame(found.filter(found.customer == 4)).set_index("week").sort_index()


def test_an_example_is_a_customer_on_a_monday_predicted_on_the_sunday(project, groups_of):
    row = examples_of(project, groups_of(PURCHASES)).loc["1997-01-13"]
    assert (row["example_id"], row["event_timestamp"]) == ("4-1997-01-13", at(1, 12, hour=18))
    assert (row["outcome"], row["buys"], row["label_known_at"]) == ("bought", 1, at(2, 10))


def test_who_did_not_buy_is_known_as_late_as_who_did(project, groups_of):
    row = examples_of(project, groups_of(PURCHASES)).loc["1997-02-17"]
    assert (row["outcome"], row["buys"], row["label_known_at"]) == ("none", 0, at(3, 17))


def test_while_the_28_days_are_not_over_there_is_no_label(project, groups_of):
    row = examples_of(project, groups_of(PURCHASES)).loc["1997-04-07"]
    assert row[["outcome", "buys", "label_known_at"]].isna().all()


def test_the_label_among_the_features_is_found(project, tmp_path):
    """A label waits 28 days, and comes once a week: both are easily out of the leak test's sight."""

    def week_with_its_label(groups):
        outcomes = groups["outcomes"].select("customer", "week", "purchases")
        weeks = project.features.tables["customer_week"](groups).select("customer", "week", "event_timestamp")
        joined = weeks.left_join(outcomes, ["customer", "week"])
        return joined.select("customer", "week", "event_timestamp", bought=_.purchases.cast("float64"))

    with pytest.raises(LeakError, match=r"(?s)3 leak.*week_with_its_label: "):
        look_for_leaks(project, tmp_path, week_with_its_label=week_with_its_label)
