"""The encoding of tree models without a frame: for one row a frame and its checks take longer than the trees.

Exact, and proven at the start: `QuickEncoder.of` compares itself with the fitted encoder on
every category, a missing and an unseen one, and gives nothing if a bit differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

_UNSEEN = "a category that nobody has seen"


@dataclass(frozen=True)
class QuickEncoder:
    """What `preprocessing.as_codes` learned, as plain tables.

    Parameters
    ----------
    codes
        By categorical column, in their order, from category to code; what is not in it is
        missing.
    numbers
        Names of the numeric columns, which follow as they are.
    """

    codes: Mapping[str, Mapping[object, float]]
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, pipeline: Pipeline) -> "QuickEncoder | None":
        """Read the tables off a fitted pipeline; None if its first step is another, or is not matched exactly."""
        encode = pipeline[0] if len(pipeline) == 2 else None
        if not isinstance(encode, ColumnTransformer) or len(encode.transformers_) != 2:
            return None
        (_, categories, names), (_, passed, numbers) = encode.transformers_
        if not isinstance(categories, OrdinalEncoder) or not _is_passed_through(passed):
            return None
        quick = cls(_tables(categories, list(names)), tuple(numbers))
        asked = _one_of_each(quick)
        expected = encode.transform(pd.DataFrame(asked)[list(encode.feature_names_in_)])
        return quick if np.array_equal(quick.encode(asked), expected, equal_nan=True) else None

    def encode(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Encode columns of equal length n.

        Returns
        -------
        ndarray of float64, shape (n, columns)
            As the fitted encoder gives it.
        """
        rows = len(next(iter(inputs.values())))
        encoded = np.empty((rows, len(self.codes) + len(self.numbers)))
        for position, (name, codes) in enumerate(self.codes.items()):
            encoded[:, position] = [codes.get(value, np.nan) for value in inputs[name]]
        for position, name in enumerate(self.numbers, start=len(self.codes)):
            encoded[:, position] = inputs[name]
        return encoded


def _is_passed_through(step: object) -> bool:
    # What "passthrough" becomes when it is fitted.
    return step == "passthrough" or getattr(step, "func", 0) is None


def _tables(encoder: OrdinalEncoder, names: list[str]) -> dict[str, dict[object, float]]:
    # None counts as a category if it was learned; NaN equals nothing, and is missing in any case.
    known = [[value for value in column if value == value] for column in encoder.categories_]
    longest = max(map(len, known), default=0)
    padded = {name: values + [None] * (longest - len(values)) for name, values in zip(names, known, strict=True)}
    codes = encoder.transform(pd.DataFrame(padded, dtype=object)) if longest else np.empty((0, len(names)))
    return {
        name: dict(zip(values, codes[:, position].tolist(), strict=False))
        for position, (name, values) in enumerate(zip(names, known, strict=True))
    }


def _one_of_each(quick: QuickEncoder) -> dict[str, np.ndarray]:
    rows = max((len(codes) for codes in quick.codes.values()), default=0) + 2
    categories = {
        name: np.array([*codes, *[None] * (rows - len(codes) - 1), _UNSEEN], dtype=object)
        for name, codes in quick.codes.items()
    }
    numbers = np.where(np.arange(rows) % 3 == 0, np.nan, np.arange(rows) / 7)
    return {**categories, **{name: numbers + position for position, name in enumerate(quick.numbers)}}
