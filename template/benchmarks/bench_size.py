"""The prediction log and the online store when they are large.

    python -m template.benchmarks.bench_size [--stores sqlite whole days sqlite-keys redis-keys limits]
        [--sqlite-rows 1000000] [--postgres-rows 5000000] [--sqlite-keys 1000000] [--redis-keys 10000000]

The log: 90 days of predictions of 20 features and 4 views and their labels, on SQLite, and on PostgreSQL (fsync on) in
one table, as before migration 0008 (`whole`), and by days (`days`). Then what the service, labels, the monitor and
retention do with it, by their own code. The online store: so many keys of one view of the toy problem, materialised by
Feast, then read as the service does. The limits: a request counted in memory, and in Redis. Reads no state of the
clone; the databases are made in TMPDIR.
"""

import argparse
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import sqlalchemy as sa

from flightline.adapters.files.parquet_rows import write_parts
from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.prediction_log import retention
from flightline.adapters.prediction_log.label_table import read_labels, record_labels
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog
from flightline.adapters.prediction_log.partitions import add_days
from flightline.adapters.prediction_log.rows import moment_value
from flightline.adapters.prediction_log.schema import COLUMNS, connected, head_revision, migrate
from flightline.adapters.prediction_log.writers import INSERT_SQLITE, LIST_POSTGRES, LIST_SQLITE, parts_of
from flightline.core.settings import PredictionLogSettings, Settings
from flightline.monitoring.labels import Label
from pipelines.labels import join_labels
from pipelines.monitoring_steps.served import _LIGHT
from template.benchmarks.parts.online_size import measure_keys, measure_limits
from tests.adapters.prediction_log.predictions import prediction
from tests.support.servers.postgres import run_postgres
from tests.toy_problem import PROBLEM, make_project

DAYS, FEATURES, VIEWS = 90, 20, 4
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIRST = TODAY - timedelta(days=DAYS)
_AT_ONCE = 100_000


def id_of(n: int, at: datetime) -> str:
    """Make an id that carries its moment, as those of the service do, and no chance; `_FILL` makes the same."""
    return f"{int(at.timestamp() * 1000):012x}70008{n:015x}"


def values_of(n: int, at: datetime) -> LoggedPrediction:
    """Make a prediction of its number; `_FILL` makes the same."""
    stamps = {f"view_{i}": at - timedelta(minutes=i) for i in range(VIEWS)}
    return prediction(
        prediction_id=id_of(n, at),
        request_id=f"{n:032x}",
        **dict.fromkeys(("logged_at", "clock", "prediction_time"), at),
        event_time=at + timedelta(hours=2),
        keys={"flight": n},
        features={f"feature_{i}": (n + 1) / (i + 3) for i in range(FEATURES)},
        event_timestamps=stamps,
        watermarks=dict.fromkeys(stamps, at),
        missing={},
    )


def moment_of(n: int, rows: int) -> datetime:
    """Spread the rows over the days, in whole seconds."""
    return FIRST + timedelta(seconds=DAYS * 86_400 * n // rows)


def label_of(n: int, rows: int) -> Label:
    """Make the label of a prediction, known two hours later."""
    made = values_of(n, moment_of(n, rows))
    known = made.logged_at + timedelta(hours=2)
    return Label(
        instance_key=made.instance_key,
        revision=1,
        outcome="labelled",
        label=1.0,
        known_at=known,
        recorded_at=known,
        clock=known,
        data_md5="0" * 32,
    )


# PostgreSQL makes the rows itself, which is quicker than to send them.
_FILL = {
    "prediction_id": "lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008' || "
    "lpad(to_hex(n), 15, '0')",
    "request_id": "lpad(to_hex(n), 32, '0')",
    **dict.fromkeys(("logged_at", "clock", "prediction_time"), "moment"),
    "event_time": "moment + interval '2 hours'",
    "instance_key": """encode(sha256(convert_to('{"flight":' || n || '}', 'UTF8')), 'hex')""",
}
_LABELS = (
    "INSERT INTO labels SELECT instance_key, 1, 'labelled', 1.0, event_time, event_time, event_time, 'md5' "
    "FROM predictions WHERE logged_at < {}"
)


def fill(settings: Settings, rows: int) -> None:
    """Write the rows of all days, and the labels of all but the last two."""
    log, end = PredictionLog(settings), TODAY - timedelta(days=2)
    with connected(settings, is_writer=True) as connection:
        if connection.dialect.name == "sqlite":
            for first in range(0, rows, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, rows))
                lists, given = parts_of(log.encode([values_of(n, moment_of(n, rows)) for n in numbers]))
                connection.connection.driver_connection.executemany(LIST_SQLITE, lists)
                connection.connection.driver_connection.executemany(INSERT_SQLITE, given)
            connection.exec_driver_sql(_LABELS.format("?"), (moment_value(end, "sqlite"),))
        else:
            lists, (row,) = parts_of(log.encode([values_of(0, FIRST)]))
            connection.exec_driver_sql(LIST_POSTGRES, lists)
            columns = (*COLUMNS, "feature_list")
            given = {name: value for name, value in zip(columns, row, strict=True) if name not in _FILL}
            made = ", ".join([*_FILL.values(), *[f"%(given_{name})s" for name in given]])
            moment = f"%(first)s + interval '1 second' * ({DAYS * 86_400} * n::bigint / {rows})"
            connection.exec_driver_sql(
                f"INSERT INTO predictions ({', '.join([*_FILL, *given])}) SELECT {made} FROM "
                f"(SELECT n, {moment} AS moment FROM generate_series(0, {rows - 1}) AS n) AS numbered",
                {"first": FIRST} | {f"given_{name}": value for name, value in given.items()},
            )
            connection.exec_driver_sql(_LABELS.format("%s"), (end,))
            connection.exec_driver_sql("ANALYZE")  # as its autovacuum does; nobody does it for SQLite
    log.close()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a block took, and how much memory the process has had by then."""
    began, used = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"  {what:58} {time.perf_counter() - began:9.2f} s, {time.process_time() - used:8.2f} s of processor, "
        f"peak {peak:.1f} GB",
        flush=True,
    )


def each(what: str, do: Callable[[int], object], times: int) -> None:
    """Print the median and the slowest but one in a hundred of many."""
    taken = []
    for n in range(times):
        began = time.perf_counter()
        do(n)
        taken.append(time.perf_counter() - began)
    taken.sort()
    middle, late = statistics.median(taken) * 1e3, taken[int(len(taken) * 0.99)] * 1e3
    print(f"  {what:58} {middle:9.2f} ms median, {late:8.2f} ms p99", flush=True)


def measure(settings: Settings, rows: int) -> None:
    """Do with a filled log what the project does with one."""
    log, now, some = PredictionLog(settings), datetime.now(UTC), max(1, rows // 997)
    keys = [values_of(n * some % rows, now).instance_key for n in range(200)]
    each("insert a row", lambda n: log.write([values_of(rows + n, now)]), 300)
    each("insert 100 rows", lambda n: log.write([values_of(rows + 1000 + 100 * n + i, now) for i in range(100)]), 50)
    ids = [id_of(n, moment_of(n, rows)) for n in (n * some % rows for n in range(200))]
    each("read a prediction by its id", lambda n: log.read(ids=[ids[n]]), 200)
    each("read 100 by their ids", lambda n: log.read(ids=ids[n : n + 100]), 20)
    each("read one by an id that carries no moment", lambda n: log.read(ids=[f"{n:032x}"]), 20)
    each("read those of an instance", lambda n: log.read(instance_keys=[keys[n]]), 200)
    each(
        "count a day by the clock",
        lambda n: log.count(start=FIRST + timedelta(days=n), end=FIRST + timedelta(days=n + 1), by="clock"),
        20,
    )
    with timed("monitor: read the light columns of a week"):
        week = log.read(start=TODAY - timedelta(days=7), end=TODAY, by="clock", columns=_LIGHT)
    with timed(f"monitor: read the labels of its {len(week):,} instances"):
        read_labels(settings, as_of=now, keys=week["instance_key"])
    with timed("labels: record those of a day"):
        day = range(rows - rows * 2 // DAYS, rows - rows // DAYS)
        added = record_labels(settings, [label_of(n, rows) for n in day])
    with timed(f"labels: record the same {len(added):,} again"):
        record_labels(settings, [label_of(n, rows) for n in day])
    log.close()
    measure_labels(settings, rows)
    measure_retention(settings)


def measure_labels(settings: Settings, rows: int) -> None:
    """Do what `make labels` does with the examples of all that is logged, in a process of its own for its memory."""
    file = settings.root / "examples.parquet"
    parts = (range(first, min(first + _AT_ONCE, rows)) for first in range(0, rows, _AT_ONCE))
    write_parts(file, (examples_of(part, rows) for part in parts))
    for what in ("a day is missing", "none is missing"):
        child = get_context("spawn").Process(target=join_all, args=(settings, file, f"labels: join all, {what}"))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(f"{what}: labels could not be joined, see above")


def examples_of(numbers: range, rows: int) -> pd.DataFrame:
    """Make the examples of predictions, each with its label."""
    moments = pd.Series([moment_of(n, rows) for n in numbers])
    return pd.DataFrame({"flight": numbers, "event_timestamp": moments, "outcome": "labelled", "late": 1.0}).assign(
        label_known_at=moments + timedelta(hours=2)
    )


def join_all(settings: Settings, file: Path, what: str) -> None:
    """Join labels as the flow does; the process ends with it."""
    problem = replace(PROBLEM, label="late", entity_keys=("flight",), request_columns=(), slices=())
    project = replace(make_project(settings), problem=problem)
    with timed(what):
        counts = join_labels(project, file, TODAY + timedelta(days=2), "md5")
    print(f"    {counts}", flush=True)


def measure_retention(settings: Settings) -> None:
    """Move the oldest two days out while somebody writes."""
    log, over, taken = PredictionLog(settings), threading.Event(), []

    def write_on() -> None:
        n = 2**40
        while not over.wait(0.01):
            began = time.perf_counter()
            log.write([values_of(n, datetime.now(UTC))])
            taken.append(time.perf_counter() - began)
            n += 1

    size, writer = _size(settings), threading.Thread(target=write_on)
    writer.start()
    try:
        with timed("retention: move two days out"):
            moved = list(retention.archive(settings, FIRST + timedelta(days=2), datetime.now(UTC)))
    finally:
        over.set()
        writer.join()
    taken.sort()
    rows, before, after = sum(day.deleted for day in moved), size / 1e9, _size(settings) / 1e9
    print(f"    {rows:,} rows; database {before:.2f} GB, then {after:.2f} GB")
    middle, most = statistics.median(taken) * 1e3, taken[-1] * 1e3
    print(f"    an insert meanwhile: {middle:.2f} ms median, {most:.1f} ms at most, of {len(taken):,}", flush=True)
    log.close()


def _size(settings: Settings) -> int:
    statement = "SELECT pg_database_size(current_database())"
    with connected(settings) as connection:
        if connection.dialect.name == "sqlite":
            pages = "pragma_page_count, pragma_freelist_count, pragma_page_size"
            statement = f"SELECT (page_count - freelist_count) * page_size FROM {pages}"
        return int(connection.exec_driver_sql(statement).scalar_one())


def prepare(settings: Settings, store: str) -> None:
    """Make the tables as they are, or as they were before there were days."""
    migrate(settings, "0007" if store == "whole" else "head")
    with connected(settings, is_writer=True) as connection:
        if store == "whole":  # so that the code of today takes it
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :head"), {"head": head_revision()})
        else:
            add_days(connection, FIRST.date(), DAYS)


def measure_migration(settings: Settings) -> None:
    """Bring the filled table of before under the days."""
    with connected(settings, is_writer=True) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0007'"))
    with timed("make db-migrate: from 0007 to days"):
        migrate(settings)


def measure_log(store: str, rows: int, folder: Path) -> None:
    """Fill a log and measure it."""
    with ExitStack() as opened:
        url = ""
        if store != "sqlite":
            url = opened.enter_context(contextmanager(run_postgres)(fsync="on")).new_database()
        settings = Settings(root=folder, prediction_log=PredictionLogSettings(url=url))
        print(f"\nprediction log, {store}, {rows:,} rows", flush=True)
        prepare(settings, store)
        with timed("fill"):
            fill(settings, rows)
        if store == "whole":
            opened.enter_context(patch.object(retention, "add_days"))
        measure(settings, rows)
        if store == "whole":
            measure_migration(settings)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stores", nargs="*", default=["sqlite", "whole", "days", "sqlite-keys", "redis-keys", "limits"]
    )
    parser.add_argument("--sqlite-rows", type=int, default=1_000_000)
    parser.add_argument("--postgres-rows", type=int, default=5_000_000)
    parser.add_argument("--sqlite-keys", type=int, default=1_000_000)
    parser.add_argument("--redis-keys", type=int, default=10_000_000)
    options = parser.parse_args()
    for store in options.stores:
        with tempfile.TemporaryDirectory() as folder:
            if store == "limits":
                measure_limits(Path(folder))
            elif store.endswith("-keys"):
                keys = options.sqlite_keys if store == "sqlite-keys" else options.redis_keys
                measure_keys(store.removesuffix("-keys"), keys, Path(folder), timed, each)
            else:
                measure_log(store, options.sqlite_rows if store == "sqlite" else options.postgres_rows, Path(folder))


if __name__ == "__main__":
    outlive_reader()
    main()
