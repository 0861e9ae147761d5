"""The project's own problem as a team meets it half a year after its data begins, for `test_year_suite.py`.

What differs: `write_seed` gives the first months alone, the clock begins where they end, the windows are short enough
for them, and monitoring and canary are content with the few predictions that the test sends.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from flightline.core.problem_spec import Problem
from flightline.core.project import Project, RawTables
from flightline.core.settings import Settings
from flightline.core.windows import MovingWindows

OWN_PACKAGE = str(Settings.model_fields["problem_package"].default)
FIRST_MONTHS = 6
NOON = timedelta(hours=12)
LOOSER = 1.3  # of a ceiling that a whole year's model keeps


def make_project(settings: Settings) -> Project:
    """Build the project with the first months of its data as the seed."""
    own: Project = import_module(OWN_PACKAGE).make_project(settings)
    end = first_end(own.problem)
    return replace(
        own,
        problem=shortened(own.problem, end),
        load_raw_tables=lambda: replace(own.raw_tables, write_seed=first_seed(own.raw_tables, end)),
    )


def first_end(problem: Problem) -> datetime:
    """Say when the first months are over."""
    start = problem.windows.until(problem.first_clock).fit.start
    return start.replace(month=start.month + FIRST_MONTHS)


def shortened(problem: Problem, end: datetime) -> Problem:
    """Give the problem as it would be written for so few months."""
    start = problem.windows.until(problem.first_clock).fit.start
    right = problem.thresholds
    return replace(
        problem,
        windows=MovingWindows(fit=start, validation=1, test=2),
        first_clock=end + NOON,
        thresholds=replace(right, ceilings={name: LOOSER * most for name, most in right.ceilings.items()}),
        monitoring=replace(
            problem.monitoring, window=timedelta(days=28), windows=1, breaches=1, shown_windows=3, min_labels=100
        ),
        canary=replace(problem.canary, block_days=1, spread=0.5),
    )


def first_seed(raw: RawTables, end: datetime) -> Callable[[Path], None]:
    """Give what writes the seed without the months after the first."""

    def write_seed(target: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            raw.write_seed(Path(folder))
            for file in sorted(Path(folder).rglob("*.csv")):
                name = file.relative_to(folder)
                if len(name.parts) == 1 or name.stem < f"{end:%Y-%m}":
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    (target / name).write_bytes(file.read_bytes())

    return write_seed
