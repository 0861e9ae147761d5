"""Whether the served model is still good enough: windows of labelled evidence to a decision with its reasons.

Labelled evidence decides; what is known of the inputs explains, and asks to watch (docs/decisions/0011-monitoring.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from flightline.core.problem_spec import Monitoring
from flightline.core.windows import Interval
from flightline.monitoring.data_quality import DataAnomaly
from flightline.monitoring.drift import InputWarning
from flightline.monitoring.window_metrics import DailyRows, Estimate, independence_of, measure, of_class

DAY = timedelta(days=1)


class Action(StrEnum):
    """What monitoring asks for."""

    OK = "ok"
    WATCH = "watch"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Criterion:
    """One metric of a window's labelled predictions, held against what is allowed.

    Parameters
    ----------
    name
        promise, calibration, slope, discrimination or loss; of a multiclass problem confidence in the place of
        calibration, and calibration of each class.
    metric
        See `window_metrics.metrics_of_days`.
    lowest, highest
        What is allowed; infinite where there is no such bound.
    is_deciding
        Whether a breach counts for a retraining, or only asks to watch.
    """

    name: str
    metric: str
    estimate: Estimate
    lowest: float
    highest: float
    is_deciding: bool = True

    @property
    def is_breached(self) -> bool:
        """Whether the metric credibly lies outside: all of its interval does."""
        return self.estimate.lower > self.highest or self.estimate.upper < self.lowest


class TooLittle(StrEnum):
    """Of what too little is known to judge a window."""

    PREDICTIONS = "predictions"
    COVERAGE = "coverage"
    LABELS = "labels"
    DAYS = "days"
    CLASSES = "classes"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Unjudged:
    """Why a window is not judged: how much is known of what, and how much is needed."""

    too_little: TooLittle
    value: float = 0
    needed: float = 1


@dataclass(frozen=True)
class ColumnMismatch:
    """Features that were logged and the model does not know, and those it learned from that were not logged."""

    new: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """What the champion was worth on rows it had not seen: what windows are held against."""

    rows: DailyRows
    metrics: Mapping[str, Estimate]
    span: Interval
    independence: Mapping[str, float] = field(default_factory=dict)  # of the days of a window, see `independence_of`


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
        Why it is not judged; None if it is.
    """

    window: Interval
    predictions: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    labelled: int = 0
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    predicted: float = math.nan  # the mean prediction of the labelled, as `DailyRows.mean_predicted`
    criteria: tuple[Criterion, ...] = ()
    unjudged: Unjudged | None = None

    @property
    def coverage(self) -> float:
        """The share of predictions whose outcome is known, with a label or without."""
        return sum(self.outcomes.values()) / self.predictions if self.predictions else 0.0

    @property
    def is_breached(self) -> bool:
        """Whether it counts for a retraining."""
        return any(each.is_breached and each.is_deciding for each in self.criteria)


class Basis(StrEnum):
    """What a decision rests on; see `ACTIONS`."""

    NO_PREDICTION = "no_prediction"
    OTHER_COLUMNS = "other_columns"
    UNJUDGED = "unjudged"
    BREACHES = "breaches"
    LATEST_BREACH = "latest_breach"
    EARLIER_BREACHES = "earlier_breaches"
    HARD_DAYS = "hard_days"
    INPUTS = "inputs"
    NO_BREACH = "no_breach"


UNDECIDED = (Basis.NO_PREDICTION, Basis.OTHER_COLUMNS, Basis.UNJUDGED)
ACTIONS = dict.fromkeys(Basis, Action.WATCH) | {Basis.BREACHES: Action.RETRAIN, Basis.NO_BREACH: Action.OK}


@dataclass(frozen=True)
class MonitoringDecision:
    """What monitoring came to.

    Parameters
    ----------
    basis
        What the decision rests on.
    latest
        The latest window, with its criteria.
    breached, windows
        How many of the last windows are in breach, and how many these are.
    breaches
        How many breaches, the latest window's among them, ask for a retraining.
    anomalies
        What is broken in the data: to be repaired before anything learns from it.
    warnings
        What else is wrong with the inputs.
    mismatch
        What keeps the logged features from being compared, if anything does.
    """

    basis: Basis
    latest: WindowEvidence
    breached: int
    windows: int
    breaches: int
    anomalies: tuple[DataAnomaly, ...] = ()
    warnings: tuple[InputWarning, ...] = ()
    mismatch: ColumnMismatch | None = None

    @property
    def action(self) -> Action:
        """See `Action`."""
        return ACTIONS[self.basis]

    @property
    def is_judged(self) -> bool:
        """Whether enough is known, and can be compared: if not, WATCH means that nothing is decided."""
        return self.basis not in UNDECIDED


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
    measured, of_window = (independence_of(rows, days) for days in (len(rows.days), rule.window.days))
    return Reference(rows, measure(rows, rule.confidence, measured), Interval(first, last + DAY), of_window)


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
    metrics = measure(rows, rule.confidence, reference.independence if reference else {}) if rows else {}
    labelled, predicted = (rows.rows, rows.mean_predicted) if rows else (0, math.nan)
    seen = WindowEvidence(window, predictions, dict(outcomes), labelled, metrics, predicted)
    unjudged = _why_unjudged(seen, rows, reference, rule)
    criteria = () if unjudged or reference is None else judge_metrics(metrics, reference, rule)
    return replace(seen, criteria=criteria, unjudged=unjudged)


def _why_unjudged(
    seen: WindowEvidence, rows: DailyRows | None, reference: Reference | None, rule: Monitoring
) -> Unjudged | None:
    needed = (
        Unjudged(TooLittle.PREDICTIONS, seen.predictions),
        Unjudged(TooLittle.COVERAGE, seen.coverage, rule.min_coverage),
        Unjudged(TooLittle.LABELS, seen.labelled, rule.min_labels),
        Unjudged(TooLittle.DAYS, len(rows.days) if rows else 0, rule.min_days),
        Unjudged(TooLittle.CLASSES, rows.observed_classes if rows else 2, 2),
        Unjudged(TooLittle.REFERENCE, int(reference is not None)),
    )
    return next((each for each in needed if each.value < each.needed), None)


def judge_metrics(metrics: Mapping[str, Estimate], reference: Reference, rule: Monitoring) -> tuple[Criterion, ...]:
    """Hold every metric that the task has against what is allowed of it."""
    usual = {name: estimate.value for name, estimate in reference.metrics.items()}
    loss, margin = reference.rows.metric, rule.calibration_margin * reference.rows.label_deviation
    promises, level = "excess" in metrics, "confidence" if reference.rows.classes else "calibration"
    allowed = [
        (level, "gap", usual["gap"] - margin, usual["gap"] + margin, True),
        ("slope", "slope", usual["slope"] - rule.slope_margin, usual["slope"] + rule.slope_margin, True),
        ("loss", loss, -math.inf, (1 + rule.loss_margin) * usual[loss], not promises),
    ]
    for name in reference.rows.classes:
        metric, margin = of_class("gap", name), rule.calibration_margin * reference.rows.class_deviation(name)
        allowed.append((of_class("calibration", name), metric, usual[metric] - margin, usual[metric] + margin, True))
    if promises:
        most = max(usual["excess"], 0.0) + rule.promise_margin * usual[loss]
        allowed.insert(0, ("promise", "excess", -math.inf, most, True))
    if "roc_auc" in metrics:
        least = 0.5 + (1 - rule.skill_margin) * (usual["roc_auc"] - 0.5)
        allowed.append(("discrimination", "roc_auc", least, math.inf, True))
    return tuple(
        Criterion(name, metric, metrics[metric], lowest, highest, is_deciding)
        for name, metric, lowest, highest, is_deciding in allowed
    )


def decide_monitoring(
    windows: Sequence[WindowEvidence],
    rule: Monitoring,
    warnings: Sequence[InputWarning] = (),
    anomalies: Sequence[DataAnomaly] = (),
    mismatch: ColumnMismatch | None = None,
) -> MonitoringDecision:
    """Decide by the rule: `breaches` of the last `windows`, and the latest.

    Parameters
    ----------
    windows
        The oldest first, the latest last.
    warnings
        What is wrong with the inputs (missing, stale): it asks to watch, never to retrain.
    anomalies
        What is broken in the data; the same holds for it.
    mismatch
        How the logged features differ from this model's, if they do: then nothing is decided.

    Returns
    -------
    MonitoringDecision
        RETRAIN if the latest window is in breach and enough of the last ones are. WATCH if the
        latest is in breach alone, is not judged, enough earlier ones are in breach, its loss
        is high though the promise is kept, or there are anomalies or warnings. OK otherwise.
    """
    last = windows[-rule.windows :]
    breached = sum(each.is_breached for each in last)
    basis = _why_undecided(windows, mismatch) or _basis(last[-1], breached, rule, bool(anomalies or warnings))
    return MonitoringDecision(
        basis, last[-1], breached, len(last), rule.breaches, tuple(anomalies), tuple(warnings), mismatch
    )


def _why_undecided(windows: Sequence[WindowEvidence], mismatch: ColumnMismatch | None) -> Basis | None:
    if mismatch:
        return Basis.OTHER_COLUMNS
    if not any(each.predictions for each in windows):
        return Basis.NO_PREDICTION
    return Basis.UNJUDGED if windows[-1].unjudged else None


def _basis(latest: WindowEvidence, breached: int, rule: Monitoring, is_warned: bool) -> Basis:
    is_enough = breached >= rule.breaches
    if latest.is_breached:
        return Basis.BREACHES if is_enough else Basis.LATEST_BREACH
    if is_enough:
        return Basis.EARLIER_BREACHES
    if any(each.is_breached for each in latest.criteria):
        return Basis.HARD_DAYS
    return Basis.INPUTS if is_warned else Basis.NO_BREACH
