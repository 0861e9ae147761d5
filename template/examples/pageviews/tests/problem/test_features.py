"""Each feature and the label, by hand, and from when on it may be used."""

from datetime import UTC, datetime, timedelta
from math import exp, log

import pandas as pd
import pytest

from flightline.adapters.duckdb_engine import to_frame


def day(number: int, hour: int = 0) -> datetime:
    """Give a time of the first days of 2020; 1 is the first of January."""
    return datetime(2020, 1, 1, hour, tzinfo=UTC) + timedelta(days=number - 1)


def text(number: int) -> str:
    return f"{day(number):%Y-%m-%d}"


@pytest.fixture
def table(project, groups_of):
    """Compute a feature table from the views of one page on consecutive days."""

    def compute(name: str, views: list[int]) -> pd.DataFrame:
        groups = groups_of([("Lent", text(number), count) for number, count in enumerate(views, start=1)])
        return to_frame(project.features.tables[name](groups).order_by("event_timestamp"))

    return compute


def test_the_last_count_is_known_two_days_after_its_day_began(table):
    found = table("page_last_count", [100, 200])
    assert list(found["event_timestamp"]) == [day(3), day(4)]
    assert list(found["last_log_views"]) == pytest.approx([log(100), log(200)])


def test_the_last_count_at_a_prediction_is_that_of_three_days_before(project, table):
    found = table("page_last_count", [10, 20, 30, 40, 50, 60, 70])
    prediction_time = day(7) - project.problem.prediction_horizon
    known = found[found["event_timestamp"] <= prediction_time]
    assert known["last_log_views"].iloc[-1] == pytest.approx(log(40))  # of day 4


def test_recent_means_hold_seven_and_28_counts(table):
    views = [round(exp(number / 4)) for number in range(1, 31)]
    found = table("page_recent", views)
    logarithms = pd.Series([round(log(count), 2) for count in views])  # windows average whole hundredths
    last = found.iloc[-1]
    assert last["event_timestamp"] == day(32)
    assert last["page_recent_6d_mean_log_views"] == pytest.approx(logarithms[-7:].mean())
    assert last["page_recent_27d_mean_log_views"] == pytest.approx(logarithms[-28:].mean())
    assert found.iloc[0]["page_recent_27d_mean_log_views"] == pytest.approx(logarithms[0])


@pytest.mark.parametrize(
    ("name", "feature", "days"),
    [("page_day_week_before", "log_views_week_before", 7), ("page_day_year_before", "log_views_year_before", 364)],
)
def test_a_count_of_before_is_kept_for_its_day(table, name, feature, days):
    (row,) = table(name, [100]).to_dict("records")
    assert (row["page"], row["day"]) == ("Lent", text(1 + days))
    assert row["event_timestamp"] == day(3)
    assert row[feature] == pytest.approx(log(100))


def test_an_example_is_predicted_at_noon_of_the_day_before(project, groups_of):
    groups = groups_of([("Lent", text(1), 100)])
    (row,) = to_frame(project.features.examples(groups, project.problem)).to_dict("records")
    assert row["event_timestamp"] == day(0, hour=12)
    assert row["label_known_at"] == day(3)
    assert (row["example_id"], row["outcome"]) == (f"Lent-{text(1)}", "counted")
    assert row["log_views"] == pytest.approx(log(100))
