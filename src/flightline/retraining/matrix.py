"""What each model lost in each later week, and what was known of it at each decision: all that a policy is judged by.

Decision t is made when week t begins. Model c was fitted at decision c, on what was known then; model 0 serves first.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from flightline.core.errors import TrainingError


@dataclass(frozen=True)
class Matrix:
    """Models by weeks; where a model was not yet fitted, numbers are NaN.

    Parameters
    ----------
    metric
        Whose mean by row is the loss (for rmse the squared error).
    weeks
        Their first moments (UTC), n in number.
    known_at
        By week, when the last of its labels was known.
    rows
        Labelled rows by week and day, shape (n, 7).
    losses
        Summed by model, week and day, shape (n, n, 7).
    drift
        By model and decision, the share of columns, 0..1, above their own threshold, shape (n, n).
    fires
        By model and decision, whether the monitoring rule asked for a retraining, shape (n, n).
    excess
        By model and decision, by what share of the usual loss the newest judged window lay above what is usual; NaN
        while none is judged.
    promotes
        By champion and decision, whether the gate would have let a model of that decision replace it, shape (n, n).
    """

    metric: str
    weeks: tuple[datetime, ...]
    known_at: tuple[datetime, ...]
    rows: np.ndarray
    losses: np.ndarray
    drift: np.ndarray
    fires: np.ndarray
    excess: np.ndarray
    promotes: np.ndarray

    @property
    def size(self) -> int:
        """How many weeks."""
        return len(self.weeks)

    @property
    def half(self) -> int:
        """The first week of the second half, on which nothing is chosen."""
        return self.size // 2

    @property
    def weekly(self) -> np.ndarray:
        """Losses summed by model and week, shape (n, n)."""
        return self.losses.sum(axis=2)

    @property
    def weekly_rows(self) -> np.ndarray:
        """Labelled rows by week, shape (n,)."""
        return self.rows.sum(axis=1)

    def first(self, weeks: int) -> "Matrix":
        """Give the matrix of the first weeks alone, as if the data ended there."""
        cut = slice(weeks)
        return replace(
            self,
            weeks=self.weeks[cut],
            known_at=self.known_at[cut],
            rows=self.rows[cut],
            losses=self.losses[cut, cut],
            drift=self.drift[cut, cut],
            fires=self.fires[cut, cut],
            excess=self.excess[cut, cut],
            promotes=self.promotes[cut, cut],
        )


@dataclass(frozen=True)
class Known:
    """What a policy is given at a decision: nothing in it was made of a label that was not known by then.

    Parameters
    ----------
    week
        The number of the decision, 1 or more.
    since
        Weeks since the last training, whether the gate let its model through or not.
    age
        Weeks since the model that serves was fitted.
    drift, is_firing, excess
        Of the model that serves, see `Matrix`.
    losses
        The mean loss of what was served in each week, from the first on, up to the last whose labels were all known.
    """

    week: int
    since: int
    age: int
    drift: float
    is_firing: bool
    excess: float
    losses: tuple[float, ...]

    def loss_of(self, week: int) -> float:
        """Give the mean loss of a week.

        Raises
        ------
        TrainingError
            If its labels were not all known at the decision.
        """
        if not 0 <= week < len(self.losses):
            raise TrainingError(
                f"got week {week} at decision {self.week}, when the labels of {len(self.losses)} weeks were known; a "
                "policy decides from what was known: ask for an earlier one"
            )
        return self.losses[week]


def known_at(matrix: Matrix, week: int, since: int, served: tuple[int, ...]) -> Known:
    """Collect what was known at a decision.

    Parameters
    ----------
    week
        The decision.
    since
        Weeks since the last training.
    served
        By week before it, the number of the model that served.
    """
    model, means = served[-1], []
    for past, one in enumerate(served):
        if matrix.known_at[past] > matrix.weeks[week]:
            break
        means.append(float(matrix.losses[one, past].sum() / max(matrix.rows[past].sum(), 1)))
    return Known(
        week=week,
        since=since,
        age=week - model,
        drift=float(matrix.drift[model, week]),
        is_firing=bool(matrix.fires[model, week]),
        excess=float(matrix.excess[model, week]),
        losses=tuple(means),
    )
