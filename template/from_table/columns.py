"""What a table holds: types, ranges and shares, from which its contract is written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from flightline.adapters.source_tables import TRUTHS, as_moments
from template.renaming import StartError

INTEGER, NUMBER, TEXT, MOMENT = "Int64", "Float64", "object", "datetime64[ns, UTC]"
MOST_VALUES = 50  # of a text column that counts as one of categories
_INTEGER, _NUMBER = r"-?(0|[1-9][0-9]{0,18})", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name
        As `source_tables.tidy_names` has it.
    kind
        Its type in the contract.
    missing
        The share of rows without a value, 0..1.
    low, high
        What the contract allows: the least and the greatest number seen, with slack. Of text, its length.
    values
        The values of a text column that has few, in order.
    spread
        Standard deviation of a number; 0 if there is none.
    is_truth
        Whether it holds 0 and 1 only.
    """

    name: str
    kind: str
    missing: float
    distinct: int
    low: float
    high: float
    values: tuple[str, ...]
    spread: float
    is_truth: bool

    @property
    def is_number(self) -> bool:
        """Whether features can average it."""
        return self.kind in (INTEGER, NUMBER)


def describe_column(column: pd.Series) -> Column:
    """Say what a column holds."""
    known = column.dropna()
    kind = kind_of(known)
    numbers = _numbers(known, kind)
    if np.isinf(numbers).any():
        raise StartError(f"{column.name} holds an infinite number; leave out its row, or its value")
    values = tuple(sorted(map(str, known.unique()))) if kind == TEXT and known.nunique() <= MOST_VALUES else ()
    low, high = (1.0, float(known.astype(str).str.len().max())) if kind == TEXT and len(known) else (0.0, 0.0)
    is_truth = kind == INTEGER and set(numbers.unique()) <= {0, 1}
    if len(numbers):
        low, high = (0.0, 1.0) if is_truth else with_slack(numbers.min(), numbers.max(), kind == INTEGER)
    elif kind == TEXT:
        high = float(math.ceil(high / 10) * 20)
    return Column(
        name=str(column.name),
        kind=kind,
        missing=float(column.isna().mean()) if len(column) else 0.0,
        distinct=int(known.nunique()),
        low=low,
        high=high,
        values=values,
        spread=float(numbers.std()) if len(numbers) > 1 else 0.0,
        is_truth=is_truth,
    )


def kind_of(known: pd.Series) -> str:
    """Give the contract's type of a column's values, none missing."""
    types = pd.api.types
    if types.is_bool_dtype(known) or types.is_integer_dtype(known):
        return INTEGER
    if types.is_float_dtype(known):
        return NUMBER
    if types.is_datetime64_any_dtype(known) or (len(known) and known.map(type).eq(date).all()):
        return MOMENT
    text = known.astype(str)
    if not len(text):
        return TEXT
    if set(text.str.lower().unique()) <= set(TRUTHS) and text.str.lower().nunique() == 2:
        return INTEGER
    for kind, pattern in ((INTEGER, _INTEGER), (NUMBER, _NUMBER)):
        if text.str.fullmatch(pattern).all() and (kind == NUMBER or text.map(int).between(-(2**63), 2**63 - 1).all()):
            return kind
    looks_dated = text.str.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").all()
    return (
        MOMENT
        if looks_dated and pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).notna().all()
        else TEXT
    )


def _numbers(known: pd.Series, kind: str) -> pd.Series:
    if kind not in (INTEGER, NUMBER):
        return pd.Series([], dtype=float)
    if pd.api.types.is_numeric_dtype(known):
        return known.astype(float)
    return pd.to_numeric(known.astype(str).str.lower().map(TRUTHS).fillna(known.astype(str))).astype(float)


def with_slack(low: float, high: float, is_whole: bool) -> tuple[float, float]:
    """Widen a range by half of what was seen, to a round number; it crosses zero only if the values did.

    Examples
    --------
    >>> with_slack(3, 97, True)
    (0, 150)
    """
    slack = max((high - low) / 2, abs(high) / 10, 1.0 if is_whole else 1e-9)
    step = 10 ** math.floor(math.log10(high - low + 2 * slack)) / 2
    wide = [math.floor((low - slack) / step) * step, math.ceil((high + slack) / step) * step]
    if low >= 0:
        wide[0] = max(wide[0], 0)
    if high <= 0:
        wide[1] = min(wide[1], 0)
    first, last = (
        (math.floor(wide[0]), math.ceil(wide[1])) if is_whole else (float(f"{wide[0]:.6g}"), float(f"{wide[1]:.6g}"))
    )
    return first, last


def typical_gap(moments: pd.Series, keys: Sequence[pd.Series]) -> pd.Timedelta:
    """Give the median time from one row of a key to its next, or of the table if no key has two."""
    ordered = moments.sort_values()
    gaps = ordered.groupby([key.loc[ordered.index] for key in keys]).diff() if keys else ordered.diff()
    gaps = gaps[gaps > pd.Timedelta(0)]
    if gaps.empty:
        gaps = ordered.diff()[ordered.diff() > pd.Timedelta(0)]
    return gaps.median() if len(gaps) else pd.Timedelta(days=1)


def moments_of(column: pd.Series, zone: str) -> pd.Series:
    """Read a column of moments as UTC, in whole seconds."""
    return as_moments(column, zone).dt.floor("s")
