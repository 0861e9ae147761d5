"""Labels in the prediction log's database: appended, never changed, so that a correction keeps its history."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any

import pandas as pd
import sqlalchemy as sa

from flightline.adapters.prediction_log.rows import moment_of, moment_value, moments_of
from flightline.adapters.prediction_log.schema import LABELS, connected, ensure_schema
from flightline.core.settings import Settings
from flightline.monitoring.labels import Label, new_revisions, refuse_early

_NAMES = tuple(column.name for column in LABELS.columns)
_VALUES = attrgetter(*_NAMES)  # `asdict` copies every value
_MOMENTS = ("known_at", "recorded_at", "clock")
_KEYS_AT_ONCE = 5_000  # both databases bound how many values one statement takes
# Locked for some 50 ms and free as long: who waits for SQLite's lock is not told, but looks again.
_LABELS_AT_ONCE = 1_000
_PAUSE_SECONDS = 0.05
_LOCK = 0x6C61_6265  # any constant: which advisory lock of PostgreSQL is held while labels are added


def record_labels(settings: Settings, found: Sequence[Label]) -> list[Label]:
    """Add what is not recorded yet; several may try at once.

    So that the service can log meanwhile, it is done in parts, each of them whole: what was
    broken off is finished by doing it again.

    Parameters
    ----------
    found
        Of `labels.known_labels`. What says the same as the newest record of its instance is
        left out, so that doing it twice changes nothing.

    Returns
    -------
    list of Label
        What was added.

    Raises
    ------
    LogError
        If a label would be recorded before it is known, the database cannot be written to, or
        its schema is another. Of a label that is too early, before anything was added.
    """
    refuse_early(found)
    with _connected(settings) as connection:  # most of it is often there, which is seen without a lock
        wanted = {one.instance_key for one in _fresh(connection, found)}
    missing = [one for one in found if one.instance_key in wanted]
    added: list[Label] = []
    for first in range(0, len(missing), _LABELS_AT_ONCE):
        if first:
            time.sleep(_PAUSE_SECONDS)
        added += _record_part(settings, missing[first : first + _LABELS_AT_ONCE])
    return added


def _fresh(connection: sa.Connection, found: Sequence[Label]) -> list[Label]:
    return new_revisions(found, _newest(_select(connection, [one.instance_key for one in found])))


def _record_part(settings: Settings, found: Sequence[Label]) -> list[Label]:
    with connected(settings, is_writer=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        fresh = _fresh(connection, found)
        if fresh:
            connection.execute(LABELS.insert(), [_row(one, connection.dialect.name) for one in fresh])
    return fresh


def read_labels(settings: Settings, as_of: datetime | None = None, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """Read the newest record of each instance.

    Parameters
    ----------
    as_of
        Leave out what became known after this moment of the event clock (UTC-aware).
    keys
        Only these instances.

    Returns
    -------
    DataFrame
        The fields of `Label`, one row an instance; moments are datetime64[us, UTC].
    """
    with _connected(settings) as connection:
        parts = [
            _frame(connection.execute(each)).drop_duplicates("instance_key", keep="last")  # revisions ascend
            for each in _statements(connection, keys, as_of)
        ]
    return _as_one(parts)


def read_revisions(settings: Settings, keys: Iterable[str]) -> pd.DataFrame:
    """Read every record of these instances: the fields of `Label`, the oldest of each instance first."""
    with _connected(settings) as connection:
        parts = [_frame(connection.execute(each)) for each in _statements(connection, keys)]
    return _as_one(parts)


def label_parts(settings: Settings, rows_at_once: int) -> Iterator[pd.DataFrame]:
    """Read every record there is, as `read_revisions` gives them but in no order, and so many rows at a time."""
    with _connected(settings) as connection:
        everything = connection.execute(sa.select(*LABELS.columns), execution_options={"yield_per": rows_at_once})
        for rows in everything.partitions():
            yield _frame(rows)


def read_history(settings: Settings, key: str) -> list[Label]:
    """Read every record of an instance, the oldest first."""
    with _connected(settings) as connection:
        return _select(connection, [key])


@contextmanager
def _connected(settings: Settings) -> Iterator[sa.Connection]:
    ensure_schema(settings)
    with connected(settings) as connection:
        yield connection


def _select(connection: sa.Connection, keys: Iterable[str]) -> list[Label]:
    return [_label(row) for each in _statements(connection, keys) for row in connection.execute(each)]


def _statements(
    connection: sa.Connection, keys: Iterable[str] | None, as_of: datetime | None = None
) -> Iterator[sa.Select[Any]]:
    """Give what selects records, of all instances or of some of them at a time; at least one statement."""
    statement = sa.select(*LABELS.columns).order_by(LABELS.c.instance_key, LABELS.c.revision)
    if as_of is not None:
        statement = statement.where(LABELS.c.known_at <= moment_value(as_of, connection.dialect.name))
    if keys is None:
        yield statement
        return
    unique = list(dict.fromkeys(keys))
    for first in range(0, max(1, len(unique)), _KEYS_AT_ONCE):
        yield statement.where(LABELS.c.instance_key.in_(unique[first : first + _KEYS_AT_ONCE]))


def _newest(records: Iterable[Label]) -> dict[str, Label]:
    return {one.instance_key: one for one in records}  # revisions ascend, so the last one stays


def _row(one: Label, dialect: str) -> Mapping[str, object]:
    return dict(zip(_NAMES, _VALUES(one), strict=True)) | {
        name: moment_value(getattr(one, name), dialect) for name in _MOMENTS
    }


def _label(row: Sequence[Any]) -> Label:
    given = dict(zip(_NAMES, row, strict=True))
    return Label(**given | {name: moment_of(given[name]) for name in _MOMENTS})


def _frame(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    frame = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(_NAMES))
    return frame.assign(**{name: moments_of(frame[name]) for name in _MOMENTS}, label=frame["label"].astype("float64"))


def _as_one(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
