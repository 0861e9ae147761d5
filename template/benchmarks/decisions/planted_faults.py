"""Part of `make bench-monitor`: faults of the data, planted on many days, and how many days they go unseen.

The limits are those that the flow learns from the training window; the faults and the healthy
weeks are of the test window. The slack was chosen on weeks of the training window, each month
against limits of the others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from flightline.monitoring.daily_stats import BASELINE_DAYS, ColumnSlice, Days, Kind, measure_days
from flightline.monitoring.data_quality import DataAnomaly, find_anomalies, find_late
from flightline.monitoring.limits import Limits, learn_limits
from flightline.problem.config import PROBLEM
from pipelines.monitoring_steps.data_quality import FRESH
from template.benchmarks.decisions.monitored_rows import Rows

RULE = PROBLEM.monitoring
WEEK = RULE.window.days
BEFORE, AFTER, STEP = RULE.windows * WEEK + BASELINE_DAYS, 28, 4
KEPT_MONTHS = range(2, 9)  # in January the windows of 30 days are still filling
UNIT = {Kind.OUTSIDE, Kind.RESCALED, Kind.JUMPED}


@dataclass(frozen=True)
class Planted:
    """A fault: what it does to rows (given those before it), and what it must be called.

    Parameters
    ----------
    columns
        It is found if one of these is named.
    """

    name: str
    columns: tuple[str, ...]
    kinds: frozenset[Kind]
    change: Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], pd.DataFrame]


def _mapped(columns: tuple[str, ...], change: Callable[[pd.Series], object]) -> Callable[..., pd.DataFrame]:
    def apply(features: pd.DataFrame, *_: pd.DataFrame) -> pd.DataFrame:
        return features.assign(**{name: change(features[name]) for name in columns})

    return apply


def _celsius(values: pd.Series) -> pd.Series:
    return (values - 32) / 1.8


def _stuck(column: str, where: Sequence[str]) -> Callable[..., pd.DataFrame]:
    """Freeze a column at the last value of each origin."""

    def apply(features: pd.DataFrame, examples: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
        values = features[column].copy()
        for origin in where:
            values[(examples["origin"] == origin).to_numpy()] = before.loc[before["origin"] == origin, column].iloc[-1]
        return features.assign(**{column: values})

    return apply


def _renamed(carrier: str) -> Callable[..., pd.DataFrame]:
    """Send another code: the carrier's own features are not found by it either."""

    def apply(features: pd.DataFrame, *_: pd.DataFrame) -> pd.DataFrame:
        is_it = features["carrier"] == carrier
        own = [name for name in features if name.startswith(("carrier_", "flight_number_"))]
        changed = features.assign(carrier=features["carrier"].where(~is_it, "ZZ"))
        changed.loc[is_it, own] = np.nan
        return changed

    return apply


def _frozen(features: pd.DataFrame, _: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in features if name.startswith(("origin_dep", "origin_arr", "area_"))]
    return features.assign(**{name: before[name].median() for name in names})


def _in_hours(features: pd.DataFrame, *_: pd.DataFrame) -> pd.DataFrame:
    return features.assign(**{name: features[name] / 60 for name in features if name.endswith("delay")})


DELAYS = ("origin_departures_3h_mean_delay", "carrier_arrivals_6h_mean_delay", "turn_delay")
ORIGINS = ("EWR", "JFK", "LGA")
STUCK, GONE, NEW = frozenset({Kind.STUCK}), frozenset({Kind.MISSING}), frozenset({Kind.UNSEEN})
PLANTED = (
    Planted(
        "temperatures in Celsius, not Fahrenheit",
        ("temp", "dewp"),
        frozenset(UNIT),
        _mapped(("temp", "dewp"), _celsius),
    ),
    Planted(
        "temperature in Celsius at EWR alone",
        ("temp",),
        frozenset(UNIT),
        lambda features, *_: features.assign(
            temp=features["temp"].where(features["origin"] != "EWR", _celsius(features["temp"]))
        ),
    ),
    Planted("delays in hours, not minutes", DELAYS, frozenset(UNIT), _in_hours),
    Planted("thermometers stuck at all origins", ("temp",), STUCK, _stuck("temp", ORIGINS)),
    Planted("thermometer stuck at EWR alone", ("temp",), STUCK, _stuck("temp", ORIGINS[:1])),
    Planted("delays of the origin frozen", ("origin_departures_3h_mean_delay",), STUCK, _frozen),
    Planted("a carrier renamed, 17 % of the flights", ("carrier",), NEW, _renamed("UA")),
    Planted("a carrier renamed, 4 % of the flights", ("carrier",), NEW, _renamed("WN")),
    Planted("air pressure gone null", ("pressure",), GONE, _mapped(("pressure",), lambda _: np.nan)),
    Planted(
        "last delay of the aircraft gone null",
        ("turn_delay",),
        GONE,
        _mapped(("turn_delay",), lambda _: np.nan),
    ),
)


def part_of(days: Days, first: int, end: int) -> Days:
    """Give some of the days."""
    first = max(first, 0)
    return Days(days.days[first:end], days.columns, {kind: found[first:end] for kind, found in days.measures.items()})


def alarms_by_week(days: Days, limits: Limits, first: int = 0) -> list[list[DataAnomaly]]:
    """Look at the end of each week, as the flow would."""
    ends = range(first + WEEK, len(days.days) + 1, WEEK)
    return [find_anomalies(part_of(days, end - BEFORE, end), limits, RULE, days.days[end - WEEK]) for end in ends]


def left_out_weeks(rows: Rows) -> Iterator[list[DataAnomaly]]:
    """Look at the weeks of each training month with limits of the other months: what the slack was chosen on."""
    times = rows.training_times
    for month in KEPT_MONTHS:
        others = (times.dt.month != month).to_numpy()
        known = _kept(rows.training_features, others), _kept(times, others)
        limits = learn_limits(*known, RULE, PROBLEM.prediction_horizon)
        near = times.dt.month.isin([month - 1, month]).to_numpy()
        days = measure_days(_kept(rows.training_features, near), _kept(times, near), limits.supports, RULE)
        first = next(place for place, day in enumerate(days.days) if int(day[5:7]) == month)
        yield from alarms_by_week(days, limits, first)


def _kept(rows: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    return rows[mask].reset_index(drop=True)


def show_false(rows: Rows, limits: Limits) -> float:
    """Print how many healthy weeks have a data anomaly; give the share in the test window."""
    print("\n| healthy weeks | weeks | with a data anomaly | share (95 % interval) | which |")
    print("|---|---|---|---|---|")
    tested = alarms_by_week(measure_days(rows.features, rows.times, limits.supports, RULE), limits)
    _row("test window, limits of the training window", tested)
    _row("February to August, each month with limits of the others", list(left_out_weeks(rows)))
    _row("May to August, limits of January to April", _elsewhere(rows, range(1, 5), range(5, 9)))
    _row("April, limits of May to December", _elsewhere(rows, range(5, 13), range(4, 5)))
    return sum(map(bool, tested)) / len(tested)


def _elsewhere(rows: Rows, learned: range, judged: range) -> list[list[DataAnomaly]]:
    """Look at the weeks of some months with limits of others."""
    times = pd.concat([rows.training_times, rows.times], ignore_index=True)
    features = pd.concat([rows.training_features, rows.features], ignore_index=True)
    known = times.dt.month.isin(learned).to_numpy()
    limits = learn_limits(_kept(features, known), _kept(times, known), RULE, PROBLEM.prediction_horizon)
    near = times.dt.month.isin([judged[0] - 1, *judged]).to_numpy()
    days = measure_days(_kept(features, near), _kept(times, near), limits.supports, RULE)
    return alarms_by_week(days, limits, next(n for n, day in enumerate(days.days) if int(day[5:7]) == judged[0]))


def _row(name: str, weeks: list[list[DataAnomaly]]) -> None:
    count = sum(map(bool, weeks))
    bounds = binomtest(count, len(weeks)).proportion_ci(0.95)
    told = "; ".join(f"{ones[0].where} {ones[0].kind} {ones[0].since}" for ones in weeks if ones) or "none"
    share = f"{count / len(weeks):.1%} ({bounds.low:.1%} to {bounds.high:.1%})"
    print(f"| {name} | {len(weeks)} | {count} | {share} | {told} |", flush=True)


def fault_delays(rows: Rows, limits: Limits, planted: Planted) -> np.ndarray:
    """Plant a fault at midnight of many days; give how many days later its name is told, infinity if never."""
    day = rows.times.dt.strftime("%Y-%m-%d").to_numpy()
    days = np.unique(day)
    return np.array(
        [
            _delay(rows, limits, planted, day, days[start - 2 * WEEK : start], days[start : start + AFTER])
            for start in range(2 * WEEK, len(days) - AFTER, STEP)
        ]
    )


def _delay(
    rows: Rows, limits: Limits, planted: Planted, day: np.ndarray, before: np.ndarray, after: np.ndarray
) -> float:
    healthy, hit = np.isin(day, before), np.isin(day, after)
    known = rows.features[healthy]
    changed = planted.change(rows.features[hit], rows.examples[hit], known)
    frame = pd.concat([rows.features[healthy], changed], ignore_index=True)[list({*planted.columns, "origin"})]
    times = pd.concat([rows.times[healthy], rows.times[hit]], ignore_index=True)
    measured = measure_days(frame, times, limits.supports, RULE)
    for number in range(1, len(after) + 1):
        found = find_anomalies(part_of(measured, 0, len(before) + number), limits, RULE, after[0])
        if any(one.kind in planted.kinds and one.column in planted.columns for one in found):
            return number
    return np.inf


def late_delays(rows: Rows) -> np.ndarray:
    """Let every feature view be a day late from some day on; give after how many days one is named."""
    ages, late = measured_ages(rows, 0), measured_ages(rows, 24)
    found = []
    for start in range(2 * WEEK, len(ages.days) - AFTER, STEP):
        hours = np.concatenate([ages.measures[Kind.LATE][start - 2 * WEEK : start], late.measures[Kind.LATE][start:]])
        days = Days(ages.days[start - 2 * WEEK :], ages.columns, {Kind.LATE: hours})
        found.append(
            next(
                (
                    float(number)
                    for number in range(1, AFTER + 1)
                    if find_late(part_of(days, 0, 2 * WEEK + number), RULE, ages.days[start])
                ),
                np.inf,
            )
        )
    return np.array(found)


def measured_ages(rows: Rows, late_hours: int) -> Days:
    """Give by day and view the age of the freshest values, views materialised every hour, or so much later."""
    asked = rows.times.dt.floor("h") - pd.Timedelta(hours=late_hours)
    day, ages = rows.times.dt.strftime("%Y-%m-%d"), {}
    for file in sorted(rows.tables.glob("*.parquet")):
        table = pd.read_parquet(file)
        keys = [name for name in table if name in rows.examples and name != "event_timestamp"]
        if not keys or "slot" in table:
            continue
        given = rows.examples[keys].assign(asked=asked, place=np.arange(len(asked))).dropna().sort_values("asked")
        given = given.astype({name: table[name].dtype for name in keys})
        known = table[[*keys, "event_timestamp"]].sort_values("event_timestamp")
        known = known.astype({"event_timestamp": given["asked"].dtype})
        found = pd.merge_asof(given, known, left_on="asked", right_on="event_timestamp", by=keys).set_index("place")
        ages[file.stem] = (rows.times - found["event_timestamp"]).dt.total_seconds() / 3600
    fresh = pd.DataFrame(ages).groupby(day).quantile(FRESH)
    return Days(tuple(fresh.index), tuple(map(ColumnSlice, fresh.columns)), {Kind.LATE: fresh.to_numpy(float)})


def late_alarms(rows: Rows) -> int:
    """Count the healthy days after which a view is called late."""
    return len(find_late(measured_ages(rows, 0), RULE, "2000"))


def show_delays(rows: Rows, limits: Limits) -> None:
    """Print how many days each fault goes unnamed."""
    print(
        "\n| fault, found by the days of the data | named as | "
        f"found within {AFTER} days | delay in days: median (90 %) |"
    )
    print("|---|---|---|---|")
    for planted in PLANTED:
        kinds = "/".join(kind for kind in Kind if kind in planted.kinds)
        _print_delays(planted.name, f"{', '.join(planted.columns)}: {kinds}", fault_delays(rows, limits, planted))
    _print_delays("features a day late", "the views: late", late_delays(rows))
    print(f"\n{late_alarms(rows)} views are called late on the healthy days of the test window")


def _print_delays(name: str, named: str, delays: np.ndarray) -> None:
    middle, late = (np.quantile(delays, q, method="higher") for q in (0.5, 0.9))
    told = " (".join(f"{one:.0f}" if np.isfinite(one) else "never" for one in (middle, late))
    print(f"| {name} | {named} | {np.isfinite(delays).sum()} of {len(delays)} | {told}) |", flush=True)
