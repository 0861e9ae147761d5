"""How often monitoring errs: false alarms in healthy weeks, and how many weeks planted shifts take to be seen.

    python -m template.benchmarks.decisions.bench_monitor [--root PATH] [--sequences 400] [--weeks 12]

Takes the newest training set and champion of a clone in which `make train` has run. Healthy weeks
are days of the test window drawn with replacement, in blocks; a shift is planted in the same
days. The rule and its margins are the problem's own. The exit code is 1 if more than 5 % of the
healthy windows ask for a retraining.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.adapters.evidently_reports import drift_scores
from flightline.adapters.files.pipes import outlive_reader
from flightline.monitoring.decision import (
    Action,
    Reference,
    WindowEvidence,
    decide_monitoring,
    judge_window,
    make_reference,
    windows_until,
)
from flightline.monitoring.drift import (
    PREDICTION,
    ColumnDrift,
    drift_warnings,
    missing_warnings,
    month_thresholds,
    months_of,
    sample_places,
)
from flightline.monitoring.limits import learn_limits
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
from flightline.problem.config import PROBLEM
from template.benchmarks.decisions import planted_faults
from template.benchmarks.decisions.hanging_days import show_hanging
from template.benchmarks.decisions.monitored_rows import Rows, read

RULE = PROBLEM.monitoring
ALLOWED_FALSE = 0.05
BLOCKS = (1, 3, 7)
WINDOW = windows_until(PROBLEM.first_clock, RULE)[-1]
DAYS = RULE.window.days
NORMAL_WEEKS = RULE.windows - 1
SEASON_DAYS = 31


Shift = Callable[[Rows, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def by_day(rows: Rows, label: np.ndarray, predicted: np.ndarray, edges: np.ndarray) -> DailyRows:
    """Sum rows by day."""
    return sum_by_day(PROBLEM.task, PROBLEM.primary_metric, rows.examples["event_timestamp"], label, predicted, edges)


def more_labels(points: float) -> Shift:
    """Raise the base rate: so many of the 0 become 1, whatever was predicted."""

    def shift(rows: Rows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        turned = (rows.label == 0) & (rng.random(len(rows.label)) < points / (1 - rows.label.mean()))
        return np.where(turned, 1.0, rows.label), rows.predicted

    return shift


def scaled(slope: float, offset: float = 0.0) -> Shift:
    """Stretch the log-odds about their mean, or move them."""

    def shift(rows: Rows, _: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        odds = np.log(rows.predicted / (1 - rows.predicted))
        return rows.label, 1 / (1 + np.exp(-(odds.mean() + slope * (odds - odds.mean()) + offset)))

    return shift


def with_features(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Shift:
    """Ask the champion again with changed features."""
    return lambda rows, _: (rows.label, rows.ask(change(rows.features.copy())))


def _set(names: tuple[str, ...], change: Callable[[pd.Series], object]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(features: pd.DataFrame) -> pd.DataFrame:
        chosen = [name for name in features if name.startswith(names) and features[name].dtype == float]
        return features.assign(**{name: change(features[name]) for name in chosen})

    return apply


RECENT = ("origin_", "area_", "carrier_", "aircraft_", "last_")
FAULTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "delays delivered in hours, not minutes": lambda f: f.assign(
        **{name: f[name] / 60 for name in f if "delay" in name}
    ),
    "temperatures in Celsius, not Fahrenheit": _set(("temp", "dewp"), lambda v: (v - 32) / 1.8),
    "recent features frozen at their third quartile": _set(RECENT, lambda v: v.quantile(0.75)),
    "recent features frozen at their medians": _set(RECENT, lambda v: v.median()),
    "every number missing": _set(("",), lambda _: np.nan),
}
SHIFTS: dict[str, Shift] = {
    "label rate doubled": lambda rows, rng: more_labels(rows.label.mean())(rows, rng),
    "base rate up by 5 points": more_labels(0.05),
    "base rate up by 10 points": more_labels(0.10),
    "probabilities too bold: log-odds times 1.5": scaled(1.5),
    "probabilities too bold: log-odds times 2": scaled(2.0),
    "probabilities too timid: log-odds times 0.5": scaled(0.5),
    "probabilities too low: log-odds minus 0.5": scaled(1.0, -0.5),
    **{name: with_features(change) for name, change in FAULTS.items()},
}


def draw(rng: np.random.Generator, days: int, block: int) -> np.ndarray:
    """Draw a week of days in blocks that follow one another."""
    starts = rng.integers(0, days - block + 1, -(-DAYS // block))
    return (starts[:, None] + np.arange(block)).ravel()[:DAYS]


def judge(daily: DailyRows, places: np.ndarray, reference: Reference) -> WindowEvidence:
    """Judge a week of these days, all of whose labels are known."""
    rows = daily.take(places)
    return judge_window(WINDOW, rows.rows, {"labelled": rows.rows}, rows, reference, RULE)


def judged_days(daily: DailyRows, reference: Reference, weeks: int, block: int, seed: int) -> list[WindowEvidence]:
    """Judge weeks drawn at random."""
    rng = np.random.default_rng(seed)
    return [judge(daily, draw(rng, len(daily.days), block), reference) for _ in range(weeks)]


def show_false(daily: DailyRows, reference: Reference, weeks: int) -> tuple[float, list[WindowEvidence]]:
    """Print how often healthy weeks ask for something; give the largest share and the weeks of single days."""
    print("\n| healthy weeks: test days drawn in blocks of | weeks | in breach | `retrain` | `watch` | by criterion |")
    print("|---|---|---|---|---|---|")
    worst, kept = 0.0, []
    for block in BLOCKS:
        judged = judged_days(daily, reference, weeks, block, seed=block)
        actions = [
            decide_monitoring(judged[place - RULE.windows : place], RULE).action
            for place in range(RULE.windows, len(judged) + 1)
        ]
        retrain, watch = (np.mean([action is one for action in actions]) for one in (Action.RETRAIN, Action.WATCH))
        told = ", ".join(f"{name} {share:.1%}" for name, share in by_criterion(judged).items())
        breached = np.mean([one.is_breached for one in judged])
        print(f"| {block} | {weeks} | {breached:.1%} | {retrain:.1%} | {watch:.1%} | {told} |", flush=True)
        worst, kept = max(worst, float(retrain)), kept or judged
    return worst, kept


def by_criterion(judged: list[WindowEvidence]) -> dict[str, float]:
    """Give the share of windows in which each criterion is breached."""
    names = [one.name for one in judged[0].criteria]
    return {
        name: float(np.mean([{one.name: one.is_breached for one in window.criteria}[name] for window in judged]))
        for name in names
    }


def delays(
    healthy: list[WindowEvidence], shifted: list[WindowEvidence], sequences: int, weeks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give, for each sequence, after how many shifted weeks `retrain` and any alarm came; infinity if never."""
    rng, retrain, alarm = np.random.default_rng(5), [], []
    for _ in range(sequences):
        before = [healthy[place] for place in rng.integers(0, len(healthy), NORMAL_WEEKS)]
        after = [shifted[place] for place in rng.integers(0, len(shifted), weeks)]
        told = [decide_monitoring([*before, *after[:number]], RULE).action for number in range(1, weeks + 1)]
        retrain.append(next((i for i, one in enumerate(told, 1) if one is Action.RETRAIN), np.inf))
        alarm.append(next((i for i, one in enumerate(told, 1) if one is not Action.OK), np.inf))
    return np.array(retrain), np.array(alarm)


def shifted_days(rows: Rows, edges: np.ndarray) -> Iterator[tuple[str, DailyRows]]:
    """Plant each shift in every day."""
    for name, shift in SHIFTS.items():
        yield name, by_day(rows, *shift(rows, np.random.default_rng(7)), edges)


def show_delays(
    named: Iterator[tuple[str, DailyRows]],
    healthy: list[WindowEvidence],
    reference: Reference,
    sequences: int,
    weeks: int,
) -> None:
    """Print how long each shift goes unseen."""
    print(
        "\n| shift, found by labels | loss | breached weeks | days to `retrain`: median (90 %) | "
        f"never in {weeks} weeks | days to any alarm |"
    )
    print("|---|---|---|---|---|---|")
    for name, daily in named:
        shifted = judged_days(daily, reference, 200, 1, seed=11)
        retrain, alarm = delays(healthy, shifted, sequences, weeks)
        loss = daily.sums[PROBLEM.primary_metric].sum() / daily.rows
        middle, late = (_days(np.quantile(retrain, q, method="higher")) for q in (0.5, 0.9))
        breached = np.mean([one.is_breached for one in shifted])
        print(
            f"| {name} | {loss:.4f} | {breached:.0%} | {middle} ({late}) | {np.isinf(retrain).mean():.0%} | "
            f"{_days(np.median(alarm))} |",
            flush=True,
        )


def _days(weeks: float) -> str:
    """Say after how many days the flow can know: whole windows, and the delay of their labels."""
    return f"{weeks * DAYS + RULE.label_delay.days:.0f}" if np.isfinite(weeks) else "never"


def show_in_order(daily: DailyRows, reference: Reference) -> None:
    """Print the real weeks, as they came."""
    print("\n| the real weeks in order | label | prediction | loss | excess | ROC AUC | in breach | decision |")
    print("|---|---|---|---|---|---|---|---|")
    judged = []
    for first in range(0, len(daily.days) - DAYS + 1, DAYS):
        places = np.arange(first, first + DAYS)
        rows, one = daily.take(places), judge(daily, places, reference)
        judged.append(one)
        shares = (rows.sums[name].sum() / rows.rows for name in ("observed", "predicted"))
        numbers = [*shares, *(one.metrics[name].value for name in (PROBLEM.primary_metric, "excess", "roc_auc"))]
        named = ", ".join(each.name for each in one.criteria if each.is_breached) or "none"
        shown = " | ".join(f"{number:.3f}" for number in numbers)
        print(f"| {daily.days[first]} | {shown} | {named} | {decide_monitoring(judged, RULE).action} |")


def score_inputs(
    rows: Rows, usual: pd.DataFrame, thresholds: Mapping[str, float], features: pd.DataFrame, places: np.ndarray
) -> tuple[int, float, int]:
    """Give how many columns are above their own threshold, the farthest multiple, and how many ask to watch."""
    chosen = places[sample_places(len(places), RULE.drift_rows)]
    current = features.iloc[chosen].assign(**{PREDICTION: rows.ask(features.iloc[chosen])})
    scores = drift_scores(usual, current)
    missing, usually = current.isna().mean(), usual.isna().mean()
    columns = [ColumnDrift(name, scores[name], thresholds[name], missing[name], usually[name]) for name in thresholds]
    told = [*missing_warnings(columns, RULE.missing_margin), *drift_warnings(columns, RULE.drift_alarm)]
    excess = [one.excess for one in columns if np.isfinite(one.excess)]
    return sum(one.is_drifted for one in columns), max(excess, default=float("nan")), len(told)


def learn_inputs(rows: Rows) -> tuple[pd.DataFrame, dict[str, float]]:
    """Give a sample of the training window, and each column's threshold as the flow learns it."""
    frame = rows.training_features.assign(**{PREDICTION: rows.ask(rows.training_features)})
    thresholds = month_thresholds(frame, rows.training_times, RULE, drift_scores)
    return frame.iloc[sample_places(len(frame), RULE.drift_rows)], thresholds


def show_inputs(rows: Rows) -> None:
    """Print what the inputs alone tell, of healthy months and of faults in the last four weeks."""
    usual, thresholds = learn_inputs(rows)
    times = rows.examples["event_timestamp"].reset_index(drop=True)
    print(f"\n{len(thresholds)} columns, each with a threshold of its own\n")
    print("| inputs of a month | columns above their threshold | farthest, in thresholds | columns that ask to watch |")
    print("|---|---|---|---|")
    for place, month in enumerate(months_of(times, 1_000)):
        drifted, farthest, told = score_inputs(rows, usual, thresholds, rows.features, month)
        print(f"| healthy: month {place + 1} of the test window | {drifted} | {farthest:.1f} | {told} |", flush=True)
    for name, change in FAULTS.items():
        drifted, farthest, told = score_inputs(rows, usual, thresholds, change(rows.features.copy()), month)
        print(f"| {name}, in the last month | {drifted} | {farthest:.1f} | {told} |", flush=True)


def main() -> int:
    """Judge, resample, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a clone in which `make train` has run")
    parser.add_argument("--sequences", type=int, default=400, help="drawn for each shift")
    parser.add_argument("--weeks", type=int, default=12, help="of a shift, after which it counts as never seen")
    parser.add_argument("--healthy", type=int, default=2000, help="healthy weeks for each length of block")
    options = parser.parse_args()
    start, rows = time.perf_counter(), read(options.root)
    edges = bin_edges(rows.predicted)
    daily = by_day(rows, rows.label, rows.predicted, edges)
    reference = make_reference(daily, RULE)
    print(f"{daily.rows:,} labelled rows of {len(daily.days)} days; {RULE}")
    show_in_order(daily, reference)
    false, healthy = show_false(daily, reference, options.healthy)
    false = max(false, show_hanging(daily, reference, judge, options.healthy))
    show_delays(shifted_days(rows, edges), healthy, reference, options.sequences, options.weeks)
    places = np.arange(len(daily.days))
    earlier, later = daily.take(places[:-SEASON_DAYS]), daily.take(places[-SEASON_DAYS:])
    print(f"\nThe same for the last {SEASON_DAYS} days, another season, held against the days before them only:")
    season = iter([("labels of another season", later)])
    show_delays(season, healthy, make_reference(earlier, RULE), options.sequences, options.weeks)
    show_inputs(rows)
    limits = learn_limits(rows.training_features, rows.training_times, RULE, PROBLEM.prediction_horizon)
    faults = planted_faults.show_false(rows, limits)
    planted_faults.show_delays(rows, limits)
    print(
        f"\nfalse alarms: {false:.1%} of healthy weeks ask for a retraining, {faults:.1%} name a data anomaly; allowed "
        f"{ALLOWED_FALSE:.0%} each; {time.perf_counter() - start:.0f} s"
    )
    return 0 if max(false, faults) <= ALLOWED_FALSE else 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
