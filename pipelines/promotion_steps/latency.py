"""What a prediction takes: models timed in turns, in one run, by the processor time they use.

Time by the clock would hold what else the machine does: on a loaded one a model seemed to take half
of what the same model took a moment later, and the gate would promote it for that.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

Predictor = Callable[[pd.DataFrame], object]
Name = TypeVar("Name", bound=str)

MANY_ROWS = 1000
BUDGET_SECONDS = 0.5
LEAST_ROUNDS, MOST_ROUNDS = 5, 50
PATIENCE = 10


def measure_seconds(
    predictors: Mapping[Name, Predictor], features: pd.DataFrame, budget_seconds: float = BUDGET_SECONDS
) -> dict[Name, tuple[float, float]]:
    """Time predictions of one row and of 1,000 rows, on one core.

    Parameters
    ----------
    predictors
        By name.
    features
        Rows to predict; repeated if there are fewer than 1,000.
    budget_seconds
        After which no further round is begun, for 1 and for 1,000 rows each; if there were
        fewer than 5 rounds, after 10 times as much.

    Returns
    -------
    dict of tuple
        By name, seconds of one core for 1 and for 1,000 rows: the least of all rounds, which
        is what the model needs; what is above it is disturbance (as Python's `timeit` says).
    """
    many = features.iloc[np.arange(MANY_ROWS) % len(features)]
    with threadpool_limits(1):
        one = _least(predictors, many.iloc[:1], budget_seconds)
        thousand = _least(predictors, many, budget_seconds)
    return {name: (one[name], thousand[name]) for name in predictors}


def _least(predictors: Mapping[Name, Predictor], rows: pd.DataFrame, budget_seconds: float) -> dict[Name, float]:
    least = dict.fromkeys(predictors, float("inf"))
    begin = time.perf_counter()
    for number in range(1, MOST_ROUNDS + 1):
        for name, predict in predictors.items():
            start = time.process_time()
            predict(rows)
            least[name] = min(least[name], time.process_time() - start)
        allowed = budget_seconds if number >= LEAST_ROUNDS else PATIENCE * budget_seconds
        if time.perf_counter() - begin > allowed:
            break
    return least
