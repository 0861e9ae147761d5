"""The two worlds of the leak test: what was known at a moment, and what came near it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pytest

from flightline.data.leakage import around, as_of, changed_rows

MOMENT, HOUR = datetime(2020, 3, 1, 12, tzinfo=UTC), timedelta(hours=1)
TINY = timedelta(microseconds=1)


def group(*offsets: timedelta) -> ibis.Table:
    """Make a table of rows that became known so long after the moment."""
    known_at = pd.Series([MOMENT + offset for offset in offsets]).astype("datetime64[us, UTC]")
    return ibis.memtable(pd.DataFrame({"known_at": known_at, "value": range(len(offsets))}))


def offsets(tables: Mapping[str, ibis.Table]) -> list[timedelta]:
    (table,) = tables.values()
    return sorted(known_at.to_pydatetime() - MOMENT for known_at in table.execute()["known_at"])


def test_what_is_known_at_a_moment_is_known_by_it():
    rows = group(-HOUR, timedelta(0), TINY)
    assert offsets(as_of({"rows": rows}, MOMENT)) == [-HOUR, timedelta(0)]


@pytest.mark.parametrize("before", [2 * HOUR, None])
def test_what_came_near_a_moment_is_kept_with_both_edges(before):
    rows = group(-2 * HOUR - TINY, -2 * HOUR, timedelta(0), HOUR / 2, HOUR, HOUR + TINY)
    kept = offsets(around({"rows": rows}, MOMENT, before, HOUR))
    assert kept == ([] if before else [-2 * HOUR - TINY]) + [-2 * HOUR, timedelta(0), HOUR / 2, HOUR]


@pytest.mark.parametrize("now", [[], [timedelta(0)]], ids=["nothing then", "one row at that very moment"])
def test_a_group_that_seldom_gets_a_row_keeps_the_next_one(now):
    rows = group(*now, 240 * HOUR, 264 * HOUR)
    assert offsets(around({"rows": rows}, MOMENT, HOUR, HOUR)) == [*now, 240 * HOUR]


def test_a_group_without_a_future_keeps_its_past():
    assert offsets(around({"rows": group(-HOUR)}, MOMENT, None, HOUR)) == [-HOUR]


def with_the_total(groups: Mapping[str, ibis.Table]) -> ibis.Table:
    """Make a feature that leaks: for each row the sum of all rows, later ones too."""
    rows = groups["rows"]
    return rows.select(event_timestamp=rows.known_at, total=rows.value.sum().over(ibis.window()))


def test_a_feature_that_sees_the_future_changes_rows_of_the_past():
    full = {"rows": group(-HOUR, timedelta(0), HOUR)}
    changed = changed_rows(with_the_total, full, as_of(full, MOMENT), MOMENT).execute()
    # Of either world, two rows of the past: the one stamped at the moment counts, the one after it does not.
    assert sorted(changed["total"]) == [1, 1, 3, 3]
    assert changed["event_timestamp"].max() == MOMENT


def test_a_row_that_only_one_world_has_is_a_change_in_either():
    rows, build = group(-HOUR), lambda groups: groups["rows"].select(event_timestamp=groups["rows"].known_at)
    for one, other in ((group(-HOUR, -2 * HOUR), rows), (rows, group(-HOUR, -2 * HOUR))):
        assert len(changed_rows(build, {"rows": one}, {"rows": other}, MOMENT).execute()) == 1
