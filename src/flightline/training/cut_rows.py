"""Rows of a window, cut out when they are used: a fit makes copies of its own, and what it was given need not stay."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Task
from flightline.training.row_checks import as_target


class Features(Protocol):
    """Rows of features that a mask chooses from: a frame, or what reads them of a file when they are needed."""

    def __getitem__(self, mask: Any, /) -> Any:
        """Give the rows of a mask as a frame."""


@dataclass(frozen=True)
class Rows:
    """All there are, of which windows are cut.

    Parameters
    ----------
    task
        Of the problem.
    features
        One row an example.
    label
        Of the same rows.
    """

    task: Task
    features: Features
    label: pd.Series

    def of(self, mask: pd.Series | np.ndarray) -> "Window":
        """Give the rows of a mask, shape (n,), bool."""
        return Window(self, mask)


@dataclass(frozen=True)
class Window:
    """Some rows, cut out anew each time they are asked for."""

    rows: Rows
    mask: pd.Series | np.ndarray

    @property
    def features(self) -> pd.DataFrame:
        """The rows as a frame; no copy where it is all there is."""
        every = self.rows.features
        return every if self.mask.all() and isinstance(every, pd.DataFrame) else every[self.mask]

    @property
    def target(self) -> pd.Series:
        """Their labels, in the type that estimators take."""
        return as_target(self.rows.task, self.rows.label[self.mask])
