"""The moments of a simulation, in their order."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from flightline.core.errors import ClockError
from flightline.monitoring.replay_plan import Plan, arrivals_between

MIDNIGHT = datetime(2020, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_steps_meet_and_end_where_the_plan_does():
    steps = list(Plan(MIDNIGHT, MIDNIGHT + 49 * HOUR, 5 * HOUR).steps())
    assert steps[0][0] == MIDNIGHT
    assert [end for _, end in steps[:-1]] == [start for start, _ in steps[1:]]
    assert steps[-1][1] == MIDNIGHT + 49 * HOUR


def test_no_step_reaches_past_a_day():
    plan = Plan(MIDNIGHT + 8 * HOUR, MIDNIGHT + 56 * HOUR, 5 * HOUR)
    ends = {end for _, end in plan.steps()}
    assert {MIDNIGHT + 32 * HOUR, MIDNIGHT + 56 * HOUR} <= ends
    assert plan.day_end(plan.start) == MIDNIGHT + 32 * HOUR


@pytest.mark.parametrize(("hours", "step"), [(0, 1), (-1, 1), (1, 0)])
def test_a_plan_that_goes_nowhere_is_refused(hours, step):
    with pytest.raises(ClockError, match="expected a start before the end"):
        Plan(MIDNIGHT, MIDNIGHT + hours * HOUR, step * HOUR)


def test_examples_come_by_moment_in_order():
    moments = [MIDNIGHT + HOUR, MIDNIGHT, MIDNIGHT, MIDNIGHT + 2 * HOUR]
    examples = pd.DataFrame({"event_timestamp": moments, "example_id": ["c", "b", "a", "d"]})
    came = [
        (moment, rows["example_id"].tolist()) for moment, rows in arrivals_between(examples, *(moments[1], moments[3]))
    ]
    assert came == [(MIDNIGHT, ["a", "b"]), (MIDNIGHT + HOUR, ["c"])]
