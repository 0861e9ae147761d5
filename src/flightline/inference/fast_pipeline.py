"""A fitted tree pipeline without frames: for one row they and their checks take longer than the trees.

The encoders' tables are read off the pipeline once; the trees are scikit-learn's own, merged into
one where they can be (`merged_trees`). Exact, and proven at the start: `FastPipeline.of` compares
itself with the pipeline on every category, a missing and an unseen one, and gives nothing if a
bit differs.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flightline.inference.merged_trees import FEW_ROWS, with_merged_trees

if TYPE_CHECKING:  # other files want the types here alone, and what imports scikit-learn takes a second
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

Value = float | str | None
Row = Mapping[str, Value]
LOG = logging.getLogger(__name__)
_UNSEEN = "a category that nobody has seen"
_NAN = float("nan")


@dataclass(frozen=True)
class FastPipeline:
    """What a pipeline on `preprocessing.as_codes` has learned.

    Parameters
    ----------
    codes
        By categorical column, in their order, from category to code; what is not in it is
        missing.
    numbers
        Names of the numeric columns, which follow as they are.
    estimator
        Takes the encoded columns.
    """

    codes: Mapping[str, Mapping[Value, float]]
    numbers: tuple[str, ...]
    estimator: "BaseEstimator"

    @classmethod
    def of(cls, method: str, pipeline: "Pipeline") -> "FastPipeline | None":
        """Read it off a fitted pipeline; None if its first step is another, or is not matched exactly.

        Parameters
        ----------
        method
            The pipeline's own: predict_proba or predict.
        """
        from sklearn.compose import ColumnTransformer
        from sklearn.preprocessing import OrdinalEncoder

        encode = pipeline[0] if len(pipeline) == 2 else None
        if not isinstance(encode, ColumnTransformer) or len(encode.transformers_) != 2:
            return None
        (_, categories, names), (_, passed, numbers) = encode.transformers_
        # A FunctionTransformer without a function is what "passthrough" becomes when it is fitted.
        if not isinstance(categories, OrdinalEncoder) or getattr(passed, "func", 0) is not None:
            return None
        fast = cls(_tables(categories, list(names)), tuple(numbers), pipeline[-1])
        rows = _one_of_each(fast)
        expected = getattr(pipeline, method)(_as_frame(rows, list(encode.feature_names_in_)))
        return next((found for found in _fastest_first(fast) if _answers(found, method, rows, expected)), None)

    def predict(self, method: str, rows: Sequence[Row]) -> np.ndarray:
        """Give what the pipeline's `method` gives for the rows."""
        return getattr(self.estimator, method)(self._encode(rows))

    def _encode(self, rows: Sequence[Row]) -> np.ndarray:
        tables, numbers = self.codes.items(), self._numbers_of
        return np.array(  # which makes NaN of None
            [[*(codes.get(row[name], _NAN) for name, codes in tables), *numbers(row)] for row in rows],
            dtype=np.float64,
        )

    @cached_property
    def _numbers_of(self) -> Callable[[Row], Sequence[Value]]:
        """What takes the numbers out of a row, which `itemgetter` gives as a tuple only if there are several."""
        return itemgetter(*self.numbers) if len(self.numbers) > 1 else lambda row: [row[name] for name in self.numbers]


def _tables(encoder: "OrdinalEncoder", names: list[str]) -> dict[str, dict[Value, float]]:
    if not names:  # then it was not even fitted
        return {}
    # None counts as a category if it was learned; NaN equals nothing, and is missing in any case.
    known = [[value for value in column if value == value] for column in encoder.categories_]
    longest = max(map(len, known), default=0)
    padded = {name: values + [None] * (longest - len(values)) for name, values in zip(names, known, strict=True)}
    codes = encoder.transform(pd.DataFrame(padded, dtype=object)) if longest else np.empty((0, len(names)))
    return {
        name: dict(zip(values, codes[:, position].tolist(), strict=False))
        for position, (name, values) in enumerate(zip(names, known, strict=True))
    }


def _without_inner_encoding(fast: FastPipeline) -> FastPipeline:
    """Take over what a HistGradientBoosting does to its categories: it encodes the codes once more."""
    inner = getattr(fast.estimator, "_preprocessor", None)
    if inner is None or not fast.codes:
        return fast
    width = len(fast.codes) + len(fast.numbers)
    tables: dict[str, Mapping[Value, float]] = {}
    for position, (name, codes) in enumerate(fast.codes.items()):
        outer = np.full((len(codes), width), np.nan)
        outer[:, position] = list(codes.values())
        tables[name] = dict(zip(codes, inner.transform(outer)[:, position].tolist(), strict=True)) if codes else {}
    estimator = copy.copy(fast.estimator)
    estimator._preprocessor = None
    return FastPipeline(tables, fast.numbers, estimator)


def _answers(candidate: FastPipeline, method: str, rows: Sequence[Row], expected: np.ndarray) -> bool:
    """Say whether it gives what is expected to the bit, for many rows and for few."""
    try:
        values = [candidate.predict(method, rows)]
        values += [np.concatenate([candidate.predict(method, part) for part in _in_parts(rows)])]
    except Exception as err:  # noqa: BLE001  # whatever private parts of scikit-learn that changed make of it
        LOG.warning("a fast form of the model is not used: it fails with %s: %s", type(err).__name__, err)
        return False
    return all(np.array_equal(value, expected) for value in values)


def _fastest_first(fast: FastPipeline) -> Iterator[FastPipeline]:
    try:
        direct = _without_inner_encoding(fast)
    except Exception as err:  # noqa: BLE001  # likewise
        LOG.warning("the model's own encoding cannot be taken over: %s: %s", type(err).__name__, err)
        direct = fast
    if merged := with_merged_trees(direct.estimator):
        yield replace(direct, estimator=merged)
    yield from (direct, fast)


def _in_parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows into parts of as many as take the way of few rows."""
    return (rows[start : start + FEW_ROWS] for start in range(0, len(rows), FEW_ROWS))


def _one_of_each(fast: FastPipeline) -> list[dict[str, Value]]:
    """Make rows with every category of every column, a missing and an unseen one, and numbers and none."""
    count = max((len(codes) for codes in fast.codes.values()), default=0) + 2
    columns: dict[str, list[Value]] = {
        name: [*codes, *[None] * (count - len(codes) - 1), _UNSEEN] for name, codes in fast.codes.items()
    }
    for position, name in enumerate(fast.numbers):
        columns[name] = [None if (row + position) % 3 == 0 else (row - position) / 7 for row in range(count)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _as_frame(rows: Sequence[Row], names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=names)
    is_text = {name: any(isinstance(row[name], str) for row in rows) for name in names}
    return frame.astype({name: object if is_text[name] else np.float64 for name in names})
