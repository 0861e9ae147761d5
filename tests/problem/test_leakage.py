"""The leak test over every feature table on real data, and proof that it bites: planted leaks, each found."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import FeatureError
from flightline.data.leakage import Leak, around, changed_rows
from flightline.problem.config import PROBLEM
from flightline.problem.features import FEATURE_TABLES, examples, origin_weather

Tables = Mapping[str, ibis.Table]
# Those of training, the night before a storm with its cancellations, and a landing minute of no special kind.
MOMENTS = (*PROBLEM.leak_test_moments, datetime(2013, 2, 8, 12, tzinfo=UTC), datetime(2013, 9, 12, 23, 41, tzinfo=UTC))
JULY = datetime(2013, 7, 1, 22, tzinfo=UTC)


@pytest.mark.parametrize("moment", MOMENTS, ids=[f"{moment:%m-%d %H:%M}" for moment in MOMENTS])
def test_no_feature_uses_what_was_not_yet_known(real_groups, moment):
    assert engine.find_leaks(real_groups, FEATURE_TABLES, [moment]) == []


# Planted leaks: each is a feature function as someone could write it in good faith.


def weather_at_its_start(groups: Tables) -> ibis.Table:
    """Stamped an hour before it was known."""
    return groups["weather"].select("origin", event_timestamp=_.observed_from, temp=_.temp)


def arrival_delay_at_departure(groups: Tables) -> ibis.Table:
    """Stamped when the aircraft left, hours before it landed."""
    events = groups["arrivals"].group_by("tailnum", event_timestamp=_.departed_at)
    return events.aggregate(delay=_.arrival_delay.max().cast("float64"))


def mean_over_all_data(groups: Tables) -> ibis.Table:
    """Stamped right, but each row holds the mean of the whole year."""
    arrivals = groups["arrivals"]
    mean = arrivals.arrival_delay.mean().over(group_by=arrivals.carrier)
    return arrivals.select("carrier", event_timestamp=_.landed_at, delay=mean).distinct()


def label_at_prediction_time(groups: Tables) -> ibis.Table:
    """Holds the label of the very flight that is to be predicted."""
    return (
        examples(groups, PROBLEM)
        .filter(_.late.notnull())
        .select("example_id", "event_timestamp", late=_.late.cast("float64"))
    )


def window_that_looks_ahead(groups: Tables) -> ibis.Table:
    """Departures around the moment instead of before it."""
    departures = groups["departures"]
    around_it = ibis.range_window(
        preceding=ibis.interval(hours=1), following=ibis.interval(hours=1), group_by="origin", order_by="departed_at"
    )
    return departures.select("origin", event_timestamp=_.departed_at, n=_.count().over(around_it).cast("float64"))


def tail_numbers_next_flight(groups: Tables) -> ibis.Table:
    """Whether the aircraft will be late next time."""
    departures = groups["departures"]
    following = departures.departure_delay.lead().over(group_by=departures.tailnum, order_by=departures.departed_at)
    return departures.select("tailnum", event_timestamp=_.departed_at, delay=following.cast("float64"))


PLANTED = {
    leak.__name__: leak
    for leak in (
        weather_at_its_start,
        arrival_delay_at_departure,
        mean_over_all_data,
        label_at_prediction_time,
        window_that_looks_ahead,
        tail_numbers_next_flight,
    )
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found_at_a_moment_of_training(real_groups, name):
    assert engine.find_leaks(real_groups, {name: PLANTED[name]}, PROBLEM.leak_test_moments)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found_on_a_busy_evening(real_groups, name):
    leaks = engine.find_leaks(real_groups, {name: PLANTED[name]}, [JULY])
    assert [(leak.table, leak.moment) for leak in leaks] == [(name, JULY)]


def test_where_too_little_is_looked_back_at_all_before_is_taken(real_groups):
    tables = {"label_at_prediction_time": label_at_prediction_time}
    assert engine.find_leaks(real_groups, tables, [JULY], before=timedelta(days=8))


def test_honest_tables_beside_a_leak_are_not_accused(real_groups):
    tables = {**FEATURE_TABLES, "weather_at_its_start": weather_at_its_start}
    assert {leak.table for leak in engine.find_leaks(real_groups, tables, [JULY])} == {"weather_at_its_start"}


def test_the_hour_of_weather_that_leaks_is_counted_at_each_station(real_groups):
    leak = engine.find_leaks(real_groups, {"weather": weather_at_its_start}, [JULY])[0]
    assert leak.rows == 3
    assert leak.sample.startswith("origin=EWR, event_timestamp=2013-07-01 22:00:00+00:00, temp=")


def test_a_leak_says_table_moment_rows_and_an_example():
    leak = Leak("weather", JULY, 3, "origin=EWR, temp=70.0")
    assert str(leak) == (
        "weather: 3 row(s) stamped at or before 2013-07-01 22:00 UTC use what became known later, "
        "for example origin=EWR, temp=70.0"
    )


@pytest.mark.parametrize("moment", [datetime(2012, 6, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC)])
def test_a_leak_test_with_nothing_to_compare_is_refused(real_groups, moment):
    with pytest.raises(FeatureError, match=r"the leak test has no.* to compare; choose leak_test_moments"):
        engine.find_leaks(real_groups, {"origin_weather": origin_weather}, [moment])


@pytest.mark.parametrize(
    ("future", "changed"),
    [([], 0), ([("11:00", 9.0)], 0), ([("10:00", 9.0)], 1), ([("09:00", 9.0)], 1)],
    ids=["same", "differs only later", "differs at the moment", "differs before"],
)
def test_only_rows_stamped_at_or_before_the_moment_count(connection, future, changed):
    def rows(cells: list[tuple[str, float]]) -> ibis.Table:
        frame = pd.DataFrame(cells, columns=["event_timestamp", "delay"])
        stamps = pd.to_datetime("2013-06-03 " + frame["event_timestamp"], utc=True)
        return ibis.memtable(frame.assign(event_timestamp=stamps))

    known, moment = [("08:00", 1.0)], datetime(2013, 6, 3, 10, tzinfo=UTC)
    found = changed_rows(lambda groups: groups["rows"], {"rows": rows(known + future)}, {"rows": rows(known)}, moment)
    assert connection.to_pandas(found.count()) == changed


def test_a_row_that_vanishes_with_more_knowledge_is_a_leak_too(real_groups):
    def last_landing_only(groups: Tables) -> ibis.Table:
        latest = groups["arrivals"].group_by("carrier").aggregate(event_timestamp=_.landed_at.max())
        return latest.mutate(is_latest=ibis.literal(1.0))

    with_future = around(real_groups, JULY, timedelta(days=2), timedelta(hours=1))
    known = {name: table.filter(table.known_at <= ibis.literal(JULY)) for name, table in with_future.items()}
    assert changed_rows(last_landing_only, with_future, known, JULY).count().execute() > 0


@pytest.mark.parametrize(("name", "low", "high"), [("arrivals", -2, 1), ("schedule", -2, 1)])
def test_around_keeps_what_became_known_near_the_moment(real_groups, name, low, high):
    near = around(real_groups, JULY, timedelta(days=2), timedelta(days=1))[name].known_at
    first, last = near.min().execute(), near.max().execute()
    assert JULY + timedelta(days=low) <= first < JULY < last <= JULY + timedelta(days=high)
