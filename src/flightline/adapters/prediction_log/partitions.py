"""Days of the prediction log in PostgreSQL: a partition for each, which retention drops whole; docs/decisions/0009.

Days are made ahead, by `make db-migrate` and by each run of retention. Rows of a day that was not made lie in
`predictions_default`, those of before migration 0008 in `predictions_before`; there retention deletes row by row.
"""

import re
import time
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

DAYS_AHEAD = 14
# Less than a writer waits: whoever comes after one that waits for a table's lock waits behind it.
LOCK_SECONDS = 0.5
TRIES = 20
_PAUSE_SECONDS = 1.0
_NAME = re.compile(r"predictions_(\d{8})")
# lock_not_available; check_violation, invalid_object_definition: rows of that day, or its range, are elsewhere.
_BUSY, _NOT_FREE = "55P03", {"55P03", "23514", "42P17"}


def name_of(day: date) -> str:
    """Name a day's partition.

    Examples
    --------
    >>> name_of(date(2026, 3, 1))
    'predictions_20260301'
    """
    return f"predictions_{day:%Y%m%d}"


def days_of(connection: sa.Connection) -> list[date]:
    """Give the days that have a partition, the oldest first; none where the log is not in PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return []
    names = connection.exec_driver_sql("SELECT relid::regclass::text FROM pg_partition_tree('predictions')").scalars()
    found = filter(None, map(_NAME.fullmatch, names))
    return sorted(datetime.strptime(name[1], "%Y%m%d").replace(tzinfo=UTC).date() for name in found)


def add_days(connection: sa.Connection, first: date, count: int = DAYS_AHEAD) -> None:
    """Make the partitions of a day and of those after it that have none; where one cannot be had now, do without."""
    if connection.dialect.name != "postgresql":
        return
    _wait_shortly(connection)
    known = set(days_of(connection))
    for day in (first + timedelta(days=n) for n in range(count)):
        if day in known:
            continue
        begin, end = (f"{bound.isoformat()} 00:00+00" for bound in (day, day + timedelta(days=1)))
        statement = f"CREATE TABLE {name_of(day)} PARTITION OF predictions FOR VALUES FROM ('{begin}') TO ('{end}')"
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(statement)
        except sa.exc.DBAPIError as err:
            if _state(err) not in _NOT_FREE:
                raise


def drop_day(engine: sa.Engine, day: date, rows: int) -> bool:
    """Drop a day with all its rows, if they are so many and no more; False if not, or somebody reads them for long."""
    name = name_of(day)
    for _ in range(TRIES):
        try:
            with engine.begin() as connection:
                _wait_shortly(connection)
                connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE MODE")  # keeps out late rows, and no reader
                if connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() != rows:  # noqa: S608 a date
                    return False
                connection.exec_driver_sql(f"DROP TABLE {name}")
        except sa.exc.DBAPIError as err:
            if _state(err) != _BUSY:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


def _wait_shortly(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")


def _state(err: sa.exc.DBAPIError) -> str | None:
    return getattr(err.orig, "sqlstate", None)
