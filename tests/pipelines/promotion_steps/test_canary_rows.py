"""Which days of a canary are judged: those that are over, and of which enough is known."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from flightline.monitoring.labels import LABELLED
from pipelines.promotion_steps.canary_rows import judge_days
from tests.toy_problem import PROBLEM

DAY = pd.Timestamp("2026-03-02", tz="UTC")
RULE = PROBLEM.canary
ROWS = 2 * RULE.min_rows
OVER = (DAY + timedelta(days=1) + PROBLEM.prediction_horizon + PROBLEM.monitoring.label_delay).to_pydatetime()


def pairs(known: int, without_label: int = 0) -> pd.DataFrame:
    """One day of pairs, of so many of which the outcome is known, and of so many of these it has no label."""
    place = np.arange(ROWS)
    outcome = np.where(place < known, np.where(place < without_label, "closed", LABELLED), None)
    return pd.DataFrame(
        {
            "prediction_time": DAY + pd.to_timedelta(place, unit="min"),
            "champion": 0.5,
            "challenger": np.where(place % 2, 0.75, 0.25),
            "outcome": outcome,
            "label": np.where(outcome == LABELLED, place % 2, np.nan).astype(float),
        }
    )


@pytest.mark.parametrize(
    ("rows", "clock", "judged"),
    [
        (pairs(ROWS), OVER, 1),
        (pairs(ROWS), OVER - timedelta(seconds=1), 0),
        (pairs(int(np.ceil(ROWS * RULE.min_coverage))), OVER, 1),
        (pairs(int(np.ceil(ROWS * RULE.min_coverage)) - 1), OVER, 0),
        (pairs(ROWS, without_label=ROWS - RULE.min_rows), OVER, 1),
        (pairs(ROWS, without_label=ROWS - RULE.min_rows + 1), OVER, 0),
    ],
    ids=["all known", "not over", "as many as asked", "one fewer", "outcomes without a label count", "too few labels"],
)
def test_a_day_is_judged_when_it_is_over_and_enough_is_known(rows, clock, judged):
    assert len(judge_days(rows, PROBLEM, clock)) == judged


def test_the_gain_is_the_champions_loss_less_the_challengers():
    (day,) = judge_days(pairs(ROWS), PROBLEM, OVER)
    assert (day.pairs, day.champion_loss) == (ROWS, pytest.approx(np.log(2)))
    assert day.gain == pytest.approx(np.log(2) - np.log(4 / 3))
