"""Parity by hand: what a store held at a watermark, how it is judged at a clock, and every kind of difference."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flightline.monitoring.parity import (
    Mismatch,
    RebuiltView,
    StoredView,
    compare_inputs,
    compare_predictions,
    compare_states,
    inputs_of,
    rebuild_view,
    stored_features,
    union_of,
)

NOON = datetime(2020, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
VIEW = StoredView("rain", ("stop",), ("fallen", "coming"), 6 * HOUR, ((NOON - 24 * HOUR, NOON),))


def table(*rows: tuple[str, float, float, float | None]) -> pd.DataFrame:
    """Give rows of (stop, hours after noon, fallen, coming), created when they are stamped."""
    frame = pd.DataFrame(rows, columns=["stop", "hours", "fallen", "coming"])
    stamps = pd.to_datetime([NOON + hours * HOUR for hours in frame.pop("hours")], utc=True)
    return frame.assign(event_timestamp=stamps, created_timestamp=stamps, coming=frame["coming"].astype(float))


def rebuild(rows: pd.DataFrame, stop: str | None = "north", watermark: float = 0, clock: float = 0) -> RebuiltView:
    moments = {"watermark": NOON + watermark * HOUR, "clock": NOON + clock * HOUR}
    return rebuild_view(VIEW, rows, pd.DataFrame([{"stop": stop, **moments}]))


def only(rebuilt: RebuiltView) -> tuple[float | None, str | None]:
    value = rebuilt.values["fallen"].iloc[0]
    return (None if np.isnan(value) else value), rebuilt.reasons[0]


ROWS = table(("north", -3, 1.0, 1.0), ("north", -1, 2.0, None), ("south", -1, 9.0, 9.0))


@pytest.mark.parametrize(
    ("watermark", "clock", "expected"),
    [
        (0, 0, (2.0, None)),
        (-1, 0, (2.0, None)),
        (-1.01, 0, (1.0, None)),
        (-4, 0, (None, "no value")),
        (0, 5, (2.0, None)),
        (0, 5.01, (None, "stale")),
        (0, -1.01, (None, "after the clock")),
    ],
    ids=["newest", "edge of the watermark", "before it", "none yet", "edge of ttl", "past ttl", "clock set back"],
)
def test_the_newest_at_the_watermark_is_judged_at_the_clock(watermark, clock, expected):
    assert only(rebuild(ROWS, watermark=watermark, clock=clock)) == expected


@pytest.mark.parametrize("stop", [None, "elsewhere"])
def test_a_missing_or_unknown_key_finds_nothing(stop):
    rebuilt = rebuild(ROWS, stop=stop)
    assert only(rebuilt) == (None, "no value")
    assert rebuilt.stamps.isna().all()


def test_what_was_never_loaded_was_never_there():
    assert only(rebuild(table(("north", -25, 1.0, 1.0)))) == (None, "no value")
    assert only(rebuild(table(("north", -24, 1.0, 1.0)))) == (None, "stale")


def test_what_a_load_left_out_is_missed_as_long_as_it_would_be_used():
    view = replace(VIEW, loaded=((NOON - 24 * HOUR, NOON - 4 * HOUR), (NOON - 2 * HOUR, NOON)))
    rows = table(("north", -5, 1.0, 1.0), ("north", -3, 2.0, 1.0))

    def found(clock: float) -> tuple[float | None, str | None, datetime]:
        asked = pd.DataFrame([{"stop": "north", "watermark": NOON, "clock": NOON + clock * HOUR}])
        rebuilt = rebuild_view(view, rows, asked)
        return *only(rebuilt), rebuilt.stamps.iloc[0]

    assert found(0) == (2.0, None, NOON - 3 * HOUR)
    assert found(4) == (None, "stale", NOON - 5 * HOUR)


def test_of_equal_event_timestamps_the_last_created_counts():
    rows = table(("north", -1, 5.0, 1.0), ("north", -1, 4.0, 1.0))
    rows["created_timestamp"] = [NOON, NOON - HOUR]
    assert only(rebuild(rows)) == (5.0, None)


def test_predictions_keep_their_order():
    asked = pd.DataFrame({"stop": ["south", "north", "south"], "watermark": NOON, "clock": NOON})
    asked["watermark"] = [NOON, NOON - 2 * HOUR, NOON - 2 * HOUR]
    assert rebuild_view(VIEW, ROWS, asked).values["fallen"].tolist()[:2] == [9.0, 1.0]


def test_spans_that_touch_are_one():
    hours = [NOON + hour * HOUR for hour in range(5)]
    assert union_of([(hours[3], hours[4]), (hours[0], hours[1]), (hours[1], hours[2])]) == (
        (hours[0], hours[2]),
        (hours[3], hours[4]),
    )


LOGGED = {
    "prediction_id": "p1",
    "features": {"fallen": 2.0, "coming": None, "stop": "north"},
    "event_timestamps": {"rain": NOON - HOUR},
    "missing": {"coming": "no value"},
    "watermarks": {"rain": NOON},
    "clock": NOON,
    "prediction": 0.25,
}


def differences(**changes: object) -> list[Mismatch]:
    logged = pd.DataFrame([LOGGED | changes])
    rebuilt = rebuild(ROWS)
    computed = {"stop": np.array(["north"], dtype=object)}
    inputs = inputs_of(stored_features([rebuilt]), computed, ["fallen", "coming", "stop"])
    answers = compare_predictions(logged, np.array([0.25]))
    return compare_inputs(logged, [rebuilt], inputs) + compare_states(logged, [rebuilt]) + answers


def test_what_is_as_it_was_has_no_difference():
    assert differences() == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"features": LOGGED["features"] | {"fallen": float(np.nextafter(2.0, 3.0))}}, ["fallen"]),
        ({"features": LOGGED["features"] | {"fallen": None}}, ["fallen"]),
        ({"features": LOGGED["features"] | {"coming": 0.0}}, ["coming"]),
        ({"features": LOGGED["features"] | {"stop": "south"}}, ["stop"]),
        ({"features": LOGGED["features"] | {"other": 1.0}}, ["other"]),
        ({"event_timestamps": {"rain": NOON}}, ["event timestamp of rain"]),
        ({"event_timestamps": {}}, ["event timestamp of rain"]),
        ({"missing": {"coming": "stale"}}, ["reason of coming"]),
        ({"missing": {"coming": "no value", "rain": "stale"}}, ["reason of rain"]),
        ({"missing": {}}, ["reason of coming"]),
        ({"prediction": 0.25 + 1e-9}, ["prediction"]),
    ],
)
def test_every_difference_is_named(changes, what):
    assert [one.what for one in differences(**changes)] == what


@pytest.mark.parametrize(
    ("stamps", "missing", "what"),
    [
        ({"rain": NOON - HOUR}, {"rain": "stale"}, []),
        ({"rain": NOON - 3 * HOUR}, {"rain": "stale"}, []),  # the newer one came when it was stale already
        ({}, {"rain": "no value"}, []),
        ({"rain": NOON}, {"rain": "stale"}, ["event timestamp of rain"]),  # nobody has such a row
        ({"rain": NOON - HOUR}, {}, ["reason of rain"]),
        ({"rain": NOON - HOUR}, {"rain": "after the clock"}, ["reason of rain"]),
    ],
)
def test_a_row_that_came_when_it_was_stale_need_not_be_in_the_store(stamps, missing, what):
    clock = NOON + 9 * HOUR
    changes = {"event_timestamps": stamps, "missing": missing, "clock": clock, "features": {}}
    assert [one.what for one in compare_states(pd.DataFrame([LOGGED | changes]), [rebuild(ROWS, clock=9)])] == what


def test_a_difference_says_values_and_moments():
    (found,) = differences(features=LOGGED["features"] | {"fallen": 3.0})
    for word in ("p1", "fallen", "3.0", "2.0", "11:00", "watermark", "12:00"):
        assert word in str(found)
