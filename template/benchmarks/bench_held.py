"""What parity and monitoring hold in memory as tables, training window and log grow.

    python -m template.benchmarks.bench_held table ROWS KEYS    of a table, 10,000 predictions of a day
    python -m template.benchmarks.bench_held window ROWS        what is usual, of a training set of 99 features
    python -m template.benchmarks.bench_held answers ROWS       the answers of 12 weeks in a log on SQLite

Each begins with made-up rows in a temporary folder, and prints processor seconds and by how much the resident set rose.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.engines.duckdb import open_plain
from flightline.adapters.engines.newest_rows import newest_rows
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.problem_spec import Monitoring
from flightline.core.settings import Settings
from flightline.core.windows import Interval
from flightline.monitoring.drift import month_thresholds
from flightline.monitoring.limits import learn_limits
from flightline.monitoring.parity import StoredView, rebuild_view
from pipelines.monitoring_steps.served import collect_served_rows
from pipelines.monitoring_steps.training_window import ChampionRows, sample_training, training_frame
from template.benchmarks.bench_size import FIRST, values_of
from tests.toy_problem import make_project

YEAR, WEEK = timedelta(days=365), timedelta(days=7)
AT_ONCE = 50_000


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print what the block took."""
    process, ended, highest = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not ended.wait(0.005):
            highest[0] = max(highest[0], process.memory_info().rss)

    before, began, watching = process.memory_info().rss, time.process_time(), threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
    rose = max(0, highest[0] - before) / 2**20
    print(f"{what}: {time.process_time() - began:.2f} s of a processor, {rose:.0f} MiB above {before / 2**20:.0f}")


def measure_table(folder: Path, rows: int, keys: int) -> None:
    """Rebuild a part of the log from a table of a year, ordered as feature tables are."""
    file, numbers = folder / "table.parquet", ", ".join(f"(hash(i + {n}) % 1000) / 7.0 AS f{n}" for n in range(8))
    with closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute(
            f"COPY (SELECT 'K' || (hash(i) % {keys}) AS k, make_timestamptz(2013, 1, 1, 0, 0, 0) "
            f"+ to_microseconds(i * {YEAR // timedelta(microseconds=1) // rows}) AS event_timestamp, "
            f"event_timestamp AS created_timestamp, {numbers} FROM range({rows}) t(i) ORDER BY 1, 2) TO '{file}'"
        )
    random, first = np.random.default_rng(0), pd.Timestamp("2013-01-01", tz="UTC")
    hours = pd.to_timedelta(random.integers(0, 24, 10_000), unit="h")
    clocks = pd.Series(first + timedelta(days=334) + hours).astype("datetime64[us, UTC]")
    asked = pd.DataFrame(
        {"k": [f"K{n}" for n in random.integers(0, keys, 10_000)], "watermark": clocks, "clock": clocks}
    )
    view = StoredView("v", ("k",), tuple(f"f{n}" for n in range(8)), 30 * timedelta(days=1), ((first, first + YEAR),))
    columns, between = ["k", "event_timestamp", "created_timestamp", *view.features], (clocks.min(), clocks.max())
    with measured(f"{rows:,} rows of {keys:,} keys, read and rebuilt"):
        with open_plain({"memory_limit": "1GB"}) as connection:
            found = newest_rows(connection, file, asked[["k"]], columns, between, view.loaded)
        rebuild_view(view, found, asked)


def measure_window(folder: Path, rows: int) -> None:
    """Learn limits and thresholds of a training window, two thirds of the rows, and draw its sample."""
    random, writer = np.random.default_rng(0), None
    for first in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - first)
        numbers = {f"f{n}": np.round(random.normal(size=count) * 50) for n in range(97)}
        texts = {"kind": random.choice(list("ABCDEFGHIJKLMNOP"), count), "side": random.choice(["a", "b", "c"], count)}
        part = pa.table(numbers | texts)
        writer = writer or pq.ParquetWriter(folder / "features.parquet", part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()
    times = pd.date_range("2013-01-01", periods=rows, freq=YEAR / rows, tz="UTC")
    part_of = np.where(np.arange(rows) < rows * 2 // 3, "training", "test")
    made = {"event_timestamp": times, "part": part_of, "label": 0.0, "prediction": random.random(rows)}
    pd.DataFrame(made).to_parquet(folder / "rows.parquet")
    champion, rule = ChampionRows("1", "key", folder, folder), Monitoring()
    frame, moments = training_frame(champion)
    with measured(f"{len(moments):,} rows: limits"):
        learn_limits(frame, moments, rule, timedelta(hours=1))
    with measured(f"{len(moments):,} rows: thresholds, without Evidently"):
        month_thresholds(frame, moments, rule, lambda usual, now: {"f0": float(now["f0"].mean() - usual["f0"].mean())})
    with measured(f"{len(moments):,} rows: sample"):
        sample_training.function("0" * 16, Settings(root=folder), champion, rule.drift_rows)


def measure_answers(folder: Path, rows: int) -> None:
    """Collect the answers of twelve weeks."""
    project = make_project(Settings(root=folder))
    with closing(PredictionLog.open(project.settings)) as log:
        log.write([values_of(0, FIRST)])
    text, seconds = "%Y-%m-%dT%H:%M:%S", f"(n.value * 84 * 86400 / {rows}) || ' seconds'"
    moment = f"strftime('{text}', '{FIRST.strftime(text)}', '+' || {seconds})"
    given = dict.fromkeys(("logged_at", "clock", "prediction_time"), f"{moment} || '.000000+00:00'")
    given |= {"prediction_id": "printf('%032x', n.value)", "instance_key": "printf('%064x', n.value)"}
    label = {"instance_key": "instance_key", "revision": "1", "outcome": "'labelled'", "label": "1", "data_md5": "'0'"}
    with closing(sqlite3.connect(project.settings.prediction_log_file)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(predictions)")]
        values = ", ".join(given.get(name, f'first."{name}"') for name in names)
        connection.execute(
            f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {rows - 1}) "
            f"INSERT INTO predictions SELECT {values} FROM n, predictions AS first WHERE first.rowid = 1"
        )
        names = [row[1] for row in connection.execute("PRAGMA table_info(labels)")]
        values = ", ".join(label.get(name, "prediction_time") for name in names)
        connection.execute(f"INSERT INTO labels ({', '.join(names)}) SELECT {values} FROM predictions")
        connection.commit()
    weeks = [Interval(FIRST + n * WEEK, FIRST + (n + 1) * WEEK) for n in range(12)]
    with measured(f"{rows:,} predictions in {len(weeks)} weeks"):
        collect_served_rows(project, weeks, "1", weeks[-1].end, folder)


if __name__ == "__main__":
    measures = {"table": measure_table, "window": measure_window, "answers": measure_answers}
    with TemporaryDirectory() as made_in:
        measures[sys.argv[1]](Path(made_in), *map(int, sys.argv[2:]))
