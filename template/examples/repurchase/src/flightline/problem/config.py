"""CHANGE ME for your own problem: what is predicted, from when to when, and how good is good enough.

At 18:00 (UTC) of each Sunday, of each customer of a shop: the probability that the customer buys
within the 28 days that begin on Monday. Most do not; what is asked for is the few who do.
"""

from datetime import UTC, datetime, timedelta

from flightline.core.problem_spec import Canary, Monitoring, Problem, Thresholds
from flightline.core.purpose import Purpose
from flightline.core.windows import MovingWindows


def _day(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


PROBLEM = Problem(
    model_name="repurchase",
    task="classification",
    label="buys",
    entity_keys=("customer", "week"),
    request_columns=(),
    slices=(),
    feature_service="repurchase_v1",
    prediction_horizon=timedelta(hours=6),
    primary_metric="log_loss",
    # The calendar has one moment a week, so 84 days are 12 moments; the gate wants 10. Labels take 28 days, so the
    # last four or five weeks of fit and of validation are left out by themselves: they were not known when the next
    # window began. No settling is needed: both labels are known at the same time. All customers of the list came
    # by March 1997; before April the features of most would be those of newcomers.
    windows=MovingWindows(fit=_day(1997, 4, 1), validation=84, test=84, unit="days"),
    thresholds=Thresholds(
        # The share of buyers among those of the fit window with as many purchase days and as recent a last one
        # (naive rule: 5 x 5 cells) has on the validation window a ROC AUC of 0.80 and takes away 19% of a constant's
        # log-loss (0.220 of 0.270). The model must sort no worse. The loss itself depends on how many buy, which fell
        # all year; the ceiling only says that it must not be above the constant's.
        floors={"roc_auc": 0.79},
        ceilings={"log_loss": 0.27, "ece": 0.05},
        implausible={"roc_auc": 0.95},
        # Outcomes of neighbouring weeks overlap: bounds of a difference, which take each week as new, are too narrow.
        promotion_margin=0.005,
    ),
    purpose=Purpose(
        intended_use="A shop writes on Monday to customers who are likely to buy within four weeks, or are not.",
        limits=(
            "It says who will buy, not whom a letter makes buy: for that, leave some out by chance.",
            "Customers of one shop who came by March 1997; newcomers are not among them.",
        ),
    ),
    # Twelve weeks of data are left after it: four of predictions, and the 28 days until their labels are known.
    first_clock=_day(1998, 4, 5, hour=12),
    leak_test_moments=(_day(1997, 7, 9, hour=18), _day(1997, 10, 12, hour=14), _day(1998, 1, 15)),
    # Four Sundays a window; a label is known 28 days and 18 hours after its prediction time.
    monitoring=Monitoring(window=timedelta(days=28), label_delay=timedelta(days=29)),
    # Judged days are Sundays. The 28 days of four of them overlap, so four are one value; 24 Sundays are half a year.
    canary=Canary(block_days=4, max_days=24),
)
