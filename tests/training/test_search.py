"""The folds go forward in time and stop before the test window; iterations are read off their mean losses."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.core.windows import Interval, Windows
from flightline.training.fit import TrainingParameters
from flightline.training.search import best_iterations, forward_chain, make_folds, space_of, try_on_fold
from flightline.training.zoo import ZOO

START = datetime(2013, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


WINDOWS = Windows(
    fit=Interval(day(0), day(60)), validation=Interval(day(60), day(80)), test=Interval(day(80), day(100))
)
MOMENTS = pd.Series(pd.date_range(START, periods=1_000, freq="144min"))
EXAMPLES = pd.DataFrame({"event_timestamp": MOMENTS, "label_known_at": MOMENTS + pd.Timedelta(days=2)})


def test_the_later_half_is_cut_into_parts_judged_in_turn():
    assert forward_chain(WINDOWS, count=4) == [
        (Interval(day(0), day(40 + 10 * part)), Interval(day(40 + 10 * part), day(50 + 10 * part))) for part in range(4)
    ]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_what_is_fitted_on_was_known_before_what_it_is_judged_on(count):
    for fold in make_folds(EXAMPLES, WINDOWS, count):
        before, later = EXAMPLES[fold.before], EXAMPLES[fold.later]
        assert before["label_known_at"].max() < later["event_timestamp"].min()
        assert later["label_known_at"].max() < WINDOWS.test.start


def test_a_fold_without_rows_is_refused():
    with pytest.raises(TrainingError, match="no labelled example to tune on lies in 2013-01-01"):
        make_folds(EXAMPLES[EXAMPLES["event_timestamp"] < day(30)], WINDOWS)


@pytest.mark.parametrize(
    ("curves", "loss", "iterations"),
    [
        ([{10: 3.0, 20: 1.0, 30: 2.0}], 1.0, 20),
        ([{10: 1.0, 20: 2.0}, {10: 5.0, 20: 3.0}], 2.5, 20),
        ([{10: 1.0, 20: 0.9}, {10: 1.0, 20: 0.9, 30: 0.1}], 0.9, 20),
    ],
    ids=["one fold", "the mean decides", "beyond where one was given up nothing is known"],
)
def test_the_iterations_are_those_of_the_least_mean_loss(curves, loss, iterations):
    tried = best_iterations(curves)
    assert (tried.loss, tried.iterations) == (pytest.approx(loss), iterations)


def test_a_model_without_a_space_is_refused():
    with pytest.raises(TrainingError, match="no search space for 'decision_tree', only for: hist_gradient_boosting"):
        space_of("classification", "decision_tree")


@pytest.mark.parametrize("task", ZOO)
def test_the_rows_of_the_test_window_are_not_looked_at(task):
    random = np.random.default_rng(0)
    features = pd.DataFrame({"number": random.normal(0, 1, len(EXAMPLES))})
    label = features["number"] + random.normal(0, 1, len(EXAMPLES))
    if task == "classification":
        label = (label > 0).astype(float)
    if task == "multiclass":
        label = pd.Series(np.digitize(label, [-1, 1]).astype(float))
    folds = make_folds(EXAMPLES, WINDOWS, count=2)
    metric = "mae" if task == "regression" else "log_loss"
    classes = ("low", "middle", "high") if task == "multiclass" else ()
    test = EXAMPLES["event_timestamp"] >= WINDOWS.test.start
    settings = {"learning_rate": 0.1, "min_samples_leaf": 20}
    parameters = TrainingParameters(max_iterations=20)

    def tried(features: pd.DataFrame, label: pd.Series) -> list[object]:
        return [
            try_on_fold(parameters, settings, features, label, fold, task=task, metric=metric, classes=classes)
            for fold in folds
        ]

    plain = tried(features, label)
    assert tried(features.mask(test, 1e9), label.mask(test)) == plain
    assert len(plain) == 2
    assert list(plain[0]) == [10, 20]
