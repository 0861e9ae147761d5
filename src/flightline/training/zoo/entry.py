"""What a model of the zoo brings: one entry is all that the rest of the project knows of an estimator."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from sklearn.pipeline import Pipeline

Setting = float | int | str | None
Settings = Mapping[str, Setting]

SEGMENTS = frozenset({"kmeans_segments"})
COMPONENTS_AND_SEGMENTS = frozenset({"pca_components", "kmeans_segments"})
Rows: TypeAlias = tuple[np.ndarray, np.ndarray]  # as the pipeline has encoded them, and their target
# From (estimator, rows, later rows, patience, every): fits the estimator on the rows, stops after so many iterations
# without a better loss on the later ones, and gives number and output for these after every so many and the last.
Stages: TypeAlias = Callable[[Any, Rows, Rows, int, int], Iterator[tuple[int, np.ndarray]]]


@dataclass(frozen=True)
class Range:
    """What a setting may be, both ends included; searched on a logarithmic scale, for it is ratios that matter.

    Parameters
    ----------
    low, high
        The ends.
    is_integer
        Whether only whole numbers are meant.
    """

    low: float
    high: float
    is_integer: bool = False


@dataclass(frozen=True)
class ZooModel:
    """A model by name: how it is built, what is tried, what it costs, and what its file needs where it is loaded.

    Parameters
    ----------
    build
        From (columns, seed, **settings) to an unfitted pipeline.
    tried
        The settings compared on the validation window; one is no choice.
    tried_on_few_rows
        Compared as well where there are fewer than `FEW_ROWS` rows to fit on: fits are then
        cheap, and what suits many rows may not suit few.
    space
        The settings that `make tune` searches; the iterations are not among them, they are read off the losses.
    steps
        Which of the steps ``pca_components`` and ``kmeans_segments`` it can take.
    newest_rows
        It learns from the newest so many rows only, since its cost or its file would grow too
        large; None for all.
    stages
        Gives predictions after many iterations from one fit, by which ``max_iter`` is chosen; None if it cannot.
    reads_series
        Whether it is for columns that are series (`preprocessing.series_of`), and is not built without any.
    is_baseline
        What any model must beat.
    packages
        What it is fitted and served with besides scikit-learn, by the names of import and registry, which are one.
    installed_by
        The command that brings them.
    trusted_types
        What its file holds besides what skops trusts by itself. An estimator of another library is a class of its
        own file here, which keeps the library's own format as text or bytes: loading it runs no code from the file.
    """

    build: Callable[..., Pipeline]
    tried: tuple[Settings, ...] = ({},)
    tried_on_few_rows: tuple[Settings, ...] = ()
    space: Mapping[str, Range] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    newest_rows: int | None = None
    stages: Stages | None = None
    reads_series: bool = False
    is_baseline: bool = False
    packages: tuple[str, ...] = ()
    installed_by: str = "make install"
    trusted_types: tuple[str, ...] = ()

    @property
    def missing_packages(self) -> tuple[str, ...]:
        """Those that are not installed here."""
        return tuple(name for name in self.packages if find_spec(name) is None)
