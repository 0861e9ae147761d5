"""What the service loses when it is killed and when its model changes, under load.

    python -m template.benchmarks.reliability [--times 20]

Runs `python -m serving` with two workers on a small real Feast store, and asks it over four
connections. Kills one worker, kills the whole service, moves the alias `champion` in a real
MLflow registry that the service's own model sync looks at; each so many times. Prints the table
of docs/reliability.md, and fails if an acknowledged prediction was lost or a request failed
while the alias moved. Reads no state of the clone.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flightline.adapters.event_clock import set_clock
from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from tests.support.servers.service_scenarios import Figures, flip_model, kill_service, kill_workers, registry_with_two
from tests.support.small_service import NOON
from tests.support.small_store import definitions_digest, make_store

HEADING = (
    "| what was done | times | requests sent | failed | predictions acknowledged | lost "
    "| seconds until back, median (range) |"
)
REAL = {"module": "serving"}


def flip_alias(root: Path, times: int) -> Figures:
    """Move the alias in a real registry, with the service's own model sync beside it."""
    with registry_with_two(root, definitions_digest(Settings(root=root))) as (contrary, crown):
        return flip_model(root, times, crown, contrary, watch=True, **REAL)


SCENARIOS: dict[str, Callable[[Path, int], Figures]] = {
    "`kill -9` of one of two workers": lambda root, times: kill_workers(root, times, watch=False, **REAL),
    "`kill -9` of the whole service": lambda root, times: kill_service(root, times, watch=False, **REAL),
    "alias `champion` moved": flip_alias,
}


def measure(scenario: Callable[[Path, int], Figures], times: int) -> Figures:
    """Run a scenario in a root of its own."""
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        settings = Settings(root=Path(folder))
        set_clock(settings, NOON)
        make_store(settings)
        return scenario(settings.root, times)


def row(name: str, figures: Figures) -> str:
    """Write a row of the table."""
    seconds = f"{statistics.median(figures.seconds):.1f} ({min(figures.seconds):.1f} to {max(figures.seconds):.1f})"
    failed = sum(figures.failed.values())
    counts = " | ".join(f"{n:,}" for n in (figures.times, figures.sent, failed, figures.acknowledged, figures.lost))
    return f"| {name} | {counts} | {seconds} |"


def main() -> int:
    """Print the table; 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    began, is_wrong = time.perf_counter(), False
    print(f"{HEADING}\n|---|---|---|---|---|---|---|", flush=True)
    causes = []
    for name, scenario in SCENARIOS.items():
        figures = measure(scenario, times)
        print(row(name, figures), flush=True)
        causes.append(f"{name}: {dict(figures.failed) or 'none'}")
        is_wrong = is_wrong or figures.lost > 0 or (scenario is flip_alias and bool(figures.failed))
    print("failed requests, by what the client saw:", *causes, sep="\n  ")
    print(f"load of the machine {os.getloadavg()[0]:.0f}, {time.perf_counter() - began:.0f} s in all")
    return 1 if is_wrong else 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
