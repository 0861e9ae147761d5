"""What each stage costs as the data grows: `make bench-growth SIZES="1 4 10" WAYS="keys history"`.

The training, then a week of it as a batch, predictions of the service's code and their parity, all that was to be
predicted in twelve weeks, its labels and its monitoring: as many times as many as the flights. Each command runs as it
does for a person, in a clone with nothing cached, and is ended if its processes together hold more memory than the
limit at any sample; half of that is DuckDB's. Memory is the sum of the processes' PSS; seconds are by the clock and of
the processor. What is measured is kept in .state/bench-growth/, and not again: remove that folder to begin anew.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil

from flightline.adapters.dvc.data_version import add_version
from flightline.adapters.event_clock import set_clock
from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from template.benchmarks.bench_train import make_clone
from template.benchmarks.parts.grown_flights import WAYS, growth_of, write_grown

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".state" / "bench-growth"
GIB = 1024**3
BETWEEN_SAMPLES = 0.5
LEAST_SECONDS = 2.0  # of the largest size: below that an exponent is noise
CLOSED = re.compile(r"^(\w[\w ]{1,13}?)\s{2,}.*\([\d.]+ s\)$")
NOTED = re.compile(r"^\s{16}(raw tables read|leak test passed).*, [\d.]+ s$")
PARTS = {"raw tables read": "raw tables", "leak test passed": "leak test"}
SHOWN = {"features": "feature tables", "serve": "answers", "weeks": "answers"}
BATCH = timedelta(days=7)
LOGGED = 2_000  # predictions at once the flights


@dataclass(frozen=True)
class Measured:
    """A stage at one size."""

    way: str
    size: int
    engine: str
    stage: str
    rows: int
    seconds: float
    processor_seconds: float
    peak_bytes: int
    load: float


class Watch:
    """Samples memory and processor time of a process and all below it; a thread of its own.

    It ends them when together they hold more than so many GiB; 0: never.
    """

    def __init__(self, pid: int, limit: float) -> None:
        self._root, self._peak, self._used = psutil.Process(pid), 0, dict[int, float]()
        self._most, self.exceeded = limit * GIB or float("inf"), 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._lap = (time.perf_counter(), 0.0)

    def lap(self) -> tuple[float, float, int]:
        """Give seconds, processor seconds and peak bytes since the last lap."""
        self._sample()
        now, used = time.perf_counter(), sum(self._used.values())
        began, used_before = self._lap
        peak, self._peak, self._lap = self._peak, 0, (now, used)
        return now - began, used - used_before, peak

    def end(self) -> None:
        """Sample no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(BETWEEN_SAMPLES):
            self._sample()

    def _sample(self) -> None:
        held = 0
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                times, held = process.cpu_times(), held + process.memory_full_info().pss
            except psutil.Error:
                continue
            self._used[process.pid] = times.user + times.system
        self._peak = max(self._peak, held)
        if held > self._most:
            self.exceeded = held
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def measure(way: str, size: int, engine: str, limit: float) -> Iterator[Measured]:
    """Grow the data, train on it and use what came of it, and give each stage as it is done."""
    folder = KEPT / f"{way}-{size}-{engine}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        clone, rows = make_grown(way, size, folder)
        print(f"{way} {size}: {rows:,} flights written", flush=True)
        environment = {
            "FLIGHTLINE_ROOT": str(clone),
            "PREFECT_HOME": str(clone / ".state" / "prefect"),
            "FLIGHTLINE_ENGINE": engine,
            "FLIGHTLINE_DUCKDB__MEMORY_LIMIT": f"{limit / 2:g}GiB",
            "PYTHONUNBUFFERED": "1",
        }
        done = list[Measured]()
        for name, command in commands_of(way, size).items():
            for each in run_command(name, command, environment, (way, size, engine, rows), limit):
                done.append(each)
                yield each
        yield replace(
            each,
            stage="all",
            seconds=sum(each.seconds for each in done),
            processor_seconds=sum(each.processor_seconds for each in done),
            peak_bytes=max(each.peak_bytes for each in done),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def commands_of(way: str, size: int) -> dict[str, list[str]]:
    """Give the modules to run, with their arguments: what is scored and logged grows as the flights do."""
    clock = growth_of(way, size).clock
    begin = clock - BATCH * (size if way == "history" else 1)
    logged = "template.benchmarks.parts.grown_predictions"
    commands = {
        "training": ["pipelines.training"],
        "batch": ["pipelines.batch", "--start", begin.isoformat(), "--end", clock.isoformat()],
        "predictions": [logged, str(LOGGED * size)],
        "parity": ["pipelines.parity"],
        "12 weeks": [logged, "weeks"],
        "labels": ["pipelines.labels"],
        "monitoring": ["pipelines.monitoring"],
    }
    return {name: ["-m", *command] for name, command in commands.items()}


def make_grown(way: str, size: int, folder: Path) -> tuple[Path, int]:
    """Lay out a clone whose first data version is the grown data; gives the number of flights too."""
    growth = growth_of(way, size)
    clone = make_clone(folder)
    (clone / "data.dvc").unlink()
    settings, staged = Settings(root=clone), clone / "staged"
    staged.mkdir()
    rows = write_grown(growth, staged)
    add_version(settings, staged, lambda _: None)
    set_clock(settings, growth.clock)
    return clone, rows


def run_command(
    name: str, arguments: list[str], environment: Mapping[str, str], case: tuple[str, int, str, int], limit: float
) -> Iterator[Measured]:
    """Run a command under a limit of memory, and measure by the lines that it prints; start and end are stages too."""
    way, size, engine, rows = case
    begins = "start, "
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watch, said = Watch(process.pid, limit), list[str]()
    try:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            closed, part = CLOSED.match(line), NOTED.match(line)
            if not (closed or part):
                continue
            elapsed, used, peak = watch.lap()
            stage = PARTS[part[1]] if part else SHOWN.get(closed[1], closed[1])
            yield Measured(way, size, engine, f"{name}: {begins}{stage}", rows, elapsed, used, peak, os.getloadavg()[0])
            begins = ""
        if process.wait():
            ended = f"{way} {size}: {name} ended with {process.returncode}"
            held = f", its processes held {watch.exceeded / GIB:.2f} GiB" if watch.exceeded else ""
            raise SystemExit(f"{ended}{held}\n{''.join(said[-30:])}")
        elapsed, used, peak = watch.lap()
        yield Measured(way, size, engine, f"{name}: end", rows, elapsed, used, peak, os.getloadavg()[0])
    finally:
        watch.end()
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End the flow and what it started, if it is still there."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.communicate()


def table(measured: list[Measured]) -> str:
    """Lay out a way of growth on an engine as a table: processor seconds and peak memory by size, and the exponent."""
    sizes = sorted({each.size for each in measured})
    by_stage: dict[str, dict[int, Measured]] = {}
    for each in measured:
        by_stage.setdefault(each.stage, {})[each.size] = each
    rows = {each.size: each.rows for each in measured}
    heads = [f"{size} times: {rows[size]:,} rows" for size in sizes]
    lines = [f"| stage | {' | '.join(heads)} | exponent |", "|---" * (len(sizes) + 2) + "|"]
    for stage, found in by_stage.items():
        cells = [
            f"{found[size].processor_seconds:.1f} s ({found[size].seconds:.0f}), {found[size].peak_bytes / GIB:.2f} GiB"
            if size in found
            else "not measured"
            for size in sizes
        ]
        lines.append(f"| {stage} | {' | '.join(cells)} | {exponent(list(found.values()))} |")
    return "\n".join(lines)


def exponent(found: list[Measured]) -> str:
    """Give the slope of the logarithm of processor seconds over that of rows, from the smallest size to the largest.

    Examples
    --------
    >>> stages = [Measured("keys", s, "duckdb", "fit", 100 * s, 0, 3.0 * s**1.5, 0, 0) for s in (1, 4)]
    >>> exponent(stages)
    '1.50'
    """
    if len(found) < 2 or max(each.processor_seconds for each in found) < LEAST_SECONDS:
        return ""
    rows = np.log([each.rows for each in found])
    seconds = np.log([max(each.processor_seconds, 0.01) for each in found])
    return f"{np.polyfit(rows, seconds, 1)[0]:.2f}"


def kept_in(way: str, size: int, engine: str) -> Path:
    """Say where a case is kept; once the data is the same either way."""
    return KEPT / f"{way if size > 1 else WAYS[0]}-{size}-{engine}.jsonl"


def read(file: Path) -> list[Measured]:
    """Read what was measured before."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Measured(**json.loads(line)) for line in lines]


def run_case(way: str, size: int, engine: str, limit: float) -> None:
    """Measure one size, if it has not been, and keep it when it is whole."""
    file = kept_in(way, size, engine)
    if any(each.stage == "all" for each in read(file)):
        print(f"{way} {size}: measured before, kept in {file.relative_to(ROOT)}", flush=True)
        return
    file.unlink(missing_ok=True)
    began = time.perf_counter()
    for each in measure(way, size, engine, limit):
        with file.open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(asdict(each)) + "\n")
        print(
            f"{way} {size}: {each.stage:14} {each.processor_seconds:7.1f} s of a processor, {each.seconds:7.1f} s, "
            f"{each.peak_bytes / GIB:5.2f} GiB, load {each.load:.1f}",
            flush=True,
        )
    print(f"{way} {size}: took {timedelta(seconds=round(time.perf_counter() - began))}", flush=True)


def main() -> None:
    """Measure each size that has not been, and print a table for each way of growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb")
    parser.add_argument(
        "--limit", type=float, default=8, help="GiB that the processes of a command may hold together; 0: any"
    )
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    for ending in (signal.SIGINT, signal.SIGTERM):  # in the background of a script the first is ignored
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        for size in sorted(set(options.sizes)):
            for way in options.ways:
                run_case(way, size, options.engine, options.limit)
    finally:
        for way in options.ways:
            files = [kept_in(way, size, options.engine) for size in sorted(set(options.sizes))]
            if found := [each for file in files for each in read(file)]:
                print(f"\nmore {way}, {options.engine}: seconds of a processor (by the clock), peak memory\n")
                print(table(found))


if __name__ == "__main__":
    outlive_reader()
    main()
