"""The key by which an instance is found again: equal for what is equal, and for nothing else."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import LogError
from flightline.core.prediction_record import instance_key, logged_between, make_prediction_id, plain_keys

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARIS = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (7, 7.0),
        (7, np.int64(7)),
        ("A", np.str_("A")),
        (None, float("nan")),
        (None, pd.NaT),
        (None, pd.NA),
        (0.0, -0.0),
        (True, np.bool_(True)),
        (NOON, NOON.astimezone(PARIS)),
        (NOON, pd.Timestamp(NOON)),
        (NOON, pd.Timestamp(NOON).as_unit("ns").tz_convert("America/New_York")),
        (NOON, np.datetime64("2026-01-01T12:00:00", "ns")),
        (NOON, "2026-01-01T12:00:00+00:00"),
    ],
    ids=repr,
)
def test_equal_keys_are_one_instance(one, other):
    assert instance_key({"a": 1, "x": one}) == instance_key({"x": other, "a": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": "7"}, {"x": 7}),
        ({"x": None}, {"x": ""}),
        ({"x": None}, {}),
        ({"x": "a", "y": "b"}, {"x": "b", "y": "a"}),
        ({"x": NOON}, {"x": NOON + timedelta(microseconds=1)}),
        ({"x": 7}, {"x": 7.5}),
        ({"x": True}, {"x": 1}),
    ],
    ids=repr,
)
def test_other_keys_are_another_instance(one, other):
    assert instance_key(one) != instance_key(other)


def test_the_key_stays_what_it_is():
    # It joins what different versions of this code wrote: never to be changed.
    text = '{"at":"2026-01-01T12:00:00+00:00","item":7,"shop":"A","size":null}'
    key = instance_key({"shop": "A", "item": 7, "at": NOON, "size": None})
    assert key == hashlib.sha256(text.encode()).hexdigest()


def test_plain_keys_are_plain_already():
    once = plain_keys({"at": NOON, "item": 7.0, "size": float("nan"), "share": 0.5, "new": True})
    assert plain_keys(once) == once


@pytest.mark.parametrize("value", [{1}, [1], {"a": 1}, b"bytes", NOON.replace(tzinfo=None)], ids=repr)
def test_what_is_no_key_is_refused(value):
    with pytest.raises(LogError, match="the key 'x' is"):
        instance_key({"x": value})


def test_ids_sort_as_time_does_and_tell_it():
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(milliseconds=7.5 * n) for n in range(50)]
    ids = [make_prediction_id(moment) for moment in moments]
    assert ids == sorted(ids)
    read = [uuid.UUID(one) for one in ids]
    assert {(one.version, one.variant) for one in read} == {(7, uuid.RFC_4122)}
    start, end = logged_between(ids)
    assert start <= moments[0] < start + timedelta(milliseconds=1)
    assert end - timedelta(milliseconds=1) <= moments[-1] < end


def test_no_two_ids_of_a_moment_are_equal():
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert len({make_prediction_id(moment) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "other", ["aa935b1a17ee43c3b0ea71e40fb39499", "", "z" * 12 + "7" * 20, "f" * 12 + "7" * 4 + "8" * 16]
)
def test_an_id_that_tells_no_time(other):
    assert logged_between([make_prediction_id(datetime(2026, 3, 1, tzinfo=UTC)), other]) is None
    assert logged_between([]) is None
