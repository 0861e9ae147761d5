"""A problem's windows must follow one another."""

from datetime import UTC, datetime

import pytest

from flightline.core.problem_spec import Interval, Windows


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
