"""Task on anomalies of the data that was predicted from: what served days do, against the days of training."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Monitoring
from flightline.core.settings import Settings
from flightline.core.windows import Interval
from flightline.monitoring.daily_stats import BASELINE_DAYS, ColumnSlice, Days, Kind, measure_days
from flightline.monitoring.data_quality import DataAnomaly, find_anomalies, find_late, name_unseen
from flightline.monitoring.drift import sample_places
from flightline.monitoring.limits import Limits
from pipelines.common.retries import is_log_error
from pipelines.common.step import step
from pipelines.monitoring_steps.inputs import as_training, read_features
from pipelines.monitoring_steps.served import ServedRows

FRESH = 0.05  # the quantile that counts as a day's freshest values


@step(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def find_data_anomalies(
    settings: Settings,
    served: ServedRows,
    windows: list[Interval],
    clock: datetime,
    limits: Limits,
    rule: Monitoring,
) -> tuple[DataAnomaly, ...]:
    """Hold each whole day up to the clock against the training window; days need no labels to be looked at."""
    start = windows[-rule.windows].start - timedelta(days=BASELINE_DAYS)
    rows = served.between(Interval(start, whole_days(clock)), ["prediction_id", "prediction_time"])
    if rows.empty:
        return ()
    made = read_features(settings, list(rows["prediction_id"].to_numpy()[daily_places(rows, rule)]))
    kinds = {name: pd.Series(dtype=object if one.categories else float) for name, one in limits.supports.items()}
    given = as_training(made, pd.DataFrame(kinds))
    since = f"{windows[-1].start:%Y-%m-%d}"
    days = measure_days(given, made["prediction_time"], limits.supports, rule)
    ages = measure_ages(made, rule)
    found = name_unseen(find_anomalies(days, limits, rule, since), given)
    return (*found, *find_late(ages, rule, since))


def whole_days(clock: datetime) -> datetime:
    """Give the start of the clock's day: a day of which only the morning is known looks like an anomaly."""
    return clock.replace(hour=0, minute=0, second=0, microsecond=0)


def daily_places(rows: pd.DataFrame, rule: Monitoring) -> np.ndarray:
    """Draw from each day as many rows as are looked at."""
    by_day = rows.reset_index(drop=True).groupby(rows["prediction_time"].dt.floor("D").to_numpy()).indices
    return np.concatenate([part[sample_places(len(part), rule.anomaly_rows)] for part in by_day.values()])


def measure_ages(made: pd.DataFrame, rule: Monitoring) -> Days:
    """Give, by day and feature view, the age in hours of the freshest values that predictions were made of."""
    hours = pd.DataFrame(
        [
            {view: (clock - moment).total_seconds() / 3600 for view, moment in given.items()}
            for clock, given in zip(made["clock"], made["event_timestamps"], strict=True)
        ],
        index=made.index,
    )
    day = made["prediction_time"].dt.strftime("%Y-%m-%d")
    enough = day.map(day.value_counts()) >= rule.min_anomaly_rows
    fresh = hours[enough].groupby(day[enough]).quantile(FRESH)
    return Days(
        tuple(fresh.index), tuple(ColumnSlice(str(view)) for view in fresh.columns), {Kind.LATE: fresh.to_numpy(float)}
    )
