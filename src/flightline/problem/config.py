"""CHANGE ME for your own problem: what is predicted, from when to when, and how good is good enough.

Two hours before the scheduled departure of a flight out of New York: the probability that it
will arrive 15 or more minutes late.
"""

from datetime import UTC, datetime, timedelta

from flightline.core.problem_spec import Problem, Thresholds
from flightline.core.purpose import Purpose
from flightline.core.windows import MovingWindows


def _day(month: int, day: int = 1, year: int = 2013, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


PROBLEM = Problem(
    model_name="flight-delay",
    task="classification",
    label="late",
    entity_keys=("origin", "dest", "carrier", "flight", "tailnum"),
    request_columns=("scheduled_departure",),
    slices=("origin", "carrier"),
    feature_service="flight_delay_v1",
    prediction_horizon=timedelta(hours=2),
    primary_metric="log_loss",
    windows=MovingWindows(fit=_day(1), validation=2, test=4),  # months; the test ends with the newest known label
    thresholds=Thresholds(
        floors={"roc_auc": 0.70, "pr_auc": 0.40},
        ceilings={"brier": 0.150, "ece": 0.05},
        implausible={"roc_auc": 0.95},
    ),
    purpose=Purpose(
        intended_use="Travellers and staff of an airport see two hours ahead how likely a flight is late, and may "
        "rebook, wait or plan. A probability, not a promise: one in ten flights with 10 % is late.",
        limits=(
            "Flights out of JFK, LGA and EWR as of 2013; another airport or year needs its own data.",
            "A cancelled or diverted flight has no label, so nothing is learned of either.",
            "It does not know why a flight will be late, and is no ground to blame an airline.",
        ),
    ),
    decision_threshold=0.5,
    first_clock=_day(12, 31, hour=12),
    leak_test_moments=(_day(3, 10, hour=22), _day(7, 1, hour=22), _day(11, 3, hour=22)),
)
