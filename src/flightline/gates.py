"""The promotion gate: a pure function from evidence to a verdict with its reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isnan

from flightline.specification import Thresholds


class Decision(StrEnum):
    """What becomes of a challenger."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"


@dataclass(frozen=True)
class Evidence:
    """What one model was worth, and on which rows.

    Parameters
    ----------
    model
        What identifies the model: the digest of its file.
    metrics
        By name, on the test rows.
    rows_digest
        Which rows; see `evaluation.rows_digest`.
    """

    model: str
    metrics: Mapping[str, float]
    rows_digest: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Parameters
    ----------
    decision
        REJECT: not fit to serve. HOLD: fit, but no reason to replace the champion.
    reasons
        One sentence for each check that spoke, with its numbers.
    """

    decision: Decision
    reasons: tuple[str, ...]


def decide_promotion(
    challenger: Evidence,
    baseline: Evidence,
    champion: Evidence | None,
    thresholds: Thresholds,
    primary_metric: str,
    champion_unjudged: str = "",
) -> Verdict:
    """Decide whether the challenger becomes champion.

    Parameters
    ----------
    challenger, baseline, champion
        Evidence on the same test rows; champion is None where there is none yet.
    thresholds
        See `Thresholds`.
    primary_metric
        The metric, lower is better, in which baseline and champion must be met.
    champion_unjudged
        Why a champion that exists has no evidence, for example because it takes other
        features; empty otherwise.

    Returns
    -------
    Verdict
        REJECT if a bound is broken, the model is implausibly good, the baseline is not
        beaten, or the evidence is not comparable; HOLD if it is the champion itself, worse
        than it, or cannot be compared with it; PROMOTE otherwise.
    """
    faults = _incomparable(challenger, baseline, champion) or [
        *_broken_bounds(challenger.metrics, thresholds),
        *_not_better_than_baseline(challenger, baseline, primary_metric),
    ]
    if faults:
        return Verdict(Decision.REJECT, tuple(faults))
    own, base = challenger.metrics[primary_metric], baseline.metrics[primary_metric]
    passed = f"within all bounds and better than the baseline ({primary_metric} {own:.4f} < {base:.4f})"
    if champion_unjudged:
        return Verdict(Decision.HOLD, (passed, champion_unjudged, "a person may decide: make promote"))
    if champion is None:
        return Verdict(Decision.PROMOTE, (passed, "there is no champion yet"))
    if champion.model == challenger.model:
        return Verdict(Decision.HOLD, ("the challenger is the champion: there is nothing to compare",))
    theirs = champion.metrics.get(primary_metric, float("nan"))
    allowed = f"{theirs:.4f}" + (f" + {thresholds.tolerance:g}" if thresholds.tolerance else "")
    if not own <= theirs + thresholds.tolerance:
        return Verdict(Decision.HOLD, (passed, f"worse than the champion: {primary_metric} {own:.4f} > {allowed}"))
    return Verdict(Decision.PROMOTE, (passed, f"not worse than the champion: {primary_metric} {own:.4f} <= {allowed}"))


def _incomparable(challenger: Evidence, baseline: Evidence, champion: Evidence | None) -> list[str]:
    others = {"baseline": baseline} | ({"champion": champion} if champion else {})
    return [
        f"the {name} was judged on other rows ({other.rows_digest[:12]}) "
        f"than the challenger ({challenger.rows_digest[:12]})"
        for name, other in others.items()
        if other.rows_digest != challenger.rows_digest
    ]


def _broken_bounds(metrics: Mapping[str, float], thresholds: Thresholds) -> list[str]:
    # Written so that a missing or NaN metric breaks its bound.
    def value(name: str) -> float:
        return metrics.get(name, float("nan"))

    low = [f"{n} {value(n):.4f} is below its floor {f}" for n, f in thresholds.floors.items() if not value(n) >= f]
    high = [f"{n} {value(n):.4f} is above its ceiling {c}" for n, c in thresholds.ceilings.items() if not value(n) <= c]
    odd = [
        f"{n} {value(n):.4f} is implausibly good (above {limit}): a feature has probably seen the label"
        for n, limit in thresholds.implausible.items()
        if value(n) > limit
    ]
    missing = [f"{n} is missing, so nothing shows it plausible" for n in thresholds.implausible if isnan(value(n))]
    return [*low, *high, *odd, *missing]


def _not_better_than_baseline(challenger: Evidence, baseline: Evidence, metric: str) -> list[str]:
    own, base = challenger.metrics.get(metric, float("nan")), baseline.metrics.get(metric, float("nan"))
    return [] if own < base else [f"not better than the baseline: {metric} {own:.4f}, baseline {base:.4f}"]
