"""Evidence in small form: what is kept of predictions, and that it survives being written down."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from flightline.evaluation.bootstrap import DailyLosses
from flightline.promotion.evidence import (
    EvaluationSummary,
    read_summary,
    summarise_evaluation,
)

TIMES = pd.Series(pd.to_datetime(["2013-09-01T10:00Z", "2013-09-02T09:00Z", "2013-09-02T23:00Z"]), index=[7, 3, 5])
SLICE_BY = pd.DataFrame({"color": ["red", "blue", "red"], "size": [1, 1, None]}, index=TIMES.index)


def collect(**metrics: float) -> EvaluationSummary:
    return summarise_evaluation(metrics, "digest", np.array([1.0, 2.0, 4.0]), TIMES, SLICE_BY)


def test_what_is_kept():
    got = collect(log_loss=0.4)
    assert got.metrics == {"log_loss": 0.4}
    assert got.first_prediction == datetime(2013, 9, 1, 10, tzinfo=UTC)
    assert got.last_prediction == datetime(2013, 9, 2, 23, tzinfo=UTC)
    assert got.losses == DailyLosses(("2013-09-01", "2013-09-02"), (1.0, 6.0), (1, 2))


def test_slices_are_named_and_a_missing_value_is_none():
    assert collect().slices == {
        "color=blue": DailyLosses(("2013-09-02",), (2.0,), (1,)),
        "color=red": DailyLosses(("2013-09-01", "2013-09-02"), (1.0, 4.0), (1, 1)),
        "size=1.0": DailyLosses(("2013-09-01", "2013-09-02"), (1.0, 2.0), (1, 1)),
    }


def test_a_column_of_text_with_gaps_is_cut_too():
    mixed = SLICE_BY.assign(color=["red", None, "blue"])
    got = summarise_evaluation({}, "digest", np.array([1.0, 2.0, 4.0]), TIMES, mixed[["color"]])
    assert list(got.slices) == ["color=None", "color=blue", "color=red"]


def test_it_survives_being_written_down():
    got = collect(log_loss=0.1 + 0.2)
    assert read_summary(json.dumps(asdict(got), default=str)) == got


def test_a_missing_metric_survives_too():
    again = read_summary(json.dumps(asdict(collect(roc_auc=float("nan"))), default=str))
    assert np.isnan(again.metrics["roc_auc"])
