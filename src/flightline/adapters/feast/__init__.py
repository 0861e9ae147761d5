"""Feast (https://docs.feast.dev): feature declarations, point-in-time join, online store.

Imported without typeguard's checks of arguments: for each of its methods typeguard parses and
compiles Feast's source anew, three quarters of what an import takes (docs/decisions/0023-feast-without-typeguard.md).
"""

from collections.abc import Callable
from typing import Any

import typeguard

_typechecked = typeguard.typechecked


def _unless_feasts(target: Any = None, **options: Any) -> Callable[..., Any]:
    """Instrument what is not Feast's own."""
    if getattr(target, "__module__", "").partition(".")[0] == "feast":
        return target
    return _typechecked(target, **options) if target is not None else _typechecked(**options)


typeguard.typechecked = _unless_feasts  # type: ignore[assignment]
