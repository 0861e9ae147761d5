"""A problem's windows must follow one another, and may move with its labels."""

from datetime import UTC, datetime, timedelta

import pytest

from flightline.core.windows import Interval, MovingWindows, Windows


def interval(first: int, last: int) -> Interval:
    return Interval(datetime(2013, 6, first, tzinfo=UTC), datetime(2013, 6, last, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fit", "validation", "test"),
    [((1, 10), (10, 20), (20, 30)), ((1, 9), (10, 19), (20, 30))],
    ids=["adjacent", "with gaps"],
)
def test_windows_in_order_are_taken(fit, validation, test):
    windows = Windows(fit=interval(*fit), validation=interval(*validation), test=interval(*test))
    assert windows.test == interval(*test)


@pytest.mark.parametrize(
    ("fit", "validation", "test"),
    [
        ((1, 11), (10, 20), (20, 30)),
        ((1, 10), (10, 21), (20, 30)),
        ((10, 20), (1, 10), (20, 30)),
        ((1, 10), (20, 30), (10, 20)),
        ((10, 1), (10, 20), (20, 30)),
    ],
    ids=["fit overlaps validation", "validation overlaps test", "validation first", "test in between", "backwards"],
)
def test_windows_that_overlap_or_go_back_are_refused(fit, validation, test):
    with pytest.raises(ValueError, match="windows must follow one another in time, got fit 2013-06-"):
        Windows(fit=interval(*fit), validation=interval(*validation), test=interval(*test))


def test_an_interval_is_written_by_its_days():
    assert str(interval(1, 10)) == "2013-06-01 to 2013-06-10"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("windows", "newest", "expected"),
    [
        (
            MovingWindows(fit=utc("2013-01-01"), validation=2, test=4),
            "2013-12-31T09:30",
            "fit 2013-01-01 to 2013-07-01, validation 2013-07-01 to 2013-09-01, test 2013-09-01 to 2014-01-01",
        ),
        (
            MovingWindows(fit=6, validation=1, test=2),
            "2014-02-01",
            "fit 2013-06-01 to 2013-12-01, validation 2013-12-01 to 2014-01-01, test 2014-01-01 to 2014-03-01",
        ),
        (
            MovingWindows(fit=28, validation=7, test=7, unit="days"),
            "2013-03-01T23:59",
            "fit 2013-01-19 to 2013-02-16, validation 2013-02-16 to 2013-02-23, test 2013-02-23 to 2013-03-02",
        ),
        (
            MovingWindows(fit=28, validation=7, test=7, unit="days", settling=timedelta(days=28)),
            "2013-03-29T12:00",
            "fit 2013-01-19 to 2013-02-16, validation 2013-02-16 to 2013-02-23, test 2013-02-23 to 2013-03-01",
        ),
    ],
    ids=["from a start", "by months over a year's end", "by days", "settling"],
)
def test_moving_windows_end_with_the_newest_known_label(windows, newest, expected):
    assert str(windows.until(utc(newest))) == expected


def test_windows_that_settle_end_before_the_labels_that_are_known_early():
    windows = MovingWindows(fit=28, validation=7, test=7, unit="days", settling=timedelta(days=28))
    assert windows.until(utc("2013-03-29T12:00")).test.end == utc("2013-03-01T12:00")


def test_fixed_windows_do_not_move():
    windows = Windows(fit=interval(1, 9), validation=interval(10, 19), test=interval(20, 30))
    assert windows.until(utc("2030-01-01")) is windows


@pytest.mark.parametrize(
    "wrong",
    [
        {"fit": 0, "validation": 1, "test": 1},
        {"fit": 1, "validation": 1, "test": 0},
        {"fit": 1, "validation": 1, "test": 1, "settling": timedelta(days=-1)},
        {"fit": utc("2013-01-01").replace(tzinfo=None), "validation": 1, "test": 1},
    ],
    ids=["nothing to fit on", "nothing to test on", "settling backwards", "no time zone"],
)
def test_moving_windows_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"at least one unit each|got fit=.* without a time zone"):
        MovingWindows(**wrong)
