"""The prediction log: every answered prediction with all it was made of, on disk before the answer leaves.

A SQLite file by default, PostgreSQL by URL (docs/decisions/0009-prediction-log.md). This
family of files is the only one that imports SQLAlchemy, alembic and their drivers:
`schema.py` has the tables, `rows.py` and `feature_lists.py` what is in them, `writers.py` how rows get in,
`retention.py` how they get out, `label_table.py` what became of each instance, `database_errors.py` what goes wrong.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import sqlalchemy as sa

from flightline.adapters.prediction_log.database_errors import fault_of, is_refused_row
from flightline.adapters.prediction_log.feature_lists import FeatureLists, selected
from flightline.adapters.prediction_log.rows import Row, decode, encode, moment_of, moment_value
from flightline.adapters.prediction_log.schema import (
    COLUMNS,
    PREDICTIONS,
    ensure_schema,
    log_url,
    make_engine,
    place_of,
)
from flightline.adapters.prediction_log.writers import PostgresWriter, SqliteWriter, Writer
from flightline.core.errors import LogError
from flightline.core.prediction_record import LoggedPrediction, instance_key, logged_between
from flightline.core.settings import Settings

__all__ = ["LoggedPrediction", "PredictionLog", "instance_key", "is_refused_row"]

Axis = Literal["logged_at", "clock"]
_IDS_AT_ONCE = 5_000  # both databases bound how many values one statement takes
ROWS_AT_ONCE = 50_000  # of `PredictionLog.parts`, where columns are light


class PredictionLog:
    """The log of one process; each worker opens its own. May be used by several threads."""

    def __init__(self, settings: Settings):
        url = log_url(settings)
        self.place = place_of(url)
        self._dialect = url.get_backend_name()
        self._writer: Writer = (SqliteWriter if self._dialect == "sqlite" else PostgresWriter)(settings, url)
        self._engine = make_engine(settings, is_bounded=False)
        self._lists = FeatureLists(self._select)
        self._file = Path(str(url.database))
        self._room_bytes = settings.prediction_log.room_bytes

    @classmethod
    def open(cls, settings: Settings) -> "PredictionLog":
        """Open the log that the settings name; the default SQLite file is made if it is not there.

        Raises
        ------
        LogError
            If it cannot be written to, or its schema is not the one this code is written for.
        """
        ensure_schema(settings)
        log = cls(settings)
        try:
            log.check()
        except LogError:
            log.close()
            raise
        return log

    def write(self, predictions: Sequence[LoggedPrediction]) -> None:
        """Put predictions on disk, in one transaction; they are there when this returns.

        What went wrong is not remembered: the next call tries again, over a new connection if
        the old one is broken.

        Raises
        ------
        LogError
            If that cannot be done; then none of them is there.
        """
        if predictions:
            self.write_rows(self.encode(predictions))

    def encode(self, predictions: Sequence[LoggedPrediction]) -> list[Row]:
        """Turn predictions into what `write_rows` takes; raises as `rows.encode`."""
        return encode(predictions, self._dialect)

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Put what `encode` gave on disk, as `write` does: rows of several calls too, in one transaction."""
        self._writer.write(rows)

    def check(self) -> None:
        """Demand that the log can be written now, by writing something of no value to it.

        Takes as long as a write, and up to `busy_timeout_seconds` while somebody else locks it.

        Raises
        ------
        LogError
            With why it cannot.
        """
        self._writer.check()

    def free_bytes(self) -> int | None:
        """Give how much the log can still grow; None if that is not known.

        Of a SQLite file, what is free in it and on its disk; of PostgreSQL, which tells nothing of its disk, what is
        left of `room_bytes`.

        Raises
        ------
        LogError
            If it cannot be asked.
        """
        if self._dialect == "sqlite":
            ((page, unused),) = self._select(
                sa.text("SELECT page_size, freelist_count FROM pragma_page_size, pragma_freelist_count")
            )
            return int(page * unused) + shutil.disk_usage(self._file.parent).free
        if not self._room_bytes:
            return None
        ((size,),) = self._select(sa.select(sa.func.pg_database_size(sa.func.current_database())))
        return max(0, self._room_bytes - int(size))

    def read(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        by: Axis = "logged_at",
        ids: Sequence[str] | None = None,
        instance_keys: Sequence[str] | None = None,
        columns: Sequence[str] = COLUMNS,
    ) -> pd.DataFrame:
        """Read predictions; with no argument all of them.

        Parameters
        ----------
        start, end
            From and before which moment (UTC-aware), by the event clock or the time of day.
        by
            Which of the two.
        ids
            Only these predictions.
        instance_keys
            Only those of these instances.
        columns
            Which fields of `LoggedPrediction`; those that hold JSON take most of the time.

        Returns
        -------
        DataFrame
            One row a prediction, in the order of `by` and then of the ids. Moments are
            datetime64[us, UTC]; mappings are dicts.

        Raises
        ------
        LogError
            If it cannot be read, or a column is unknown.
        """
        _check_columns(columns)
        inside = self._between(start, end, by)
        order = [PREDICTIONS.c[by], PREDICTIONS.c.prediction_id]
        rows: list[Row] = []
        for chosen in self._chosen(ids, instance_keys):
            rows += self._select(sa.select(*selected(columns), *order).where(*inside, *chosen).order_by(*order))
        rows.sort(key=lambda row: (row[-2], row[-1]))
        return self._decode(rows, columns)

    def parts(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        by: Axis = "logged_at",
        columns: Sequence[str] = COLUMNS,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> Iterator[pd.DataFrame]:
        """Read what `read` gives, day after day and no more than so many rows of it at once.

        A part is read when its turn comes: what was written meanwhile to what is left is given too. No transaction
        stays open between two parts, however long one is worked at: an open one keeps SQLite's journal growing.

        Parameters
        ----------
        start, end, by, columns
            As of `read`.
        rows_at_once
            The most rows that are in memory at a time.

        Raises
        ------
        LogError
            As `read`.
        """
        _check_columns(columns)
        moment, key = PREDICTIONS.c[by], PREDICTIONS.c.prediction_id
        statement = sa.select(*selected(columns), moment, key).order_by(moment, key).limit(rows_at_once)
        for day in self._days(start, end, by):
            rows = self._select(statement.where(*self._between(*day, by)))
            while rows:
                yield self._decode(rows, columns)
                last, last_key = rows[-1][-2:]
                # Of `(moment, key) > (...)` PostgreSQL expects no row where the clock stands still, and sorts all.
                rows = self._select(statement.where(moment == last, key > last_key)) or self._select(
                    statement.where(moment > last, *self._between(None, day[1], by))
                )

    def _decode(self, rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
        """Decode rows of `selected`, which two values follow that they are ordered by."""
        names = self._lists.of(row[-3] for row in rows) if "features" in columns else None
        return decode([row[:-3] for row in rows], columns, names)

    def _days(self, start: datetime | None, end: datetime | None, by: Axis) -> Iterator[tuple[datetime, datetime]]:
        """Give begin and end of each day (UTC) that has rows, the oldest first, looking for the next after each."""
        oldest = sa.select(sa.func.min(PREDICTIONS.c[by]))
        while True:
            ((found,),) = self._select(oldest.where(*self._between(start, end, by)))
            if found is None:
                return
            begin = moment_of(found)
            midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            yield begin, midnight if end is None else min(midnight, end)
            start = midnight

    def count(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        by: Axis = "logged_at",
        logged_from: datetime | None = None,
    ) -> int:
        """Count predictions, all or from and before a moment, or of these what was logged from a time of day on."""
        chosen = (*self._between(start, end, by), *self._between(logged_from, None, "logged_at"))
        ((rows,),) = self._select(sa.select(sa.func.count()).select_from(PREDICTIONS).where(*chosen))
        return int(rows)

    def first_logged(self, before: datetime, clock_since: datetime) -> datetime | None:
        """Find the first moment, before another, at which a prediction was logged by an event clock that stood so late.

        Returns
        -------
        datetime
            The moment by the time of day; None if there is no such prediction.
        """
        logged = self._between(None, before, "logged_at")
        statement = sa.select(PREDICTIONS.c.logged_at).where(*logged, *self._between(clock_since, None, "clock"))
        found = self._select(statement.order_by(PREDICTIONS.c.logged_at).limit(1))
        return moment_of(found[0][0]) if found else None

    def _between(self, start: datetime | None, end: datetime | None, by: Axis) -> list[sa.ColumnElement[bool]]:
        column = PREDICTIONS.c[by]
        bounds = [None if moment is None else moment_value(moment, self._dialect) for moment in (start, end)]
        inside = [column >= bounds[0]] if bounds[0] is not None else []
        return [*inside, column < bounds[1]] if bounds[1] is not None else inside

    def _chosen(self, ids: Sequence[str] | None, keys: Sequence[str] | None) -> Iterator[list[sa.ColumnElement[bool]]]:
        """Give the conditions of each part of the ids, or one that leaves all in."""
        also: list[sa.ColumnElement[bool]] = (
            [] if keys is None else [PREDICTIONS.c.instance_key.in_(list(dict.fromkeys(keys)))]
        )
        if ids is None:
            yield also
            return
        unique = sorted(set(ids))
        for first in range(0, len(unique), _IDS_AT_ONCE):
            part = unique[first : first + _IDS_AT_ONCE]
            # PostgreSQL then looks into the partitions of these days alone.
            start, end = (logged_between(part) if self._dialect == "postgresql" else None) or (None, None)
            yield [PREDICTIONS.c.prediction_id.in_(part), *self._between(start, end, "logged_at"), *also]

    def _select(self, statement: sa.Executable) -> list[Row]:
        try:
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(statement)]
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as err:
            raise LogError(fault_of(err, self.place)) from err

    def close(self) -> None:
        """Let go of the database; the log is not to be used any more."""
        self._writer.close()
        self._engine.dispose()


def _check_columns(columns: Sequence[str]) -> None:
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise LogError(f"got the columns {', '.join(unknown)}, expected some of {', '.join(COLUMNS)}")
