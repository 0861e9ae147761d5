"""Thresholds that the training window gives, and what is told of columns."""

import numpy as np
import pandas as pd
import pytest

from flightline.core.problem_spec import Monitoring
from flightline.monitoring.drift import (
    ColumnDrift,
    drift_warnings,
    learn_thresholds,
    missing_warnings,
    month_thresholds,
    months_of,
    sample_places,
)


def column(**given: float) -> ColumnDrift:
    return ColumnDrift(
        **{"column": "temp", "score": 0.1, "threshold": 0.2, "missing": 0.0, "usual_missing": 0.0} | given
    )


def test_months_are_cut_by_the_calendar_and_small_ones_left_out():
    times = pd.Series(pd.date_range("2026-01-30", "2026-03-02", freq="D", tz="UTC"))
    assert [len(part) for part in months_of(times, least_rows=1)] == [2, 28, 2]
    assert [len(part) for part in months_of(times, least_rows=3)] == [28]


def test_no_more_than_twelve_months_are_scored():
    times = pd.Series(pd.date_range("2024-01-01", "2026-03-02", freq="D", tz="UTC"))
    parts = months_of(times, least_rows=1)
    assert len(parts) == 12
    assert parts[-1][-1] == len(times) - 1


def test_a_threshold_is_the_farthest_month_and_a_little_more():
    learned = learn_thresholds([{"a": 0.1, "b": float("nan")}, {"a": 0.3, "b": 0.2}, {"a": 0.2, "b": 0.1}], 1.25)
    assert learned == pytest.approx({"a": 0.375, "b": 0.25})


def distance(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    return {name: abs(float(reference[name].mean() - current[name].mean())) for name in reference}


def test_a_seasonal_column_gets_room_and_a_steady_one_little():
    times = pd.Series(pd.date_range("2026-01-01", "2026-06-30 23:00", freq="h", tz="UTC"))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "season": times.dt.month + rng.normal(0, 0.1, len(times)),
            "steady": rng.normal(0, 0.1, len(times)),
            "flat": 1.0,
        }
    )
    learned = month_thresholds(frame, times, Monitoring(), distance)
    assert learned["season"] > 3 > 0.1 > learned["steady"] > 0
    assert "flat" not in learned


def test_one_month_gives_no_threshold():
    times = pd.Series(pd.date_range("2026-01-01", "2026-01-30", freq="h", tz="UTC"))
    assert month_thresholds(pd.DataFrame({"a": np.arange(float(len(times)))}), times, Monitoring(), distance) == {}


@pytest.mark.parametrize(("score", "is_drifted", "told"), [(0.2, False, 0), (0.21, True, 0), (0.61, True, 1)])
def test_a_column_drifts_above_its_threshold_and_far_above(score, is_drifted, told):
    one = column(score=score)
    assert one.is_drifted is is_drifted
    assert len(drift_warnings([one], alarm=3)) == told


@pytest.mark.parametrize(("missing", "told"), [(0.3, 0), (0.31, 1), (0.0, 0)])
def test_what_is_missing_more_often_is_told(missing, told):
    assert len(missing_warnings([column(missing=missing, usual_missing=0.2)], margin=0.1)) == told


def test_a_sample_is_in_order_and_without_repetition():
    places = sample_places(100, 10)
    assert len(set(places)) == 10
    assert (np.diff(places) > 0).all()
    assert sample_places(5, 10).tolist() == [0, 1, 2, 3, 4]
