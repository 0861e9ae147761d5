"""The types in which a problem is described; the description itself is in `problem.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class Interval:
    """A span of prediction times, `start` included and `end` not (both UTC-aware)."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


@dataclass(frozen=True)
class Windows:
    """What is learned from, what choices are made on, and what is touched once."""

    fit: Interval
    validation: Interval
    test: Interval

    def __post_init__(self) -> None:
        ordered = [
            self.fit.start,
            self.fit.end,
            self.validation.start,
            self.validation.end,
            self.test.start,
            self.test.end,
        ]
        if ordered != sorted(ordered):
            raise ValueError(f"windows must follow one another in time, got {self}")


@dataclass(frozen=True)
class Thresholds:
    """What a model must reach, on the test window, before anything else is asked.

    Parameters
    ----------
    floors
        By metric where higher is better, the least allowed.
    ceilings
        By metric where lower is better, the most allowed.
    implausible
        By metric where higher is better, what no honest model of this problem reaches: a
        model above it has seen the answer.
    tolerance
        How much worse than the champion, in the primary metric, still counts as not worse.
    """

    floors: Mapping[str, float]
    ceilings: Mapping[str, float]
    implausible: Mapping[str, float]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Problem:
    """Everything that the rest of the code must know about the problem, and nothing of the tools.

    Parameters
    ----------
    model_name
        Name of the registered model and of the service's endpoint.
    task
        Kind of target.
    label
        Column of the examples with the target (0 or 1 for a classification).
    entity_keys
        Columns of the examples that Feast joins features by.
    request_columns
        Columns that a request carries besides the entity keys.
    slices
        Columns of the examples by which the evaluation is broken down.
    feature_service
        Name of the Feast feature service the model is trained and served on.
    prediction_horizon
        From the prediction time to the moment the request is about.
    primary_metric
        What the champion is defended in; lower is better.
    windows
        Learning and test windows by prediction time.
    thresholds
        See `Thresholds`.
    decision_threshold
        Probability at and above which the answer is yes.
    first_clock
        Where the event clock stands after the first training.
    leak_test_moments
        Moments of the data, well inside it, at which training runs the leak test.
    """

    model_name: str
    task: Literal["classification", "regression"]
    label: str
    entity_keys: tuple[str, ...]
    request_columns: tuple[str, ...]
    slices: tuple[str, ...]
    feature_service: str
    prediction_horizon: timedelta
    primary_metric: str
    windows: Windows
    thresholds: Thresholds
    decision_threshold: float
    first_clock: datetime
    leak_test_moments: tuple[datetime, ...]
