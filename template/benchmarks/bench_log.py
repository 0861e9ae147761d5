"""What it costs to put a prediction on disk before its answer leaves.

    python -m template.benchmarks.bench_log [--rows 3000] [--turns 3] [--workers 1 2]

Rows of the project's size (81 features, 12 views), into new databases on the same disk and in the same run:
bare sqlite3 (the same table, indexes, pragmas and finished values), the log on SQLite with
synchronous NORMAL and FULL, and on PostgreSQL with its fsync on, if it is installed. Writes
of one row and of 100 rows; the order of the stores changes with each turn. The time of a
write is from a finished LoggedPrediction to the commit. Reads no state of the clone.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog
from flightline.adapters.prediction_log.rows import encode
from flightline.adapters.prediction_log.schema import connect_sqlite, log_url, migrate
from flightline.adapters.prediction_log.writers import INSERT_SQLITE, LIST_SQLITE, parts_of
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import prediction, settings_of
from tests.support.servers.postgres import find_postgres, run_postgres

NOON = datetime(2013, 12, 31, 12, tzinfo=UTC)
VIEWS = [f"a_feature_view_{n}" for n in range(12)]
BARE = "bare sqlite3, NORMAL"
Write = Callable[[Sequence[LoggedPrediction]], None]


def make_rows(count: int) -> list[LoggedPrediction]:
    """Make predictions as the service would, each of another instance."""
    stamps = {view: NOON - timedelta(minutes=n) for n, view in enumerate(VIEWS)}
    made = []
    for n in range(count):
        keys = {"origin": "JFK", "dest": "LAX", "carrier": "B6", "flight": n, "tailnum": "N729JB", "departure": NOON}
        made.append(
            prediction(
                request_id=uuid.uuid4().hex,
                logged_at=datetime.now(UTC),
                keys=keys,
                features={f"a_feature_of_some_view_{i}": (n + 1) / (i + 3) for i in range(81)},
                event_timestamps=stamps,
                watermarks=dict.fromkeys(VIEWS, NOON),
                missing={VIEWS[0]: "no value"},
            )
        )
    return made


@contextmanager
def bare(folder: Path):
    """Give a write that only inserts: values are made ready before the clock starts."""
    settings = settings_of(folder)
    migrate(settings)
    connection = connect_sqlite(settings, Path(str(log_url(settings).database)))
    connection.executemany(LIST_SQLITE, parts_of(encode(make_rows(1), "sqlite"))[0])

    def write(rows: Sequence[tuple]) -> None:
        if len(rows) == 1:
            connection.execute(INSERT_SQLITE, rows[0])
        else:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT_SQLITE, rows)
            connection.execute("COMMIT")

    yield write
    connection.close()


@contextmanager
def logged(settings: Settings):
    """Give the log's own write."""
    migrate(settings)
    log = PredictionLog.open(settings)
    yield log.write
    log.close()


def time_writes(write: Write, rows: list, at_once: int) -> list[float]:
    """Give the seconds of each write."""
    taken = []
    for first in range(0, len(rows), at_once):
        part = rows[first : first + at_once]
        began = time.perf_counter()
        write(part)
        taken.append(time.perf_counter() - began)
    return taken


def measure(stores: dict[str, Callable], rows: int, at_once: int, turns: int) -> dict[str, list[float]]:
    """Time every store in turns, on new databases and new rows."""
    taken: dict[str, list[float]] = {name: [] for name in stores}
    names = list(stores)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            made: list = make_rows(rows)
            with tempfile.TemporaryDirectory() as folder, stores[name](Path(folder)) as write:
                if name == BARE:
                    _, made = parts_of(encode(made, "sqlite"))
                write(made[:at_once])
                taken[name] += time_writes(write, made[at_once:], at_once)
    return taken


def show(taken: dict[str, list[float]], at_once: int) -> None:
    """Print a table: microseconds for a write, rows a second, and the ratio to bare SQLite."""
    print(f"\nwrites of {at_once} row(s)")
    print(f"{'store':24}{'median us':>10}{'mean us':>10}{'p99 us':>10}{'max us':>10}{'rows/s':>10}{'ratio':>8}")
    least = statistics.median(taken[BARE])
    for name, seconds in taken.items():
        ordered = sorted(seconds)
        middle, mean = statistics.median(ordered), statistics.fmean(ordered)
        shown = [middle, mean, ordered[int(len(ordered) * 0.99)], ordered[-1]]
        print(f"{name:24}" + "".join(f"{s * 1e6:10.0f}" for s in shown), end="")
        print(f"{at_once / mean:10,.0f}{middle / least:8.2f}")


def _work(settings: Settings, rows: int, start: object, done: object) -> None:
    log = PredictionLog.open(settings)
    made = make_rows(rows)
    start.wait()  # type: ignore[attr-defined] a barrier
    began = time.perf_counter()
    taken = sorted(time_writes(log.write, made, 1))
    done.put((began, time.perf_counter(), taken))  # type: ignore[attr-defined] a queue
    log.close()


def measure_workers(stores: dict[str, Callable[[Path], Settings]], rows: int, workers: list[int]) -> None:
    """Print rows a second of several processes that write as fast as they can."""
    print("\nprocesses that write one row after the other")
    context = multiprocessing.get_context("spawn")
    for name, place in stores.items():
        for count in workers:
            with tempfile.TemporaryDirectory() as folder:
                settings, start, done = place(Path(folder)), context.Barrier(count), context.Queue()
                migrate(settings)
                arguments = (settings, rows, start, done)
                running = [context.Process(target=_work, args=arguments) for _ in range(count)]
                for process in running:
                    process.start()
                said = [done.get() for _ in running]
                for process in running:
                    process.join()
            seconds = max(end for _, end, _ in said) - min(began for began, _, _ in said)
            taken = sorted(second for _, _, part in said for second in part)
            print(
                f"{name:24}{count} processes {count * rows / seconds:10,.0f} rows/s, median "
                f"{statistics.median(taken) * 1e6:.0f} us, p99 {taken[int(len(taken) * 0.99)] * 1e6:.0f} us"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    places: dict[str, Callable[[Path], Settings]] = {
        "SQLite, NORMAL": lambda folder: settings_of(folder),
        "SQLite, FULL": lambda folder: settings_of(folder, synchronous="FULL"),
    }
    with ExitStack() as opened:
        if find_postgres():
            server = opened.enter_context(contextmanager(run_postgres)(fsync="on"))
            places["PostgreSQL"] = lambda folder: settings_of(folder, url=server.new_database())
        else:
            print("PostgreSQL is not installed, so it is not measured")
        stores: dict[str, Callable] = {BARE: bare}
        stores |= {name: lambda folder, place=place: logged(place(folder)) for name, place in places.items()}
        show(measure(stores, options.rows, 1, options.turns), 1)
        show(measure(stores, options.rows * 2, 100, options.turns), 100)
        measure_workers(places, options.rows, options.workers)


if __name__ == "__main__":
    outlive_reader()
    main()
