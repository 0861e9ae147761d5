"""What a prediction takes: the least of several turns, in seconds of one core, for 1 and for 1,000 rows."""

import time

import pandas as pd
from threadpoolctl import threadpool_info

from pipelines.steps.latency import LEAST_ROUNDS, measure_seconds

FEATURES = pd.DataFrame({"a": [1.0, 2.0, 3.0]})


def work(seconds: float) -> None:
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_slower_model_is_seen_to_be_slower():
    got = measure_seconds({"quick": len, "slow": lambda rows: work(0.01)}, FEATURES, budget_seconds=0.0)
    assert got["quick"][0] < 0.01 <= got["slow"][0]


def test_waiting_is_no_cost():
    assert measure_seconds({"model": lambda rows: time.sleep(0.02)}, FEATURES, budget_seconds=0.0)["model"][0] < 0.01


def test_one_row_and_a_thousand_are_predicted():
    seen = set()
    measure_seconds({"model": lambda rows: seen.add(len(rows))}, FEATURES, budget_seconds=0.0)
    assert seen == {1, 1000}


def test_models_take_turns_a_few_times_at_least():
    turns = []
    predictors = {name: lambda rows, name=name: (turns.append((name, len(rows))), time.sleep(0.006)) for name in "ab"}
    measure_seconds(predictors, FEATURES, budget_seconds=0.05)
    assert [name for name, rows in turns if rows == 1] == ["a", "b"] * LEAST_ROUNDS


def test_a_model_that_is_very_slow_is_asked_once():
    turns = []
    measure_seconds({"model": lambda rows: (turns.append(len(rows)), time.sleep(0.02))}, FEATURES, budget_seconds=0.001)
    assert turns == [1, 1000]


def test_the_least_turn_counts():
    busy = iter([0.05, 0.0, 0.05, 0.0, 0.0])
    got = measure_seconds({"model": lambda rows: work(next(busy, 0.0))}, FEATURES, budget_seconds=0.1)
    assert max(got["model"]) < 0.05


def test_one_core_is_used():
    threads = []

    def predict(rows):
        threads.extend(pool["num_threads"] for pool in threadpool_info())

    measure_seconds({"model": predict}, FEATURES, budget_seconds=0.0)
    assert set(threads) == {1}
