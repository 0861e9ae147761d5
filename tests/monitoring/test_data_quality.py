"""Anomalies of the data: each kind is found under its name, healthy weeks and seasons are left alone."""

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.files.parquet_rows import FrameOfFile, write_parts
from flightline.core.problem_spec import Monitoring
from flightline.monitoring.daily_stats import (
    ColumnSlice,
    Days,
    Kind,
    changes,
    measure_days,
    support_of,
)
from flightline.monitoring.data_quality import find_anomalies, find_late, last_run, name_unseen
from flightline.monitoring.limits import EVERY_MONTH, Limits, learn_limits

RULE = Monitoring(anomaly_rows=100)
FIRST, DAYS, START = "2026-01-01", 28, 21


def made(first: str, days: int, seed: int, rows: int = 100) -> tuple[pd.DataFrame, pd.Series]:
    """Make days of a season, a noise, rain that mostly does not fall, a text, and a number that is often missing."""
    times = pd.Series(pd.date_range(first, periods=days, freq="D", tz="UTC").repeat(rows))
    rng, count = np.random.default_rng(seed), days * rows
    day_of_year = times.dt.dayofyear.to_numpy()
    by_day = np.repeat(rng.normal(0, 5, days), rows)
    frame = pd.DataFrame(
        {
            "temp": np.round(60 - 25 * np.cos(2 * np.pi * day_of_year / 365) + by_day + rng.normal(0, 4, count)),
            "units": rng.exponential(20, count),
            "rain": np.where(rng.random(count) < 0.95, 0.0, rng.random(count)),
            "shop": rng.choice(["S01", "S02", "S03"], count).astype(object),
            "rating": np.where(rng.random(count) < 0.5, np.nan, rng.normal(20, 5, count)),
        }
    )
    return frame, times


TRAINING = made("2025-01-01", 365, seed=0)
GROUPED = Monitoring(anomaly_rows=100, min_anomaly_rows=20)
LIMITS = learn_limits(*TRAINING, RULE)


def find(change=None, first: str = FIRST, days: int = DAYS, hit: int = START, until: int | None = None, rule=RULE):
    """Plant a change in the days from `hit` on, and look at the last week."""
    frame, times = made(first, days, seed=1)
    if change:
        is_hit = np.repeat((np.arange(days) >= hit) & (np.arange(days) < (until or days)), 100)
        frame = pd.concat([frame[~is_hit], change(frame[is_hit].copy())]).sort_index()
    limits = LIMITS if rule is RULE else learn_limits(*TRAINING, rule)
    measured = measure_days(frame, times, limits.supports, rule)
    return find_anomalies(measured, limits, rule, measured.days[-7])


def test_limits_of_a_file_are_those_of_the_frame(tmp_path):
    """With more rows a day than are looked at, and some days of few."""
    frame, times = made("2025-01-01", 100, seed=0, rows=130)
    kept = np.random.default_rng(0).random(len(times)) < np.where(times.dt.day == 3, 0.05, 1.0)
    write_parts(tmp_path / "rows.parquet", [frame])
    of_file = learn_limits(
        FrameOfFile(tmp_path / "rows.parquet", kept, {}), times[kept].reset_index(drop=True), GROUPED
    )
    assert str(of_file) == str(learn_limits(frame[kept], times[kept], GROUPED))


PLANTED = [
    ("temp", Kind.JUMPED, lambda rows: rows.assign(temp=rows["temp"] + 60)),
    ("temp", Kind.STUCK, lambda rows: rows.assign(temp=55.0)),
    ("units", Kind.RESCALED, lambda rows: rows.assign(units=rows["units"] / 60)),
    ("units", Kind.OUTSIDE, lambda rows: rows.assign(units=-1 - rows["units"])),
    ("shop", Kind.UNSEEN, lambda rows: rows.replace({"shop": {"S02": "SO2"}})),
    ("rating", Kind.MISSING, lambda rows: rows.assign(rating=np.nan)),
]


@pytest.mark.parametrize(("column", "kind", "change"), PLANTED, ids=[f"{one[0]}-{one[1]}" for one in PLANTED])
def test_each_anomaly_is_named_with_column_kind_and_first_day(column, kind, change):
    (anomaly,) = find(change)
    assert (anomaly.column, anomaly.since, anomaly.until) == (column, "2026-01-22", "2026-01-28")
    assert anomaly.kind is kind or (column, kind, anomaly.kind) == ("temp", Kind.JUMPED, Kind.OUTSIDE)
    assert anomaly.history[-1] == (anomaly.until, anomaly.value)


@pytest.mark.parametrize(
    ("kind", "value", "before"),
    [(Kind.MISSING, 1.0, np.nan), (Kind.STUCK, 1.0, np.nan), (Kind.RESCALED, 20 / 60, 20.0)],
)
def test_the_value_and_what_was_before_are_in_the_unit_of_the_column(kind, value, before):
    (anomaly,) = find(next(change for _, planted, change in PLANTED if planted is kind))
    assert (anomaly.value, anomaly.before) == (
        pytest.approx(value, rel=0.3),
        pytest.approx(before, rel=0.3, nan_ok=True),
    )


def test_a_jump_is_held_against_the_week_before():
    (anomaly,) = find(lambda rows: rows.assign(units=rows["units"] + 15))
    assert (anomaly.kind, anomaly.column) == (Kind.JUMPED, "units")
    assert anomaly.value - anomaly.before == pytest.approx(15, abs=5)
    assert anomaly.value - anomaly.before > anomaly.limit


@pytest.mark.parametrize("change", [one[2] for one in PLANTED], ids=[f"{one[0]}-{one[1]}" for one in PLANTED])
def test_it_is_the_limits_that_find_them(change, monkeypatch):
    blind = Limits(LIMITS.supports, {kind: dict.fromkeys(each, np.inf) for kind, each in LIMITS.most.items()})
    monkeypatch.setattr("tests.monitoring.test_data_quality.LIMITS", blind)
    assert find(change) == []


def test_a_healthy_year_names_nothing():
    frame, times = made(FIRST, 365, seed=2)
    measured = measure_days(frame, times, LIMITS.supports, RULE)
    assert find_anomalies(measured, LIMITS, RULE, FIRST) == []


def test_a_season_that_training_has_not_seen_is_no_fault():
    """Of a winter no range is known for a summer; a year, or more than half of one, knows both."""
    limits = learn_limits(*made("2025-01-01", 110, seed=0), RULE)
    assert limits.months == {12, 1, 2, 3, 4, 5}
    frame, times = made("2026-05-20", 80, seed=1)
    measured = measure_days(frame, times, limits.supports, RULE)
    assert find_anomalies(measured, limits, RULE, "2026-06-01") == []
    as_if_seen = Limits(limits.supports, limits.most)
    found = {(each.column, each.kind) for each in find_anomalies(measured, as_if_seen, RULE, "2026-06-01")}
    assert ("temp", Kind.OUTSIDE) in found
    assert LIMITS.months == EVERY_MONTH


def same_rows(first: str, days: int, order: int | None = None) -> tuple[pd.DataFrame, pd.Series]:
    """Make the same 1,000 rows each week: an amount that stays as it is, and an age."""
    rng = np.random.default_rng(0)
    spent, joined = rng.pareto(2.5, 1_000) * 20, rng.integers(0, 90, 1_000)
    day = pd.date_range(first, periods=days, freq="7D", tz="UTC")
    age = (day - pd.Timestamp("2025-01-01", tz="UTC")).days.to_numpy(float)[:, None] + joined
    frame = pd.DataFrame({"spent": np.tile(spent, days), "age": age.ravel()})
    times = pd.Series(day.repeat(1_000))
    if order is not None:
        places = np.concatenate([1_000 * n + np.random.default_rng(order + n).permutation(1_000) for n in range(days)])
        frame, times = frame.iloc[places].reset_index(drop=True), times.iloc[places].reset_index(drop=True)
    return frame, times


@pytest.mark.parametrize("order", range(5))
def test_the_same_keys_each_day_are_not_called_broken(order):
    limits = learn_limits(*same_rows("2025-04-01", 30), RULE)
    served = measure_days(*same_rows("2025-12-02", 30, order), limits.supports, RULE)
    assert find_anomalies(served, limits, RULE, served.days[0]) == []


@pytest.mark.parametrize("factor", [24, 1 / 24])
def test_an_age_in_another_unit_is_found_though_it_grows(factor):
    limits = learn_limits(*same_rows("2025-04-01", 30), RULE)
    frame, times = same_rows("2025-12-02", 30)
    is_hit = (times >= pd.Timestamp("2026-05-01", tz="UTC")).to_numpy()
    frame.loc[is_hit, "age"] *= factor
    served = measure_days(frame, times, limits.supports, RULE)
    assert [each.column for each in find_anomalies(served, limits, RULE, served.days[0])] == ["age"]


def test_one_odd_day_is_no_anomaly_and_two_are():
    moved = PLANTED[0][2]
    assert find(moved, until=START + 1) == []
    assert [one.column for one in find(moved, until=START + 2)] == ["temp"]


def test_what_ended_before_the_last_week_is_history():
    assert find(PLANTED[0][2], hit=14, until=17) == []


def test_an_anomaly_does_not_become_what_is_usual():
    """Nine days after the jump the week before holds nothing but the anomaly; it is found all the same."""
    (anomaly,) = find(lambda rows: rows.assign(units=rows["units"] / 60), hit=START - 3)
    assert anomaly.since == "2026-01-19"
    assert anomaly.until == "2026-01-28"


def test_a_sensor_broken_in_one_place_is_named_with_the_place():
    (anomaly,) = find(lambda rows: rows.assign(temp=rows["temp"].where(rows["shop"] != "S01", 55.0)), rule=GROUPED)
    assert (anomaly.where, anomaly.kind) == (ColumnSlice("temp", "shop", "S01"), Kind.STUCK)


def test_days_with_fewer_rows_are_not_stuck():
    """Of 60 rows no more than 60 values can differ; training had 100."""
    frame, times = made(FIRST, DAYS, seed=1, rows=60)
    assert find_anomalies(measure_days(frame, times, LIMITS.supports, RULE), LIMITS, RULE, FIRST) == []


def test_rain_that_does_not_fall_for_a_week_is_not_stuck():
    assert find(lambda rows: rows.assign(rain=0.0)) == []


def test_days_with_few_rows_are_not_looked_at():
    frame, times = made(FIRST, 3, seed=1, rows=RULE.min_anomaly_rows - 1)
    assert measure_days(frame, times, LIMITS.supports, RULE).days == ()


def test_a_column_that_came_new_or_went_is_no_error():
    frame, times = made(FIRST, DAYS, seed=1)
    measured = measure_days(frame.drop(columns="rating").assign(new=1.0), times, LIMITS.supports, RULE)
    assert measured.columns[:4] == tuple(map(ColumnSlice, ("temp", "units", "rain", "shop")))
    assert find_anomalies(measured, LIMITS, RULE, FIRST) == []


def test_unseen_categories_are_named():
    frame, times = made(FIRST, DAYS, seed=1)
    frame.loc[2100:, "shop"] = frame.loc[2100:, "shop"].replace({"S02": "SO2"})
    found = find_anomalies(measure_days(frame, times, LIMITS.supports, RULE), LIMITS, RULE, FIRST)
    (anomaly,) = name_unseen(found, frame)
    assert (anomaly.unseen, anomaly.limit) == (("SO2",), pytest.approx(0.02))


def test_changes_need_a_week_before_them_and_leave_out_anomalous_days():
    days = tuple(f"2026-01-{day:02d}" for day in range(1, 11))
    found = Days(days, (ColumnSlice("temp"),), {Kind.JUMPED: np.array([[1.0]] * 7 + [[9.0]] * 3)})
    assert np.isnan(changes(found, Kind.JUMPED, LIMITS.supports)[:7]).all()
    assert changes(found, Kind.JUMPED, LIMITS.supports, np.full((10, 1), 2.0))[7:].ravel().tolist() == [8, 8, 8]


@pytest.mark.parametrize(
    ("values", "run"),
    [([0, 2, 2, 0], (1, 2)), ([2, 0, 2, 0], None), ([0, 2, -2, 0], None), ([2, 2, 0, 2, 2, 2], (3, 5)), ([], None)],
)
def test_a_run_is_of_days_in_succession_on_one_side(values, run):
    assert last_run(np.array(values, dtype=float), 1, 2) == run


def ages(*hours: float) -> Days:
    days = tuple(f"2026-01-{day:02d}" for day in range(1, len(hours) + 1))
    return Days(days, (ColumnSlice("shop_recent"),), {Kind.LATE: np.array(hours)[:, None]})


def test_a_view_a_day_late_is_named_with_its_age():
    (anomaly,) = find_late(ages(1, 2, 1, 2, 25, 26), RULE, FIRST)
    assert (anomaly.column, anomaly.kind, anomaly.since) == ("shop_recent", Kind.LATE, "2026-01-05")
    assert (anomaly.value, anomaly.before, anomaly.limit) == (26, 1.5, 24)


@pytest.mark.parametrize(
    "hours", [(1, 2, 1, 2, 25, 1), (1, 2, 1, 2, 23, 23), (500, 500, 500, 500, 500), (30, 30, 1, 1, 1, 30, 30)]
)
def test_one_late_day_or_a_view_that_is_always_old_is_not(hours):
    assert find_late(ages(*hours), RULE, FIRST) == []


def test_supports_tell_range_and_categories():
    assert support_of(pd.Series([1.0, np.nan, 3.0, 2.0, 4.0, 5.0, 6.0])).high == 6
    assert support_of(pd.Series([0.0, 0.0, 3.0])).common == 0
    assert support_of(pd.Series(["b", "a", None], dtype=object)).categories == ("a", "b")
