"""What is written is what is read, to the microsecond and the last bit."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog, instance_key
from flightline.adapters.prediction_log.schema import COLUMNS
from flightline.core.errors import LogError
from tests.adapters.prediction_log.predictions import CLOCK, KEYS, LOGGED, prediction

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def read_one(log: PredictionLog) -> dict:
    (row,) = log.read().to_dict("records")
    return row


def test_the_table_has_a_column_for_each_field():
    assert tuple(field.name for field in fields(LoggedPrediction)) == COLUMNS


def test_every_field_comes_back(log):
    written = prediction(caller="team")
    log.write([written])
    expected = {field.name: getattr(written, field.name) for field in fields(written)}
    assert read_one(log) == expected | {"keys": KEYS | {"opens": "2013-12-31T14:00:00+00:00"}}


def test_moments_come_back_in_utc(log):
    paris = timezone(timedelta(hours=1))
    log.write([prediction(logged_at=LOGGED.astimezone(paris), event_timestamps={"recent": LOGGED.astimezone(paris)})])
    frame = log.read()
    assert str(frame["logged_at"].dtype) == "datetime64[us, UTC]"
    assert frame["logged_at"][0] == LOGGED
    assert frame["event_timestamps"][0]["recent"].isoformat() == LOGGED.isoformat()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (float("nan"), None),
        (np.float64("nan"), None),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (float("inf"), float("inf")),
        (-np.inf, float("-inf")),
        (5e-324, 5e-324),
        ('a "quote", a line\nand a \x00', 'a "quote", a line\nand a \x00'),
        ("", ""),
    ],
)
def test_a_feature_comes_back(log, given, expected):
    log.write([prediction(features={"x": given, "y": 1.0})])
    assert read_one(log)["features"] == {"x": expected, "y": 1.0}


def test_features_keep_their_order(log):
    log.write([prediction(features=MappingProxyType({"b": 1.0, "a": 2.0}))])
    assert list(read_one(log)["features"]) == ["b", "a"]


def test_pandas_moments_are_taken(log):
    log.write([prediction(event_timestamps={"recent": pd.Timestamp(CLOCK)}, keys={"opens": pd.Timestamp(CLOCK)})])
    assert read_one(log)["event_timestamps"] == {"recent": CLOCK}


def test_an_instance_is_found_by_the_key_of_what_was_read(log):
    log.write([prediction(), prediction(keys={"shop": "B"})])
    (keys,) = log.read(instance_keys=[instance_key(KEYS)])["keys"]
    assert instance_key(keys) == instance_key(KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"logged_at": datetime(2026, 3, 1)},  # noqa: DTZ001 on purpose
        {"prediction": float("nan")},
        {"prediction": float("inf")},
        {"probabilities": {"rain": float("nan"), "sun": 0.5}},
        {"features": {"x": {1}}},
        {"keys": {"x": {1}}},
        {"keys": {"x": "y" * 201}},
        {"keys": {"x": datetime(2026, 3, 1)}},  # noqa: DTZ001 on purpose
        {"missing": {"x": "\ud800"}},
        {"request_id": "\ud800"},
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_refused_and_the_log_goes_on(log, changes):
    good = prediction()
    with pytest.raises(LogError):
        log.write([good, replace(prediction(), **changes)])
    assert log.count() == 0
    log.write([good])
    assert log.count() == 1


def test_a_request_of_none_is_nothing(log):
    log.write([])
    assert log.count() == 0
    assert log.read().empty
    assert list(log.read().columns) == list(COLUMNS)


def test_an_id_twice_is_refused_and_nothing_of_its_request_is_written(log):
    first = prediction()
    log.write([first])
    with pytest.raises(LogError, match="holds one of these prediction ids already"):
        log.write([prediction(), replace(first, prediction=0.9)])
    assert log.read()["prediction"].tolist() == [first.prediction]
    # An open transaction would swallow this row.
    log.write([prediction()])
    assert log.count() == 2


@pytest.mark.parametrize("axis", ["logged_at", "clock"])
def test_a_range_holds_its_start_and_not_its_end(log, axis):
    log.write([prediction(**{axis: LOGGED + n * DAY}, request_id=str(n)) for n in (3, 0, 2, 1)])
    chosen = {"start": LOGGED + DAY, "end": LOGGED + 3 * DAY, "by": axis}
    assert log.read(**chosen)["request_id"].tolist() == ["1", "2"]
    assert log.count(**chosen) == 2
    assert log.read(by=axis, columns=["request_id"]).to_dict("list") == {"request_id": ["0", "1", "2", "3"]}


@pytest.mark.parametrize("axis", ["logged_at", "clock"])
@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
def test_parts_give_what_is_read_whole_and_never_more_rows_than_asked_for(log, axis, rows_at_once):
    log.write([prediction(**{axis: LOGGED + n % 4 * DAY + n % 3 * timedelta(hours=7)}) for n in range(20)])
    for chosen in ({}, {"start": LOGGED + timedelta(hours=3), "end": LOGGED + 2 * DAY}, {"end": LOGGED}):
        parts = list(log.parts(**chosen, by=axis, rows_at_once=rows_at_once))
        assert max([0, *map(len, parts)]) <= rows_at_once
        whole = log.read(**chosen, by=axis)
        assert not parts if whole.empty else pd.concat(parts, ignore_index=True).equals(whole)


def test_parts_are_read_when_they_are_asked_for(log):
    """So no more than a day's rows are ever fetched before they are needed."""
    log.write([prediction(logged_at=LOGGED + n * DAY, request_id=str(n)) for n in (0, 1)])
    parts = log.parts(columns=("request_id",))
    assert next(parts)["request_id"].tolist() == ["0"]
    log.write([prediction(logged_at=LOGGED + DAY, request_id="late")])
    assert set(next(parts)["request_id"]) == {"1", "late"}
    assert next(parts, None) is None


def test_between_two_parts_no_transaction_stays_open(log):
    """In SQLite an open one keeps what is written meanwhile in the journal; PostgreSQL shows it as idle in one."""
    log.write([prediction(request_id=str(n)) for n in range(4)])
    parts = log.parts(columns=("request_id",), rows_at_once=2)
    next(parts)
    with log._engine.connect() as connection:
        if log._dialect == "sqlite":
            log.write([prediction(logged_at=LOGGED - DAY)])
            assert connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0  # not busy
        else:
            idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            assert connection.exec_driver_sql(f"{idle} AND datname = current_database()").scalar_one() == 0
    assert len(next(parts)) == 2


def test_many_ids_are_read_at_once(log):
    rows = [prediction() for _ in range(20)]
    log.write(rows)
    asked = [row.prediction_id for row in rows[:7]] + ["absent"] * 3 + [f"{n:032x}" for n in range(12_000)]
    assert set(log.read(ids=asked)["prediction_id"]) == set(asked[:7])
    assert log.read(ids=[]).empty


def test_a_column_that_is_not_there_is_refused(log):
    with pytest.raises(LogError, match="got the columns nonsense, expected some of prediction_id"):
        log.read(columns=["nonsense"])
    with pytest.raises(LogError, match="got the columns nonsense"):
        next(log.parts(columns=["nonsense"]))


def test_a_bound_without_a_time_zone_is_refused(log):
    with pytest.raises(LogError, match="without a time zone"):
        log.read(start=CLOCK.astimezone(UTC).replace(tzinfo=None))


def test_the_first_row_of_a_late_enough_clock_is_found_among_old_ones(log):
    day = timedelta(days=1)
    for number, clock in enumerate((CLOCK - day, CLOCK, CLOCK - day, CLOCK + day)):
        log.write([prediction(logged_at=LOGGED + number * day, clock=clock)])
    late = LOGGED + 9 * day
    assert log.first_logged(late, clock_since=CLOCK) == LOGGED + day
    assert log.first_logged(late, clock_since=CLOCK + day) == LOGGED + 3 * day
    assert log.first_logged(LOGGED + 3 * day, clock_since=CLOCK + day) is None
