"""The names of features, of which a log keeps each list once: a row has the values in order, and the list's digest.

Rows of before migration 0009, and of workers whose code is older, have no digest and hold an object by name.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from flightline.adapters.prediction_log.schema import DOCUMENTS, FEATURE_LISTS, PREDICTIONS
from flightline.core.errors import LogError
from flightline.core.lineage import digest_of

Names = tuple[str, ...]
Features = dict[str, float | str | None]
_DIGITS = 16  # of a sha256


@lru_cache(maxsize=64)
def list_of(names: Names) -> tuple[str, str]:
    """Give the digest of a list of names, and the list as JSON.

    Examples
    --------
    >>> list_of(("count", "mean"))
    ('d2f5856f4cce4954', '["count","mean"]')
    """
    return digest_of(names)[:_DIGITS], orjson.dumps(names).decode()


def plain_values(features: Mapping[str, float | str | None]) -> list[object]:
    """Give the values, infinity apart: JSON has no word for it, and orjson would write it as missing."""
    values: list[object] = list(features.values())
    if math.inf in values or -math.inf in values:
        return [{"float": str(value)} if isinstance(value, float) and math.isinf(value) else value for value in values]
    return values


def read_features(text: str, names: Names | None) -> Features:
    """Read the features of a row.

    Parameters
    ----------
    names
        Of the values, if they are written without; None of an object by name.
    """
    named = orjson.loads(text) if names is None else _named(text, names)
    if '{"float"' not in text:  # which may be part of a value, too
        return named
    return {name: float(value["float"]) if isinstance(value, dict) else value for name, value in named.items()}


def with_names(text: str, names: Names | None) -> str:
    """Write the features of a row as an object by name, every value as it was."""
    return text if names is None else orjson.dumps(_named(text, names)).decode()


def _named(text: str, names: Names) -> dict[str, Any]:
    values = orjson.loads(text)
    if type(values) is not list or len(values) != len(names):
        raise LogError(
            f"the prediction log holds the features {text[:40]!r}, expected a list of {len(names)} values: the row was "
            "changed after it was written; take it from a copy of the database"
        )
    return dict(zip(names, values, strict=True))


def _names_of(text: str, digest: str) -> Names | None:
    """Read a list; None if it is not the one that its digest says."""
    try:
        names = tuple(orjson.loads(text))
        return names if list_of(names)[0] == digest else None
    except (TypeError, ValueError):
        return None


def selected(columns: Sequence[str]) -> list[sa.ColumnElement[Any]]:
    """Select columns of predictions, JSON as the text that was written, and the digest of each row's list."""
    found = [PREDICTIONS.c[name] for name in columns]
    shown = [sa.cast(each, sa.Text).label(each.name) if each.name in DOCUMENTS else each for each in found]
    return [*shown, PREDICTIONS.c.feature_list]


class FeatureLists:
    """The lists of a log, each read when it is first needed and kept: what has a digest never changes.

    Parameters
    ----------
    select
        Executes a statement, and gives its rows.
    """

    def __init__(self, select: Callable[[sa.Select[Any]], Sequence[Sequence[Any]]]):
        self._select = select
        self._known: dict[str, Names] = {}

    def of(self, digests: Iterable[str | None]) -> list[Names | None]:
        """Give the list of each digest, None where there is none.

        Raises
        ------
        LogError
            If one is not there, or not what its digest says.
        """
        asked = list(digests)
        if missing := sorted({digest for digest in asked if digest is not None} - self._known.keys()):
            texts = sa.cast(FEATURE_LISTS.c.names, sa.Text)
            found = self._select(sa.select(FEATURE_LISTS.c.digest, texts).where(FEATURE_LISTS.c.digest.in_(missing)))
            self._known |= {digest: names for digest, text in found if (names := _names_of(text, digest)) is not None}
        if lost := [digest for digest in missing if digest not in self._known]:
            raise LogError(
                f"the prediction log holds predictions whose list of feature names, {lost[0]}, is not in its table "
                "feature_lists as it was written; take that row from a copy of the database, or delete it and let a "
                "service with the same model answer once, which writes it again"
            )
        return [None if digest is None else self._known[digest] for digest in asked]
