"""The leak test: whether a feature row uses anything that was not known at its event timestamp.

The world is rebuilt as it was known at a moment, by the contract of `availability.py` and not by
the feature code. Every feature row stamped at or before that moment must come out the same
from both worlds. It works for whatever features a cloner writes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis

Tables = Mapping[str, ibis.Table]


@dataclass(frozen=True)
class Leak:
    """A feature table whose past changes when the future is taken away."""

    table: str
    moment: datetime
    rows: int
    sample: str

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.rows} row(s) stamped at or before {self.moment:%Y-%m-%d %H:%M} UTC "
            f"use what became known later, for example {self.sample}"
        )


def as_of(groups: Tables, moment: datetime) -> dict[str, ibis.Table]:
    """Give every group as it was known at a moment, that moment included.

    Parameters
    ----------
    groups
        By name, tables with the column ``known_at``.
    moment
        UTC-aware.
    """
    return {name: table.filter(table.known_at <= ibis.literal(moment)) for name, table in groups.items()}


def around(groups: Tables, moment: datetime, before: timedelta | None, after: timedelta) -> dict[str, ibis.Table]:
    """Keep what became known near a moment, so that a leak test on it is quick.

    Parameters
    ----------
    before
        How far back; None keeps all.
    after
        How far ahead, and as far as the next row that a group got: one that comes once a week or a month would
        have no future else, and what leaks from it could not be seen.
    """
    return {name: _near(table, moment, before, after) for name, table in groups.items()}


def _near(table: ibis.Table, moment: datetime, before: timedelta | None, after: timedelta) -> ibis.Table:
    later = table.filter(table.known_at > ibis.literal(moment))
    high = ibis.greatest(ibis.literal(moment + after), later.known_at.min().as_scalar())
    near = table.filter(table.known_at <= high)
    return near if before is None else near.filter(near.known_at >= ibis.literal(moment - before))


def changed_rows(
    build: Callable[[Tables], ibis.Table], with_future: Tables, known: Tables, moment: datetime
) -> ibis.Table:
    """Give the feature rows of the past that differ between the two worlds.

    Parameters
    ----------
    build
        The feature function.
    with_future, known
        The groups, and the same groups as known by `moment`.
    moment
        Only rows stamped at or before it count.

    Returns
    -------
    ibis.Table
        Rows of one world that the other has not; empty if nothing leaks.
    """
    cut = ibis.literal(moment)
    full, past = (build(groups).filter(lambda row: row.event_timestamp <= cut) for groups in (with_future, known))
    return ibis.union(ibis.difference(full, past), ibis.difference(past, full))
