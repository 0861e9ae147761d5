"""Whether the served model is still good enough: windows of labelled evidence to a decision with its reasons.

Labelled evidence decides; what is known of the inputs (drift, missing, stale) explains, and
asks to watch. docs/decisions/0011-monitoring.md says why it asks what it asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from flightline.core.problem_spec import Interval, Monitoring
from flightline.monitoring.data_quality import DataFault, fault_warnings, name_faults
from flightline.monitoring.window_metrics import DailyRows, Estimate, measure

DAY = timedelta(days=1)


class Action(StrEnum):
    """What monitoring asks for."""

    OK = "ok"
    WATCH = "watch"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Criterion:
    """One question to a window's labelled predictions.

    Parameters
    ----------
    name
        promise, calibration, slope, discrimination or loss.
    estimate
        What was measured.
    bounds
        Between what it may lie, credibly.
    is_breached
        Whether it credibly lies outside.
    is_deciding
        Whether a breach counts for a retraining, or only asks to watch.
    words
        All of it in a sentence.
    """

    name: str
    estimate: Estimate
    bounds: tuple[float, float]
    is_breached: bool
    is_deciding: bool
    words: str


@dataclass(frozen=True)
class Reference:
    """What the champion was worth on rows it had not seen: what windows are held against."""

    rows: DailyRows
    metrics: Mapping[str, Estimate]
    span: Interval


@dataclass(frozen=True)
class WindowEvidence:
    """What is known of the predictions of a window.

    Parameters
    ----------
    window
        Of prediction times.
    predictions
        Instances that were predicted.
    outcomes
        How many of them have each outcome, the labelled ones included.
    metrics
        By name, see `window_metrics.metrics_of_days`; empty without labels.
    criteria
        Empty if the window is not judged.
    unjudged
        Why it is not judged; empty otherwise.
    """

    window: Interval
    predictions: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    labelled: int = 0
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()
    unjudged: str = ""

    @property
    def coverage(self) -> float:
        """The share of predictions whose outcome is known, with a label or without."""
        return sum(self.outcomes.values()) / self.predictions if self.predictions else 0.0

    @property
    def is_breached(self) -> bool:
        """Whether it counts for a retraining."""
        return any(one.is_breached and one.is_deciding for one in self.criteria)


@dataclass(frozen=True)
class MonitoringDecision:
    """What monitoring came to.

    Parameters
    ----------
    action
        See `Action`.
    summary
        The decision and why, in one sentence.
    reasons
        What it rests on, one sentence each.
    breached
        How many of the last windows are in breach.
    faults
        What is broken in the data: to be mended before anything learns from it.
    is_judged
        False if too little is known, or what was logged cannot be compared: then WATCH means that nothing is decided.
    """

    action: Action
    summary: str
    reasons: tuple[str, ...]
    breached: int
    faults: tuple[DataFault, ...] = ()
    is_judged: bool = True


def windows_until(clock: datetime, rule: Monitoring) -> list[Interval]:
    """Give the windows to look at, the oldest first; the last one ends `label_delay` before the clock's day.

    Examples
    --------
    >>> from datetime import UTC
    >>> windows = windows_until(datetime(2026, 1, 31, 12, tzinfo=UTC), Monitoring())
    >>> str(windows[-1]), len(windows)
    ('2026-01-22 to 2026-01-29', 12)
    """
    end = (clock - rule.label_delay).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = [end - number * rule.window for number in range(rule.shown_windows)]
    return [Interval(one - rule.window, one) for one in reversed(ends)]


def make_reference(rows: DailyRows, rule: Monitoring) -> Reference:
    """Measure the champion's own held-out rows."""
    first, last = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (rows.days[0], rows.days[-1]))
    return Reference(rows, measure(rows, rule.confidence), Interval(first, last + DAY))


def judge_window(
    window: Interval,
    predictions: int,
    outcomes: Mapping[str, int],
    rows: DailyRows | None,
    reference: Reference | None,
    rule: Monitoring,
) -> WindowEvidence:
    """Measure a window and hold it against the reference.

    Parameters
    ----------
    predictions
        How many instances were predicted.
    outcomes
        How many of them have each outcome by now.
    rows
        Those with a label, by day; None if there is none.
    reference
        None if nothing is known of the champion.
    """
    labelled = rows.rows if rows else 0
    metrics = measure(rows, rule.confidence) if rows else {}
    seen = WindowEvidence(window, predictions, dict(outcomes), labelled, metrics)
    unjudged = _why_unjudged(seen, rows, reference, rule)
    criteria = () if unjudged or reference is None else judge_metrics(metrics, reference, rule)
    return WindowEvidence(window, predictions, dict(outcomes), labelled, metrics, criteria, unjudged)


def _why_unjudged(seen: WindowEvidence, rows: DailyRows | None, reference: Reference | None, rule: Monitoring) -> str:
    days = len(rows.days) if rows else 0
    if not seen.predictions:
        return "no prediction"
    if seen.coverage < rule.min_coverage:
        known, asked = f"{seen.coverage:.0%}", f"{rule.min_coverage:.0%}"
        return f"the outcome of {known} of the predictions is known, at least {asked} is asked"
    if seen.labelled < rule.min_labels:
        return f"{seen.labelled:,} labels, at least {rule.min_labels:,} are asked"
    if days < rule.min_days:
        return f"labels of {days} days, at least {rule.min_days} are asked"
    if rows and rows.task == "classification" and rows.sums["observed"].sum() in (0, rows.rows):
        only = int(rows.sums["observed"].sum() > 0)
        return f"all {rows.rows:,} labels are the same, {only}; look at their source"
    return "" if reference else "nothing to compare with: the champion has no held-out rows"


def judge_metrics(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> tuple[Criterion, ...]:
    """Ask every question that the task has."""
    asked = [_calibration(metrics, reference, rule), _slope(metrics, reference, rule), _loss(metrics, reference, rule)]
    if "excess" in metrics:
        asked.insert(0, _promise(metrics, reference, rule))
    if "roc_auc" in metrics:
        asked.append(_discrimination(metrics, reference, rule))
    return tuple(asked)


def _promise(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> Criterion:
    found, loss = metrics["excess"], reference.metrics[reference.rows.metric].value
    most = max(reference.metrics["excess"].value, 0.0) + rule.promise_margin * loss
    is_breached = found.lower > most
    words = (
        f"{reference.rows.metric} is {found.value:+.4f} against what the probabilities promise "
        f"(at least {found.lower:+.4f}); up to {most:+.4f} is allowed"
    )
    return Criterion("promise", found, (float("-inf"), most), is_breached, True, words)


def _calibration(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> Criterion:
    found, middle = metrics["gap"], reference.metrics["gap"].value
    margin = rule.calibration_margin * reference.rows.label_deviation
    least, most = middle - margin, middle + margin
    is_breached = found.lower > most or found.upper < least
    words = (
        f"labels are {found.value:+.4f} against predictions on average ({found.lower:+.4f} to {found.upper:+.4f}); "
        f"{least:+.4f} to {most:+.4f} is allowed"
    )
    return Criterion("calibration", found, (least, most), is_breached, True, words)


def _slope(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> Criterion:
    found, middle = metrics["slope"], reference.metrics["slope"].value
    least, most = middle - rule.slope_margin, middle + rule.slope_margin
    is_breached = found.lower > most or found.upper < least
    words = (
        f"calibration slope is {found.value:.2f} ({found.lower:.2f} to {found.upper:.2f}; smaller means predictions "
        f"too bold, larger too timid); {least:.2f} to {most:.2f} is allowed"
    )
    return Criterion("slope", found, (least, most), is_breached, True, words)


def _discrimination(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> Criterion:
    found = metrics["roc_auc"]
    least = 0.5 + (1 - rule.skill_margin) * (reference.metrics["roc_auc"].value - 0.5)
    words = f"ROC AUC is {found.value:.3f} (at most {found.upper:.3f}); at least {least:.3f} is asked"
    return Criterion("discrimination", found, (least, float("inf")), found.upper < least, True, words)


def _loss(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> Criterion:
    name, decides = reference.rows.metric, "excess" not in metrics
    found, usual = metrics[name], reference.metrics[name].value
    most = (1 + rule.loss_margin) * usual
    words = (
        f"{name} is {found.value:.4f} (at least {found.lower:.4f}), {usual:.4f} in the reference; "
        f"up to {most:.4f} is allowed"
    )
    return Criterion("loss", found, (float("-inf"), most), found.lower > most, decides, words)


def decide_monitoring(
    windows: Sequence[WindowEvidence],
    rule: Monitoring,
    warnings: Sequence[str] = (),
    faults: Sequence[DataFault] = (),
    incomparable: str = "",
) -> MonitoringDecision:
    """Decide by the rule: `breaches` of the last `windows`, and the latest.

    Parameters
    ----------
    windows
        The oldest first, the latest last.
    warnings
        What is wrong with the inputs (missing, stale): it asks to watch, never to retrain.
    faults
        What is broken in the data; the same holds for it.
    incomparable
        Why the logged predictions are not those of this model, if they are not: then nothing is decided.

    Returns
    -------
    MonitoringDecision
        RETRAIN if the latest window is in breach and enough of the last ones are. WATCH if the
        latest is in breach alone, is not judged, enough earlier ones are in breach, its loss
        is high though the promise is kept, or there are faults or warnings. OK otherwise.
    """
    last = list(windows[-rule.windows :])
    breached = sum(one.is_breached for one in last)
    told = [*fault_warnings(faults), *warnings]
    latest = last[-1]
    unjudged = incomparable or _why_nothing(windows, latest)
    if unjudged:
        action, summary = Action.WATCH, f"watch: nothing is decided, {unjudged}"
    else:
        action, summary = _judge(latest, breached, len(last), rule, told)
    broken = "; first mend the data: " if action is Action.RETRAIN else "; the data is broken: "
    named = f"{broken}{name_faults(faults)}" if faults else ""
    # What is broken is told first: it may be why the labels differ.
    reasons = (*([incomparable] if incomparable else []), *told, *_reasons(latest))
    return MonitoringDecision(action, summary + named, reasons, breached, tuple(faults), not unjudged)


def _why_nothing(windows: Sequence[WindowEvidence], latest: WindowEvidence) -> str:
    if not any(one.predictions for one in windows):
        return "no prediction was logged in any window"
    return f"the latest window cannot be judged: {latest.unjudged}" if latest.unjudged else ""


def _judge(
    latest: WindowEvidence, breached: int, last: int, rule: Monitoring, told: Sequence[str]
) -> tuple[Action, str]:
    counted = f"{breached} of the last {last} windows {'is' if breached == 1 else 'are'} in breach"
    asked = f"{rule.breaches} and the latest ask for a retraining"
    is_enough = breached >= rule.breaches
    if latest.is_breached and is_enough:
        return Action.RETRAIN, f"retrain: {counted}, the latest among them ({asked})"
    why = _why_watch(latest, is_enough, counted, asked, told)
    if why:
        return Action.WATCH, f"watch: {why}"
    return Action.OK, f"ok: the latest window keeps all bounds, and {counted}"


def _why_watch(latest: WindowEvidence, is_enough: bool, counted: str, asked: str, warnings: Sequence[str]) -> str:
    if latest.is_breached:
        return f"the latest window is in breach, but only {counted} ({asked})"
    if is_enough:
        return f"{counted}, but not the latest ({asked})"
    if any(one.is_breached for one in latest.criteria):
        return "the loss is high, but no higher than the probabilities promise: hard days, or features that tell less"
    return f"the labels show no breach, but {len(warnings)} thing(s) are wrong with the inputs" if warnings else ""


def _reasons(latest: WindowEvidence) -> list[str]:
    if latest.unjudged:
        return [f"{latest.window}: {latest.unjudged}"]
    ordered = sorted(latest.criteria, key=lambda one: not one.is_breached)
    return [f"{latest.window}, {one.name} {'BREACHED' if one.is_breached else 'kept'}: {one.words}" for one in ordered]
