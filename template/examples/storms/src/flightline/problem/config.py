"""CHANGE ME for your own problem: what is predicted, from when to when, and how good is good enough.

At each fix of a tropical storm, anywhere on earth and the moment it is made: what the storm will be
24 hours later. When a storm comes, nobody knows a day ahead; so there is no horizon.
"""

from datetime import UTC, datetime, timedelta

from flightline.core.problem_spec import Canary, Monitoring, Problem, Thresholds
from flightline.core.purpose import Purpose
from flightline.core.windows import MovingWindows


def _day(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


PROBLEM = Problem(
    model_name="storm-class",
    task="multiclass",
    label="next_day",
    classes=("gone", "depression", "storm", "hurricane"),
    entity_keys=("storm", "basin"),
    request_columns=("fixed_at", "latitude", "longitude", "status", "wind", "pressure"),
    slices=("basin",),
    feature_service="storm_class_v1",
    prediction_horizon=timedelta(0),
    request_delay=timedelta(hours=2),  # a fix takes its time; the next hour it is published and among the features
    primary_metric="log_loss",
    # Whole years, so that both hemispheres have their seasons in each window.
    windows=MovingWindows(fit=_day(2013, 1, 1), validation=24, test=24),
    thresholds=Thresholds(
        # The shares among the fixes of the fit window with the same wind (naive rule) have a log-loss of 1.005 on the
        # validation window, where a constant has 1.318; their ROC AUC is 0.77, and 57% are of the likeliest class.
        floors={"roc_auc": 0.77, "accuracy": 0.56},
        ceilings={"log_loss": 1.0, "ece": 0.05},
        implausible={"roc_auc": 0.99},
        # Fixes of a storm hang together for days: bounds that take each day as new are too narrow.
        promotion_margin=0.005,
        slice_margin=0.05,
    ),
    purpose=Purpose(
        intended_use="An example of several classes: what a storm will be a day later, by its own past alone.",
        limits=(
            "No ground for a warning: forecasters have models of the atmosphere, and this has none.",
            "It says nothing of where a storm will be.",
        ),
    ),
    first_clock=_day(2024, 9, 1, hour=12),  # in the season: 987 fixes are left after it
    # Fixes of 06:00 and 18:00 are published at 09:00 and 21:00.
    leak_test_moments=(_day(2014, 9, 14, hour=7), _day(2017, 3, 7, hour=19), _day(2020, 8, 25, hour=7)),
    # 25 to 660 fixes a month, by season: of a quarter there are enough labels nearly always, of four weeks seldom.
    monitoring=Monitoring(window=timedelta(days=91), min_labels=200),
    # Four fixes make a day; a storm lives about a week.
    canary=Canary(block_days=7, min_rows=4),
)
