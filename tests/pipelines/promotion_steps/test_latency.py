"""What a prediction takes: the least of several turns, in seconds of one core, for 1 and for 1,000 rows."""

import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from pipelines.promotion_steps import latency
from pipelines.promotion_steps.latency import LEAST_ROUNDS, MOST_ROUNDS, PATIENCE, measure_seconds
from tests.support.waiting import HandClock

FEATURES = pd.DataFrame({"a": [1.0, 2.0, 3.0]})


class Core(HandClock):
    """A processor that works when it is told to, and waits when it is told to wait."""

    worked = 0.0

    def work(self, seconds: float) -> None:
        self.worked += seconds
        self.forward(seconds)

    def process_time(self) -> float:
        return self.worked


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Core:
    core = Core()
    monkeypatch.setattr(latency, "time", core)
    return core


def test_each_model_is_told_what_it_works(core: Core) -> None:
    predictors = {"quick": lambda rows: core.work(len(rows) / 1024), "slow": lambda rows: core.work(len(rows) / 512)}
    got = measure_seconds(predictors, FEATURES, budget_seconds=0.0)
    assert got == {"quick": (1 / 1024, 1000 / 1024), "slow": (1 / 512, 1000 / 512)}


def test_waiting_is_no_cost(core: Core) -> None:
    assert measure_seconds({"model": lambda rows: core.forward(3)}, FEATURES, budget_seconds=0.0) == {"model": (0, 0)}


def test_one_row_and_a_thousand_are_predicted() -> None:
    seen = set()
    measure_seconds({"model": lambda rows: seen.add(len(rows))}, FEATURES, budget_seconds=0.0)
    assert seen == {1, 1000}


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(0.25, LEAST_ROUNDS), (0.0, MOST_ROUNDS), (2 * PATIENCE, 1)],
    ids=["a few times at least", "no more than so often", "once if it is very slow"],
)
def test_models_take_turns(core: Core, seconds: float, rounds: int) -> None:
    turns = []
    predictors = {name: lambda rows, name=name: (turns.append((name, len(rows))), core.work(seconds)) for name in "ab"}
    measure_seconds(predictors, FEATURES, budget_seconds=1.0)
    assert [name for name, rows in turns if rows == 1] == ["a", "b"] * rounds


def test_the_least_turn_counts(core: Core) -> None:
    turns = iter([0.5, 0.125, 0.5, 0.25, 0.5, 0.5, 0.25, 0.5, 0.5, 0.5])
    got = measure_seconds({"model": lambda rows: core.work(next(turns))}, FEATURES, budget_seconds=0.5)
    assert got["model"] == (0.125, 0.25)


def test_one_core_is_used() -> None:
    threads = []

    def predict(rows: pd.DataFrame) -> None:
        threads.extend(pool["num_threads"] for pool in threadpool_info())

    measure_seconds({"model": predict}, FEATURES, budget_seconds=0.0)
    assert set(threads) == {1}
