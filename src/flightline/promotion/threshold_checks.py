"""What a model must reach by itself, whatever the champion is: bounds on metrics and cost, and the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from flightline.core.problem_spec import Thresholds
from flightline.evaluation.bootstrap import paired_improvement
from flightline.promotion.evidence import Cost, Evidence

NAN = float("nan")


@dataclass(frozen=True)
class Check:
    """One number that was held against a bound.

    Parameters
    ----------
    value, bound
        The number, and what it was held against.
    is_passed
        Whether it is on the right side; a number that is missing (NaN) is not.
    words
        The same as a sentence.
    slice
        Which slice, as ``column=value``; empty for all rows.
    """

    name: str
    value: float
    bound: float
    is_passed: bool
    words: str
    slice: str = ""


def check_bounds(metrics: Mapping[str, float], thresholds: Thresholds) -> tuple[Check, ...]:
    """Hold metrics against floors, ceilings and what is plausible; a missing one passes nothing."""
    return (
        *(_floor(name, metrics.get(name, NAN), floor) for name, floor in thresholds.floors.items()),
        *(_ceiling(name, metrics.get(name, NAN), ceiling) for name, ceiling in thresholds.ceilings.items()),
        *(_plausible(name, metrics.get(name, NAN), limit) for name, limit in thresholds.implausible.items()),
    )


def check_cost(cost: Cost | None, thresholds: Thresholds) -> tuple[Check, ...]:
    """Hold latency and size against their ceilings; a cost that was not measured passes nothing."""
    one, thousand, size = (cost.one_row_seconds, cost.thousand_rows_seconds, cost.size_bytes) if cost else (NAN,) * 3
    return (
        _ceiling("milliseconds for 1 row", 1e3 * one, 1e3 * thresholds.one_row_seconds_ceiling),
        _ceiling("milliseconds for 1,000 rows", 1e3 * thousand, 1e3 * thresholds.thousand_rows_seconds_ceiling),
        _ceiling("megabytes", 1e-6 * size, 1e-6 * thresholds.size_bytes_ceiling),
    )


def check_baseline(challenger: Evidence, baseline: Evidence, thresholds: Thresholds, metric: str) -> Check:
    """Demand that the challenger is credibly better than the baseline."""
    own, base = (evidence.summary.metrics.get(metric, NAN) for evidence in (challenger, baseline))
    gain = paired_improvement(challenger.summary.losses, baseline.summary.losses, thresholds.confidence)
    is_better = own < base and gain.lower > 0
    result = "better than the baseline" if is_better else "not better than the baseline"
    sure = f"improvement at least {gain.lower:.4f} with {thresholds.confidence:.0%} confidence"
    words = f"{result}: {metric} {own:.4f}, baseline {base:.4f}, {sure}"
    return Check("improvement on the baseline", gain.lower, 0.0, is_better, words)


def _floor(name: str, value: float, bound: float) -> Check:
    is_passed = value >= bound
    words = f"{name} {value:.4f} is {'not below' if is_passed else 'below'} its floor {bound:g}"
    return Check(f"{name}, floor", value, bound, is_passed, words)


def _ceiling(name: str, value: float, bound: float) -> Check:
    is_passed = value <= bound
    words = f"{name} {value:.4f} is {'not above' if is_passed else 'above'} its ceiling {bound:g}"
    return Check(f"{name}, ceiling", value, bound, is_passed, words)


def _plausible(name: str, value: float, limit: float) -> Check:
    words = f"{name} {value:.4f} is plausible (not above {limit:g})"
    if isnan(value):
        words = f"{name} is missing, so nothing shows it plausible"
    elif value > limit:
        words = f"{name} {value:.4f} is implausibly good (above {limit:g}): a feature has probably seen the label"
    return Check(f"{name}, plausible", value, limit, value <= limit, words)
