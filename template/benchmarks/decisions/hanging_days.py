"""Part of `make bench-monitor`: healthy weeks whose days hang together, and what the monitor's bounds make of them.

The days are those of the test window, in an order in which the level of each (label less prediction) is so much like
that of the day before: a chain of normal numbers says which rank comes next. The reference of each sequence is as many
days of it as the test window has, so that how its days hang together is learned as the flow learns it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from flightline.monitoring.decision import Action, Reference, WindowEvidence, decide_monitoring
from flightline.monitoring.window_metrics import DailyRows, independence_of
from flightline.problem.config import PROBLEM

RULE = PROBLEM.monitoring
DAYS = RULE.window.days
ALIKE, WEEKS = (0.0, 0.3, 0.6), 28

Judge = Callable[[DailyRows, np.ndarray, Reference], WindowEvidence]


def show_hanging(daily: DailyRows, reference: Reference, judge: Judge, weeks: int) -> float:
    """Print how often such weeks ask for something; give the largest share of `retrain`."""
    print("\n| each day like the one before | weeks | 7 days are worth | in breach | `retrain` | as if independent |")
    print("|---|---|---|---|---|---|")
    worst = 0.0
    for alike in ALIKE:
        rng, known, blind, worth = np.random.default_rng(19), [], [], []
        for _ in range(max(1, weeks // WEEKS)):
            places = _in_order(daily, alike, rng)
            first, later = places[: len(daily.days)], places[len(daily.days) :].reshape(-1, DAYS)
            own = replace(reference, independence=independence_of(daily.take(first), DAYS))
            worth.append(DAYS * own.independence["gap"])
            known.append([judge(daily, week, own) for week in later])
            blind.append([judge(daily, week, replace(reference, independence={})) for week in later])
        breached = np.mean([[each.is_breached for each in sequence] for sequence in known])
        rate, without = (np.mean([_retrains(sequence) for sequence in judged]) for judged in (known, blind))
        shares = " | ".join(f"{share:.1%}" for share in (breached, rate, without))
        print(f"| {alike:.1f} | {len(known) * WEEKS} | {np.median(worth):.1f} | {shares} |", flush=True)
        worst = max(worst, float(rate))
    return worst


def _in_order(daily: DailyRows, alike: float, rng: np.random.Generator) -> np.ndarray:
    count = len(daily.days)
    level = (daily.sums["observed"] - daily.sums["predicted"]) / daily.sums["rows"]
    chain = rng.normal(size=count + WEEKS * DAYS)
    for day in range(1, len(chain)):
        chain[day] = alike * chain[day - 1] + np.sqrt(1 - alike**2) * chain[day]
    return np.argsort(level)[np.minimum((norm.cdf(chain) * count).astype(int), count - 1)]


def _retrains(judged: list[WindowEvidence]) -> list[bool]:
    ends = range(RULE.windows, len(judged) + 1)
    return [decide_monitoring(judged[end - RULE.windows : end], RULE).action is Action.RETRAIN for end in ends]
