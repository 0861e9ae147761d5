"""Columns that grow, follow the calendar, are sparse or shared: not called broken for it, and named when they are."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import FeatureError
from flightline.core.problem_spec import Monitoring
from flightline.monitoring.behaviours import check_hints, infer_behaviours
from flightline.monitoring.daily_stats import Kind, measure_days
from flightline.monitoring.data_quality import find_anomalies
from flightline.monitoring.limits import learn_limits

RULE = Monitoring()
BEGUN = pd.Timestamp("2024-01-01", tz="UTC")
HORIZON = timedelta(hours=2)


def made(first: str, days: int, seed: int, busy: float = 1.0, minutes: int = 1440) -> tuple[pd.DataFrame, pd.Series]:
    """Make 200 rows a day, over the first minutes of it."""
    rng, rows = np.random.default_rng(seed), days * 200
    asked = np.sort(rng.integers(0, minutes, (days, 200)), axis=1).ravel()
    dates = pd.Series(pd.date_range(first, periods=days, freq="D", tz="UTC").repeat(200))
    times = (dates + pd.to_timedelta(asked, unit="min")).reset_index(drop=True)
    local = (times + HORIZON).dt.tz_convert("America/New_York").dt
    number = (dates - BEGUN).dt.days.to_numpy()
    hours = ((times - BEGUN) // timedelta(hours=1)).to_numpy()
    temperature = np.random.default_rng(9).normal(50, 10, 24 * 1000)
    frame = {
        "age": number + 400.0,
        "account_age": number + rng.uniform(0, 30, rows),
        "orders": number * 3.0 + rng.poisson(5, rows),
        "complaints": rng.poisson(0.05 * busy, rows).astype(float),
        "day_of_year": local.dayofyear,
        "month": local.month - 1,
        "day_of_week": (local.dayofweek + 1) % 7,
        "minute": local.hour * 60 + local.minute,
        "temperature": temperature[hours],
        "noise": rng.normal(0, 1, rows),
        "season": 60 - 25 * np.cos(2 * np.pi * number / 365) + rng.normal(0, 4, rows),
    }
    return pd.DataFrame(frame).astype(float).assign(shop=rng.choice(["A", "B"], rows).astype(object)), times


TRAINING = made("2024-03-01", 184, seed=1)  # March to August
LIMITS = learn_limits(*TRAINING, RULE, HORIZON)
EXPECTED = {
    **dict.fromkeys(("age", "account_age", "orders"), "grows"),
    **dict.fromkeys(("day_of_year", "month", "day_of_week", "minute"), "calendar"),
    **{"complaints": "sparse", "temperature": "shared", "noise": "ordinary", "season": "ordinary", "shop": "ordinary"},
}


def test_the_training_days_show_how_each_column_moves():
    assert infer_behaviours(*TRAINING, HORIZON) == EXPECTED
    assert {name: support.behaviour for name, support in LIMITS.supports.items()} == EXPECTED


def find(frame: pd.DataFrame, times: pd.Series, limits=LIMITS) -> dict[str, Kind]:
    days = measure_days(frame, times, limits.supports, RULE)
    return {each.column: each.kind for each in find_anomalies(days, limits, RULE, days.days[-7])}


WITHOUT = "season"  # half a year that training never saw: what it cannot know


@pytest.mark.parametrize(
    "days",
    [
        made("2024-09-01", 30, seed=2),
        made("2024-12-05", 40, seed=3),
        made("2025-08-01", 40, seed=4),
        made("2024-09-01", 30, seed=5, busy=3.0),
        made("2024-09-01", 30, seed=6, minutes=5),
    ],
    ids=["next month", "new year", "a year on", "busy days", "asked once a day"],
)
def test_healthy_days_are_not_called_broken(days):
    frame, times = days
    assert find(frame.drop(columns=WITHOUT), times) == {}


def test_days_without_a_prediction_are_grown_over():
    parts = made("2024-09-01", 20, seed=2), made("2024-10-01", 9, seed=3)
    frame, times = (pd.concat(each, ignore_index=True) for each in zip(*parts, strict=True))
    assert find(frame.drop(columns=WITHOUT), times) == {}


def test_a_month_of_training_is_enough():
    limits = learn_limits(*made("2024-03-01", 31, seed=1), RULE, HORIZON)
    frame, times = made("2024-04-01", 30, seed=2)
    assert find(frame.drop(columns=WITHOUT), times, limits) == {}


@pytest.mark.parametrize(
    ("column", "kind", "change"),
    [
        ("age", Kind.JUMPED, lambda values: values - 60),
        ("age", Kind.OUTSIDE, lambda values: values * 0 + 1),
        ("age", Kind.JUMPED, lambda values: values * 0 + values.iloc[0]),
        ("orders", Kind.STUCK, lambda values: values * 0 + values.iloc[0]),
        ("orders", Kind.OUTSIDE, lambda values: values - 700),
        ("account_age", Kind.MISSING, lambda values: values * np.nan),
        ("complaints", Kind.MISSING, lambda values: values * np.nan),
        ("complaints", Kind.STUCK, lambda values: values * 0 + 1),
        ("complaints", Kind.JUMPED, lambda values: values * 60),
        ("day_of_year", Kind.MISSING, lambda values: values * np.nan),
        ("temperature", Kind.STUCK, lambda values: values * 0 + values.iloc[0]),
    ],
)
def test_a_fault_in_such_a_column_is_named(column, kind, change):
    frame, times = made("2024-09-01", 30, seed=2)
    hit = (times >= pd.Timestamp("2024-09-24", tz="UTC")).to_numpy()
    broken = frame.assign(**{column: frame[column].where(~hit, change(frame.loc[hit, column]))})
    found = find(broken.drop(columns=WITHOUT), times)
    assert found == {column: kind} or (kind is Kind.STUCK and list(found) == [column])


def test_a_hint_overrides_what_the_days_show():
    rule = Monitoring(hints={"age": "ordinary", "noise": "calendar"})
    limits = learn_limits(*made("2024-03-01", 31, seed=1), rule, HORIZON)
    frame, times = made("2024-04-01", 30, seed=2)
    assert find(frame.assign(noise=frame["noise"] + 100), times, limits)["age"] is Kind.OUTSIDE
    assert "noise" not in find(frame.assign(noise=frame["noise"] + 100), times, limits)


def test_a_hint_on_another_column_is_refused_with_those_there_are():
    with pytest.raises(
        FeatureError,
        match=r"got hints on agee; the model has no such column .*config\.py, only: \['account_age', 'age'",
    ):
        check_hints({"agee": "grows"}, TRAINING[0])
    with pytest.raises(FeatureError, match=r"got shop='grows' .* that is text; expected one of calendar, ordinary"):
        check_hints({"shop": "grows"}, TRAINING[0])
    check_hints({"age": "grows", "shop": "calendar"}, TRAINING[0])


def test_an_unknown_hint_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="hints has age='growing'; expected ordinary, grows, calendar, sparse, shared"):
        Monitoring(hints={"age": "growing"})
