"""The project's own problem on the last months of its data, so that the whole loop takes seconds.

What differs from the problem as it is: the windows, where they begin before the data that is left; each floor and
ceiling may be missed by a share of what the right model reached here, which learned from less; monitoring is content
with fewer rows, and takes hours for days, because the simulation lives through hours.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module

from flightline.core.problem_spec import Monitoring, Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.core.windows import Interval, Windows
from tests.proof.planted import choices

OWN_PACKAGE = str(Settings.model_fields["problem_package"].default)
LEEWAY = 0.25
SEED_MARGIN = 0.1  # of the loss: what another seed must not gain, also where little is learned from
MIN_LABELS = 100
FEWEST_ROWS = 10  # of a day: what fewer have in common says nothing of a column
DAY = timedelta(days=1)


def make_project(settings: Settings) -> Project:
    """Build the project with its problem made small."""
    project: Project = import_module(OWN_PACKAGE).make_project(settings)
    chosen = choices()
    problem = with_leeway(project.problem, chosen.get("measured"), int(chosen.get("rows_a_day", MIN_LABELS)))
    start = datetime.fromisoformat(chosen["start"]) if "start" in chosen else datetime.min.replace(tzinfo=UTC)
    if problem.windows.until(problem.first_clock).fit.start < start:
        problem = with_windows(problem, start)
    return replace(project, problem=problem)


def with_leeway(problem: Problem, measured: Mapping[str, float] | None, rows_a_day: int) -> Problem:
    """Let a small part of the data be enough; no metric has a bound until it is known what the right model reaches."""
    right, leeway = problem.thresholds, {name: LEEWAY * abs(value) for name, value in (measured or {}).items()}
    floors, ceilings = {}, {}
    if measured is not None:
        floors = {name: min(least, measured[name] - leeway[name]) for name, least in right.floors.items()}
        ceilings = {name: max(most, measured[name] + leeway[name]) for name, most in right.ceilings.items()}
    margin = max(right.promotion_margin, SEED_MARGIN)
    thresholds = replace(right, floors=floors, ceilings=ceilings, promotion_margin=margin)
    monitoring = replace(
        problem.monitoring,
        # A label of hours is known at once here; one of weeks still takes them.
        label_delay=delay if (delay := problem.monitoring.label_delay) > Monitoring().label_delay else timedelta(0),
        max_lag=timedelta(hours=2),
        min_labels=min(problem.monitoring.min_labels, MIN_LABELS),
        min_anomaly_rows=judged_rows(problem, rows_a_day),
    )
    return replace(problem, thresholds=thresholds, monitoring=monitoring)


def judged_rows(problem: Problem, rows_a_day: int) -> int:
    """Say how many predictions a day needs here to be searched for data anomalies."""
    return min(problem.monitoring.min_anomaly_rows, max(rows_a_day // 2, FEWEST_ROWS))


def with_windows(problem: Problem, start: datetime) -> Problem:
    """Cut what lies between the first row and the clock into three windows, and put a leak test into the first."""
    third = (problem.first_clock - start) // DAY // 3 * DAY
    windows = Windows(
        fit=Interval(start, start + third),
        validation=Interval(start + third, start + 2 * third),
        test=Interval(start + 2 * third, problem.first_clock),
    )
    wanted = problem.leak_test_moments[0]
    middle = (start + third).replace(hour=wanted.hour, minute=wanted.minute)
    return replace(problem, windows=windows, leak_test_moments=(middle,))
