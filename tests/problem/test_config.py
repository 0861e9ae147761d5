"""What the problem promises of itself: moments that can be compared, and a metric that the gate can use."""

from flightline.evaluation.losses import ROW_LOSSES
from flightline.problem.config import PROBLEM


def test_all_moments_of_the_problem_have_a_time_zone():
    windows = PROBLEM.windows.until(PROBLEM.first_clock)
    bounds = [
        bound for window in (windows.fit, windows.validation, windows.test) for bound in (window.start, window.end)
    ]
    assert all(moment.tzinfo is not None for moment in (*bounds, PROBLEM.first_clock, *PROBLEM.leak_test_moments))


def test_the_first_clock_stands_in_the_test_window():
    test = PROBLEM.windows.until(PROBLEM.first_clock).test
    assert test.start < PROBLEM.first_clock < test.end


def test_the_primary_metric_has_a_loss_by_row():
    assert PROBLEM.primary_metric in ROW_LOSSES[PROBLEM.task]


def test_at_the_first_clock_the_windows_are_those_of_the_readme():
    assert str(PROBLEM.windows.until(PROBLEM.first_clock)) == (
        "fit 2013-01-01 to 2013-07-01, validation 2013-07-01 to 2013-09-01, test 2013-09-01 to 2014-01-01"
    )
