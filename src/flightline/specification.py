"""The types in which a problem is described; the description itself is in `problem.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Task = Literal["classification", "regression"]


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

    def __str__(self) -> str:
        return f"fit {self.fit}, validation {self.validation}, test {self.test}"


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
    one_row_seconds_ceiling, thousand_rows_seconds_ceiling
        The most a prediction of one row, and of 1,000 rows, may take, on one core.
    size_bytes_ceiling
        The largest model file.
    confidence
        Of each statistical statement of the gate, 0..1; that on slices holds for all of them
        at once.
    promotion_margin
        What an improvement must exceed, credibly, to be worth a change of champion: a share
        of the champion's mean loss by row (for rmse, of the mean squared error), so that it
        fits any metric. Another seed alone must not reach it; `make bench-gate` measures that.
    non_inferiority_margin
        By what share of the champion's mean loss a cheaper model may at most be worse.
    cheaper_by
        How many times less a cheaper model must take, in latency or size.
    cost_noise
        By what share a cheaper model may be slower or larger elsewhere, because times of the
        same model differ as much from one measurement to the next.
    slice_margin
        By what share of the champion's mean loss in a slice a challenger may be worse there.
    min_slice_rows
        A slice with fewer test rows is not judged.
    unseen_ceiling
        The share of the test rows, 0..1, that may have a category that no earlier row has.
    min_days
        With fewer test days, overall or in a slice, nothing is said of a difference.
    """

    floors: Mapping[str, float]
    ceilings: Mapping[str, float]
    implausible: Mapping[str, float]
    one_row_seconds_ceiling: float = 0.25
    thousand_rows_seconds_ceiling: float = 5.0
    size_bytes_ceiling: int = 300_000_000
    confidence: float = 0.95
    promotion_margin: float = 0.001
    non_inferiority_margin: float = 0.005
    cheaper_by: float = 2.0
    cost_noise: float = 0.2
    slice_margin: float = 0.02
    min_slice_rows: int = 300
    unseen_ceiling: float = 0.1
    min_days: int = 10


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
    first_clock
        Where the event clock stands after the first training.
    leak_test_moments
        Moments of the data, well inside it, at which training runs the leak test.
    decision_threshold
        Probability at and above which a classification's answer is yes.
    """

    model_name: str
    task: Task
    label: str
    entity_keys: tuple[str, ...]
    request_columns: tuple[str, ...]
    slices: tuple[str, ...]
    feature_service: str
    prediction_horizon: timedelta
    primary_metric: str
    windows: Windows
    thresholds: Thresholds
    first_clock: datetime
    leak_test_moments: tuple[datetime, ...]
    decision_threshold: float = 0.5
