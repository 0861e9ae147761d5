"""Splits by time: the edges of the windows, and labels that were not known in time."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.core.windows import Interval, MovingWindows, Windows
from flightline.training.splits import rows_in, split, windows_of


def day(number: int) -> datetime:
    return datetime(2013, 6, number, tzinfo=UTC)


WINDOWS = Windows(fit=Interval(day(1), day(10)), validation=Interval(day(10), day(20)), test=Interval(day(20), day(30)))


def examples_of(*rows: tuple[str, str | None]) -> pd.DataFrame:
    """Make examples of (prediction time, when the label was known) in June."""
    frame = pd.DataFrame(rows, columns=["event_timestamp", "label_known_at"])
    return frame.apply(lambda column: pd.to_datetime("2013-06-" + column, utc=True))


# One example of each window, so that none is empty; a case adds one more.
FILLED = (("05 12:00", "05 15:00"), ("15 12:00", "15 15:00"), ("25 12:00", "25 15:00"))


@pytest.mark.parametrize(
    ("prediction_time", "label_known_at", "expected"),
    [
        ("01 00:00", "01 03:00", {"fit", "refit"}),
        ("09 12:00", "09 15:00", {"fit", "refit"}),
        ("09 23:58", "09 23:59", {"fit", "refit"}),
        ("09 23:59", "10 00:00", {"refit"}),
        ("09 23:00", "10 02:00", {"refit"}),
        ("10 00:00", "10 03:00", {"validation", "refit"}),
        ("19 23:00", "19 23:59", {"validation", "refit"}),
        ("19 23:00", "20 00:00", set()),
        ("09 23:00", "21 00:00", set()),
        ("20 00:00", "20 03:00", {"test"}),
        ("29 23:59", "30 03:00", {"test"}),
        ("30 00:00", "30 03:00", set()),
        ("05 12:00", None, set()),
        ("15 12:00", None, set()),
        ("25 12:00", None, set()),
    ],
)
def test_where_an_example_belongs(prediction_time, label_known_at, expected):
    masks = split(examples_of(*FILLED, (prediction_time, label_known_at)), WINDOWS)
    assert {name for name, mask in masks.items() if mask.iloc[-1]} == expected


def test_the_test_rows_are_in_no_other_window():
    masks = split(examples_of(*FILLED), WINDOWS)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "fit": [True, False, False],
        "validation": [False, True, False],
        "refit": [True, True, False],
        "test": [False, False, True],
    }


@pytest.mark.parametrize(
    ("rows", "empty"),
    [(FILLED[1:], "fit"), (FILLED[::2], "validation"), (FILLED[:2], "test"), (FILLED[2:], "fit, validation, refit")],
)
def test_an_empty_window_is_refused_by_name(rows, empty):
    with pytest.raises(TrainingError, match=f"no labelled example lies in: {empty}; .* 2013-06-"):
        split(examples_of(*rows), WINDOWS)


@pytest.mark.parametrize(("known_before", "expected"), [(None, [True, True]), (day(6), [True, False])])
def test_rows_whose_label_came_later_can_be_left_out(known_before, expected):
    examples = examples_of(("05 12:00", "05 15:00"), ("05 23:00", "06 02:00"))
    assert rows_in(examples, WINDOWS.fit, known_before).tolist() == expected


def test_the_index_of_the_examples_is_kept():
    examples = examples_of(*FILLED).set_axis([7, 3, 5])
    assert list(split(examples, WINDOWS)["test"].index) == [7, 3, 5]


MONTHS = MovingWindows(fit=datetime(2013, 1, 1, tzinfo=UTC), validation=1, test=2)


def test_moving_windows_end_with_the_newest_label_that_is_known():
    examples = examples_of(("05 12:00", "05 15:00"), ("29 12:00", None))
    july = examples.assign(event_timestamp=examples["event_timestamp"] + pd.Timedelta(days=30))
    windows = windows_of(pd.concat([examples, july]), MONTHS)
    assert str(windows.test) == "2013-06-01 to 2013-08-01"
    assert str(windows_of(examples, MONTHS).test) == "2013-05-01 to 2013-07-01"


def test_a_split_follows_moving_windows():
    moments = pd.Series(pd.date_range("2013-01-05", periods=7, freq="30D", tz="UTC"))
    examples = pd.DataFrame({"event_timestamp": moments, "label_known_at": moments + pd.Timedelta(hours=3)})
    masks = split(examples, MONTHS)
    assert {name: mask.to_numpy().nonzero()[0].tolist() for name, mask in masks.items()} == {
        "fit": [0, 1, 2, 3], "validation": [4], "refit": [0, 1, 2, 3, 4], "test": [5, 6]
    }  # fmt: skip
    later = split(examples.iloc[:6], MONTHS)
    assert later["test"].to_numpy().nonzero()[0].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (examples_of(("05 12:00", None)), "no label is known yet; move the clock on"),
        (
            examples_of(("05 12:00", "05 15:00")).apply(lambda column: column - pd.Timedelta(days=90)),
            "the newest known label is of 2013-03-07 12:00 UTC, which leaves nothing to fit on: the fit",
        ),
    ],
    ids=["no label", "too little"],
)
def test_windows_that_leave_nothing_to_fit_on_are_refused(examples, message):
    with pytest.raises(TrainingError, match=message):
        windows_of(examples, MovingWindows(fit=datetime(2013, 1, 1, tzinfo=UTC), validation=1, test=2))
