"""A description that contradicts itself is refused when it is built, by the name of its field."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flightline.core.windows import Interval, MovingWindows
from tests.toy_problem import PROBLEM

NAIVE = PROBLEM.first_clock.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "ranking"}, "got task='ranking', expected one of classification, multiclass, regression"),
        ({"prediction_horizon": timedelta(hours=-1)}, "got prediction_horizon=-1 day, 23:00:00, expected 0 or more"),
        ({"request_delay": timedelta(minutes=-1)}, "got request_delay=-1 day, 23:59:00, expected 0 or more"),
        ({"decision_threshold": 50}, "got decision_threshold=50, expected a probability"),
        ({"request_columns": ("opens", "city")}, "entity_keys, request_columns and label share city"),
        ({"label": "opens"}, "entity_keys, request_columns and label share opens"),
        ({"slices": ("city", "area")}, "slices has area, which no request carries, so no monitor could judge it"),
        ({"first_clock": NAIVE}, "got first_clock=2020-07-01 12:00:00 without a time zone"),
        ({"leak_test_moments": (NAIVE,)}, "got leak_test_moments=2020-07-01 12:00:00 without a time"),
        ({"first_clock": PROBLEM.windows.test.start}, "before the start of windows.test"),
        ({"classes": ("a", "b", "c")}, "got classes=('a', 'b', 'c') and task='classification'"),
        ({"task": "multiclass"}, "got 0 classes, expected 3 to 30"),
        ({"task": "multiclass", "classes": ("a", "b")}, "with two, predict one of them: task='classification'"),
        ({"task": "multiclass", "classes": ("a", "b", "a")}, "classes holds a more than once"),
        ({"task": "multiclass", "classes": ("a", "b", 3)}, "got classes=('a', 'b', 3), expected a tuple of names"),
        ({"task": "multiclass", "classes": ("a", "b", " ")}, "expected a tuple of names"),
        ({"task": "multiclass", "classes": "abc"}, "got classes='abc', expected a tuple of names"),
        (
            {"windows": MovingWindows(fit=datetime(2021, 1, 1, tzinfo=UTC), validation=1, test=1)},
            "before the start of windows.fit",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_contradicts_itself_is_refused_by_its_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        replace(PROBLEM, **change)


def test_an_interval_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="got end=2020-07-01 12:00:00 without a time zone"):
        Interval(datetime(2020, 1, 1, tzinfo=UTC), NAIVE)


def test_a_horizon_of_zero_is_one() -> None:
    assert replace(PROBLEM, prediction_horizon=timedelta(0)).prediction_horizon == timedelta(0)
