"""The promotion gate: a pure function from evidence to a verdict with its reasons and numbers.

docs/decisions/0007-the-gate.md says why it asks what it asks, and how often it errs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from flightline.core.problem_spec import Thresholds
from flightline.evaluation.bootstrap import Improvement, paired_improvement, paired_improvements
from flightline.promotion.evidence import Cost, Evidence, ExpectedModels
from flightline.promotion.evidence_checks import incomparable
from flightline.promotion.threshold_checks import NAN, Check, check_baseline, check_bounds, check_cost


class Decision(StrEnum):
    """What becomes of a challenger."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion, overall or in a slice: what a picture is drawn of.

    Parameters
    ----------
    name
        "overall", or the slice as ``column=value``.
    rows
        Test rows in it.
    champion_loss
        The champion's mean loss there; margins are shares of it.
    improvement
        With one-sided bounds; those of all slices hold at once.
    """

    name: str
    rows: int
    champion_loss: float
    improvement: Improvement


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Parameters
    ----------
    decision
        REJECT: not fit to serve, or the evidence is not what it should be. HOLD: fit, but no
        reason to replace the champion.
    reasons
        One sentence for each check that decided, with its numbers.
    checks
        Every number that was looked at.
    comparisons
        The differences from the champion; empty where there was none to compare with.
    warnings
        What a person should look at, whatever was decided.
    notes
        What a person may want to know; nothing was decided by it.
    """

    decision: Decision
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed_slices(self) -> int:
        """How many slices are not credibly worse."""
        return sum(bool(check.slice) and check.is_passed for check in self.checks)

    @property
    def notable_checks(self) -> tuple[Check, ...]:
        """The checks that a summary shows one by one: all but those of slices that passed."""
        return tuple(check for check in self.checks if not (check.slice and check.is_passed))


def decide_promotion(
    challenger: Evidence,
    baseline: Evidence,
    champion: Evidence | None,
    expected: ExpectedModels,
    thresholds: Thresholds,
    primary_metric: str,
    champion_unjudged: str = "",
) -> Verdict:
    """Decide whether the challenger becomes champion.

    Parameters
    ----------
    challenger, baseline, champion
        Evidence on the same test rows, the champion's on those that it has not learned from; None where there is none.
    expected
        Who they have to be, and on which window: not taken from the evidence.
    primary_metric
        The metric, lower is better, whose loss by day the evidence holds.
    champion_unjudged
        Why a champion that exists has no evidence, for example because it takes other
        features; empty otherwise.

    Returns
    -------
    Verdict
        REJECT if the evidence cannot be trusted or compared, a bound is broken, the model is
        implausibly good, or the baseline is not credibly beaten. HOLD if it is the champion
        itself, the champion cannot be judged, a slice is credibly worse, or neither an
        improvement nor a saving is credible. PROMOTE otherwise.
    """
    refused = incomparable(challenger, baseline, champion, expected)
    if refused:
        return Verdict(Decision.REJECT, refused)
    against_baseline = check_baseline(challenger, baseline, thresholds, primary_metric)
    bounds = check_bounds(challenger.summary.metrics, thresholds)
    checks = (*bounds, *check_cost(challenger.cost, thresholds), against_baseline)
    failed = tuple(check.words for check in checks if not check.is_passed)
    if failed:
        return Verdict(Decision.REJECT, failed, checks)
    passed = f"within all bounds, and {against_baseline.words}"
    if champion_unjudged:
        return Verdict(Decision.HOLD, (passed, champion_unjudged, "a person may decide: make promote"), checks)
    if champion is None:
        return Verdict(Decision.PROMOTE, (passed, "there is no champion yet"), checks)
    if champion.model == challenger.model:
        return Verdict(Decision.HOLD, ("the challenger is the champion: there is nothing to compare",), checks)
    comparisons = _compare(challenger, champion, thresholds)
    decision, reasons, more = _weigh(challenger, champion, comparisons, thresholds)
    return Verdict(decision, (passed, *reasons), (*checks, *more), comparisons)


def _compare(challenger: Evidence, champion: Evidence, thresholds: Thresholds) -> tuple[Comparison, ...]:
    own, theirs = challenger.compared, champion.summary
    overall = paired_improvement(own.losses, theirs.losses, thresholds.confidence)
    by_slice = paired_improvements(
        own.slices, theirs.slices, thresholds.confidence, thresholds.min_slice_rows, thresholds.min_days
    )
    return (
        Comparison("overall", own.losses.rows, theirs.losses.mean, overall),
        *(
            Comparison(name, own.slices[name].rows, theirs.slices[name].mean, improvement)
            for name, improvement in by_slice.items()
        ),
    )


def _weigh(
    challenger: Evidence, champion: Evidence, comparisons: tuple[Comparison, ...], thresholds: Thresholds
) -> tuple[Decision, tuple[str, ...], tuple[Check, ...]]:
    overall, *slices = comparisons
    days = _check_days(challenger, thresholds)
    better = _check_better(overall, thresholds)
    not_worse = _check_not_worse(overall, thresholds)
    cheaper = _check_cheaper(challenger.cost, champion.cost, thresholds)
    in_slices = tuple(_check_slice(comparison, thresholds) for comparison in slices)
    checks = (days, better, not_worse, cheaper, *in_slices)
    spoiled = tuple(check.words for check in (days, *in_slices) if not check.is_passed)
    learned = _say_learned(challenger, champion)
    if spoiled:
        return Decision.HOLD, (better.words, *spoiled, *learned), checks
    power = _say_power(slices, thresholds)
    if better.is_passed:
        return Decision.PROMOTE, (better.words, *power), checks
    if not_worse.is_passed and cheaper.is_passed:
        return Decision.PROMOTE, (better.words, not_worse.words, cheaper.words, *power), checks
    worse = () if not_worse.is_passed else (not_worse.words,)
    return Decision.HOLD, (better.words, *worse, cheaper.words, *power, *learned), checks


def _say_power(slices: Sequence[Comparison], thresholds: Thresholds) -> tuple[str, ...]:
    """Say which harm to a slice would have been seen: "not credibly worse" is not "no worse"."""
    seen = sorted((_smallest_seen(each, thresholds), each.name) for each in slices if each.champion_loss > 0)
    if not seen:
        return ()
    (least, best), (most, worst) = seen[0], seen[-1]
    return (
        f"no slice of {len(slices)} is credibly worse; a loss higher by {least:.1%} in {best} would have been seen, "
        f"in {worst} only one higher by {most:.1%}",
    )


def _smallest_seen(comparison: Comparison, thresholds: Thresholds) -> float:
    """Give the harm, as a share of the champion's loss there, that is seen every second time."""
    gain = comparison.improvement
    return thresholds.slice_margin + (gain.upper - gain.estimate) / comparison.champion_loss


def _say_learned(challenger: Evidence, champion: Evidence) -> tuple[str, ...]:
    own, theirs = challenger.learned_until, champion.learned_until
    if own is None or theirs is None:
        return ()
    if own <= theirs:
        return (
            f"it learned from no later rows than the champion (up to {own:%Y-%m-%d}, the champion {theirs:%Y-%m-%d})",
        )
    return (f"it learned from rows up to {own:%Y-%m-%d}, the champion up to {theirs:%Y-%m-%d}",)


def _check_days(challenger: Evidence, thresholds: Thresholds) -> Check:
    days = len(challenger.compared.losses.days)
    is_passed = days >= thresholds.min_days
    words = (
        f"{days} test days that neither has learned from are {'enough' if is_passed else 'too few'} to compare on "
        f"(at least {thresholds.min_days})"
    )
    return Check("test days", days, thresholds.min_days, is_passed, words)


def _check_better(overall: Comparison, thresholds: Thresholds) -> Check:
    gain, margin = overall.improvement, thresholds.promotion_margin * overall.champion_loss
    is_passed = gain.lower > margin
    if is_passed:
        result = "better than the champion"
    else:
        result = "worse than the champion" if gain.upper < 0 else "not credibly better than the champion"
    sure = f"at least {gain.lower:+.5f} and at most {gain.upper:+.5f}, each with {thresholds.confidence:.0%} confidence"
    words = f"{result}: mean loss lower by {gain.estimate:+.5f} ({sure}); more than {margin:.5f} is asked"
    return Check("improvement on the champion", gain.lower, margin, is_passed, words)


def _check_not_worse(overall: Comparison, thresholds: Thresholds) -> Check:
    worst, margin = -overall.improvement.lower, thresholds.non_inferiority_margin * overall.champion_loss
    is_passed = worst < margin
    result = "not inferior to the champion" if is_passed else "perhaps inferior to the champion"
    words = f"{result}: mean loss higher by at most {worst:+.5f}; less than {margin:.5f} is asked of a cheaper model"
    return Check("non-inferiority", worst, margin, is_passed, words)


def _check_cheaper(own: Cost | None, theirs: Cost | None, thresholds: Thresholds) -> Check:
    shares = _cost_shares(own, theirs)
    bound, allowed = 1 / thresholds.cheaper_by, 1 + thresholds.cost_noise
    is_passed = any(share <= bound for share in shares.values()) and all(share <= allowed for share in shares.values())
    ratios = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    words = (
        f"{'cheaper' if is_passed else 'not cheaper'} than the champion: times the champion's, {ratios}; asked is "
        f"{bound:.2f} in one and at most {allowed:.2f} in the others"
    )
    return Check("cost against the champion", min(shares.values()), bound, is_passed, words)


def _cost_shares(own: Cost | None, theirs: Cost | None) -> dict[str, float]:
    if own is None or theirs is None:
        return {"latency and size": NAN}
    return {
        "1 row": own.one_row_seconds / theirs.one_row_seconds,
        "1,000 rows": own.thousand_rows_seconds / theirs.thousand_rows_seconds,
        "size": own.size_bytes / theirs.size_bytes,
    }


def _check_slice(comparison: Comparison, thresholds: Thresholds) -> Check:
    least, margin = -comparison.improvement.upper, thresholds.slice_margin * comparison.champion_loss
    is_passed = least <= margin
    result = "not credibly worse" if is_passed else "credibly worse"
    words = (
        f"{comparison.name} is {result}: mean loss higher by {-comparison.improvement.estimate:+.5f}, "
        f"at least {least:+.5f} ({comparison.rows:,} rows); up to {margin:.5f} is allowed"
    )
    return Check(f"slice {comparison.name}", least, margin, is_passed, words, slice=comparison.name)
