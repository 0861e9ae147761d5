"""How often monitoring errs on a healthy test window, of whatever problem: also in a copy with an example's.

    python -m template.benchmarks.decisions.bench_false_alarms [--root PATH] [--drawn 1000]

Takes the newest training set and champion of a clone in which `make train` has run. The windows of the test window
are judged as they came; then as many days as a window has are drawn from it, in blocks. Data anomalies are those of
the windows as they came, by limits of the training window. The exit code is 1 if more than 5 % of the windows ask
for a retraining or name an anomaly; of few windows one alone does.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.windows import Interval
from flightline.monitoring.daily_stats import measure_days
from flightline.monitoring.data_quality import DataAnomaly, find_anomalies
from flightline.monitoring.decision import (
    Action,
    Reference,
    WindowEvidence,
    decide_monitoring,
    judge_window,
    make_reference,
)
from flightline.monitoring.limits import Limits, learn_limits
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
from flightline.problem.config import PROBLEM
from template.benchmarks.decisions.monitored_rows import Rows, read
from template.benchmarks.decisions.planted_faults import part_of

RULE = PROBLEM.monitoring
ALLOWED_FALSE = 0.05
DAY = timedelta(days=1)
BLOCKS = (1, 3)


def real_windows(days: Sequence[str]) -> list[tuple[Interval, np.ndarray]]:
    """Give the whole windows of the test window, in order, with the places of their days."""
    dates = pd.DatetimeIndex(days, tz="UTC")
    start, found = dates[0].to_pydatetime(), []
    while start + RULE.window <= dates[-1] + DAY:
        end = start + RULE.window
        found.append((Interval(start, end), np.flatnonzero((dates >= start) & (dates < end))))
        start = end
    return [(window, places) for window, places in found if len(places)]


def judge(daily: DailyRows, window: Interval, places: np.ndarray, reference: Reference) -> WindowEvidence:
    """Judge a window of these days, all of whose labels are known."""
    rows = daily.take(places)
    return judge_window(window, rows.rows, {"labelled": rows.rows}, rows, reference, RULE)


def drawn(
    daily: DailyRows, window: Interval, days: int, block: int, count: int, reference: Reference
) -> Iterator[WindowEvidence]:
    """Judge windows of days drawn with replacement, in blocks that followed one another."""
    rng, block = np.random.default_rng(block), min(block, days)
    for _ in range(count):
        starts = rng.integers(0, len(daily.days) - block + 1, -(-days // block))
        yield judge(daily, window, (starts[:, None] + np.arange(block)).ravel()[:days], reference)


def actions_of(judged: Sequence[WindowEvidence]) -> Counter[Action]:
    """Decide at the end of each window, with those before it."""
    ends = range(min(RULE.windows, len(judged)), len(judged) + 1)
    return Counter(decide_monitoring(judged[max(end - RULE.shown_windows, 0) : end], RULE).action for end in ends)


def anomalies(rows: Rows, limits: Limits) -> Iterator[list[DataAnomaly]]:
    """Look at the end of each real window, as the flow would."""
    days = measure_days(rows.features, rows.times, limits.supports, RULE)
    if not days.days:
        return
    for window, places in real_windows(days.days):
        yield find_anomalies(part_of(days, 0, places[-1] + 1), limits, RULE, f"{window.start:%Y-%m-%d}")


def show(name: str, judged: Sequence[WindowEvidence]) -> float:
    """Print a row; give the share of decisions that ask for a retraining."""
    actions, breached = actions_of(judged), np.mean([one.is_breached for one in judged])
    unjudged = sum(one.unjudged is not None for one in judged)
    shares = [actions[action] / max(actions.total(), 1) for action in (Action.RETRAIN, Action.WATCH)]
    print(f"| {name} | {len(judged)} | {unjudged} | {breached:.1%} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)
    return shares[0]


def main() -> int:
    """Judge, draw, look at the days, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a clone in which `make train` has run")
    parser.add_argument("--drawn", type=int, default=1000, help="windows for each length of block")
    options = parser.parse_args()
    rows = read(options.root)
    of = (PROBLEM.task, PROBLEM.primary_metric, rows.times, rows.label, rows.predicted)
    daily = sum_by_day(*of, bin_edges(rows.predicted), PROBLEM.classes)
    reference, windows = make_reference(daily, RULE), real_windows(daily.days)
    print(f"{PROBLEM.model_name}: {daily.rows:,} rows of {len(daily.days)} days; windows of {RULE.window.days} days")
    print("\n| healthy windows | windows | not judged | in breach | `retrain` | `watch` |\n|---|---|---|---|---|---|")
    worst = [show("as they came", [judge(daily, *each, reference) for each in windows])]
    usual = round(float(np.median([len(places) for _, places in windows])))
    for block in BLOCKS:
        judged = list(drawn(daily, windows[-1][0], usual, block, options.drawn, reference))
        worst.append(show(f"{usual} days drawn in blocks of {block}", judged))
    limits = learn_limits(rows.training_features, rows.training_times, RULE, PROBLEM.prediction_horizon)
    found = list(anomalies(rows, limits))
    named = [f"{each.where} {each.kind} {each.since}" for each in chain(*found)]
    share = sum(map(bool, found)) / max(len(found), 1)
    print(f"\n{sum(map(bool, found))} of {len(found)} windows name a data anomaly: {'; '.join(named) or 'none'}")
    behaviours = {
        name: support.behaviour for name, support in limits.supports.items() if support.behaviour != "ordinary"
    }
    print(f"moved by nature: {behaviours}")
    return 0 if max(*worst, share) <= ALLOWED_FALSE else 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
