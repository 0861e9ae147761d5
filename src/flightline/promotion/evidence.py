"""What the gate is given: what each model was worth, on which rows, and how one can tell that it is true.

Evidence is small: losses by day and slice, not rows. It says of itself whose it is, so that
the gate can refuse it if it was mixed up on the way; what it must be is said by a `ExpectedModels`,
which is made from the registry and the problem, never from evidence.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from flightline.core.windows import Interval
from flightline.evaluation.bootstrap import DailyLosses, daily_losses


class Role(StrEnum):
    """What a model stands for in a comparison."""

    CHALLENGER = "challenger"
    BASELINE = "baseline"
    CHAMPION = "champion"


@dataclass(frozen=True)
class EvaluationSummary:
    """What a model's predictions of the test rows came to.

    Parameters
    ----------
    rows_digest
        Which rows; see `evaluation.rows_digest`.
    first_prediction, last_prediction
        Earliest and latest prediction time of the rows.
    losses
        By day, in the primary metric.
    slices
        The same by slice, as ``column=value``.
    """

    metrics: Mapping[str, float]
    rows_digest: str
    first_prediction: datetime
    last_prediction: datetime
    losses: DailyLosses
    slices: Mapping[str, DailyLosses]


@dataclass(frozen=True)
class Cost:
    """What a prediction takes: seconds of one core for 1 and for 1,000 rows, and the file's size."""

    one_row_seconds: float
    thousand_rows_seconds: float
    size_bytes: int


@dataclass(frozen=True)
class Evidence:
    """What one model was worth, and whose evidence it is.

    Parameters
    ----------
    role, version
        What the model is, and its version in the registry (empty for the baseline).
    model
        Digest of its registered file.
    cost
        None for the baseline, which is never served.
    learned_until
        Latest prediction time among the rows it was fitted on; None if not recorded.
    shared
        Of a challenger, on those test rows that the champion has not learned from either; None if these are all.
    """

    role: Role
    version: str
    model: str
    summary: EvaluationSummary
    cost: Cost | None = None
    learned_until: datetime | None = None
    shared: EvaluationSummary | None = None

    @property
    def compared(self) -> EvaluationSummary:
        """What is held against the champion."""
        return self.shared or self.summary


@dataclass(frozen=True)
class RegisteredModel:
    """A model as the registry holds it.

    Parameters
    ----------
    version, model
        Version, and digest of the file.
    losses
        By day, of what the registered pipeline itself predicts for all rows that it is judged on.
    """

    version: str
    model: str
    losses: DailyLosses


@dataclass(frozen=True)
class ExpectedModels:
    """Who is to be compared, and on which window, by the registry and the problem."""

    challenger: RegisteredModel
    champion: RegisteredModel | None
    window: Interval


@dataclass(frozen=True)
class Gathered:
    """All that a decision rests on."""

    challenger: Evidence
    baseline: Evidence
    champion: Evidence | None
    expected: ExpectedModels
    champion_unjudged: str

    def as_record(self) -> dict[str, object]:
        """Give it in plain values, to be kept."""
        return asdict(self)


def summarise_evaluation(
    metrics: Mapping[str, float],
    rows_digest: str,
    losses: np.ndarray,
    prediction_time: pd.Series,
    slice_by: pd.DataFrame,
) -> EvaluationSummary:
    """Bring losses into the small form in which the gate takes them.

    Parameters
    ----------
    metrics, rows_digest
        Of the same rows.
    losses
        Shape (n,); see `losses.row_losses`.
    prediction_time
        UTC.
    slice_by
        Each column is one way to cut the rows.
    """
    slices = {}
    for column in slice_by:
        values = slice_by[column].to_numpy()
        for value in sorted(pd.unique(values), key=str):
            here = values == value
            if here.any():  # a missing number equals nothing
                slices[f"{column}={value}"] = daily_losses(prediction_time[here], losses[here])
    return EvaluationSummary(
        metrics=dict(metrics),
        rows_digest=rows_digest,
        first_prediction=prediction_time.min().to_pydatetime(),
        last_prediction=prediction_time.max().to_pydatetime(),
        losses=daily_losses(prediction_time, losses),
        slices=slices,
    )


def read_summary(text: str) -> EvaluationSummary:
    """Read what was written as JSON of `dataclasses.asdict`."""
    return TypeAdapter(EvaluationSummary).validate_json(text)
