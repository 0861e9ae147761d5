"""Reading moments, and judging requests and values by the event clock."""

from datetime import UTC, datetime, timedelta

import pytest

from flightline.core.clock import is_late_request, is_stale, parse_moment
from flightline.core.errors import ClockError

NOON = datetime(2013, 12, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "2013-12-31T12:00:00+00:00",
        "2013-12-31T12:00:00Z",
        "2013-12-31 12:00+00:00",
        "2013-12-31T07:00:00-05:00",
        "2013-12-31T21:00+09:00",
    ],
)
def test_a_moment_with_a_time_zone_becomes_utc(text):
    moment = parse_moment(text)
    assert moment == NOON
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("text", ["2013-12-31T12:00:00", "2013-12-31"])
def test_a_moment_without_a_time_zone_is_refused(text):
    with pytest.raises(ClockError, match=f"got '{text}' without a time zone; add one"):
        parse_moment(text)


@pytest.mark.parametrize("text", ["", "noon", "2013-02-30T12:00:00Z", "2013-12-31T25:00:00Z", "1388491200"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ClockError, match="expected an ISO 8601 moment"):
        parse_moment(text)


@pytest.mark.parametrize(("prediction_time", "is_late"), [(NOON - MINUTE, True), (NOON, False), (NOON + MINUTE, False)])
def test_a_request_is_late_once_the_clock_is_past_its_prediction_time(prediction_time, is_late):
    assert is_late_request(prediction_time, NOON) is is_late


@pytest.mark.parametrize(
    ("age", "ttl", "stale"),
    [
        (timedelta(hours=6), timedelta(hours=6), False),
        (timedelta(hours=6, microseconds=1), timedelta(hours=6), True),
        (timedelta(0), timedelta(hours=6), False),
        (-MINUTE, timedelta(hours=6), False),
        (timedelta(days=9999), timedelta(0), False),
    ],
    ids=["the edge is fresh", "just beyond", "new", "from the future", "ttl of zero is no limit"],
)
def test_a_value_is_stale_when_older_than_its_ttl(age, ttl, stale):
    assert is_stale(NOON - age, ttl, NOON) is stale
