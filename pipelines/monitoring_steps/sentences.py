"""What monitoring found, in sentences: for the terminal, for alerts and for the pages.

Every sentence is made of a decision's fields; nothing reads a sentence to learn what was found.
"""

import math
from collections.abc import Sequence

from flightline.core.problem_spec import Problem
from flightline.monitoring.behaviours import ByNature
from flightline.monitoring.daily_stats import Kind, Support
from flightline.monitoring.data_quality import DataAnomaly
from flightline.monitoring.decision import (
    Basis,
    ColumnMismatch,
    Criterion,
    MonitoringDecision,
    Reference,
    TooLittle,
    Unjudged,
    WindowEvidence,
)
from flightline.monitoring.drift import InputProblem, InputWarning
from flightline.monitoring.window_metrics import Estimate

MOST_NAMED = 4
MEANINGS = {
    "promise": "the loss above what the probabilities promise",
    "calibration": "label minus prediction, on average,",
    "confidence": "the share of right answers minus the mean probability of the answer",
    "slope": "the calibration slope (below 1: predictions too bold, above 1: too timid)",
    "discrimination": "ROC AUC",
    "loss": "the loss",
}
OF_A_CLASS = "the share of the class minus its mean probability"
DIFFERENCES = ("excess", "gap")  # metrics that are written with their sign, those of one class too
PLAIN = {
    Basis.NO_PREDICTION: "Nobody has asked the model yet",
    Basis.OTHER_COLUMNS: "What was asked does not fit this model",
    Basis.UNJUDGED: "Too little is known yet to say how good the model is",
    Basis.BREACHES: "The model is no longer good enough",
    Basis.LATEST_BREACH: "The newest results are worse than allowed, but not often enough to train again",
    Basis.EARLIER_BREACHES: "The newest results are good again, after some that were worse than allowed",
    Basis.HARD_DAYS: "The days were hard, and the model says so: it is as good as it promises",
    Basis.INPUTS: "The model is good enough, but what it is given has changed",
    Basis.NO_BREACH: "The model is as good as it was when it went into service",
}
_SOURCE = "its unit, its scale or its source has changed"
CAUSES = {
    Kind.MISSING: "its source or its join is broken",
    Kind.UNSEEN: "they were renamed, or are new",
    Kind.STUCK: "it no longer moves: a stuck sensor, or a table that is not filled any more",
    Kind.OUTSIDE: _SOURCE,
    Kind.RESCALED: _SOURCE,
    Kind.JUMPED: _SOURCE,
    Kind.LATE: "what fills it runs late",
}


def summary(decision: MonitoringDecision) -> str:
    """Give the action, why, and what is broken in the data, in one line."""
    repair = "first repair the data" if decision.basis is Basis.BREACHES else "the data is broken"
    broken = _first([f"{each.where} {each.kind} since {each.since}" for each in decision.anomalies])
    return f"{decision.action}: {headline(decision)}" + (f"; {repair}: {broken}" if broken else "")


def headline(decision: MonitoringDecision) -> str:
    """Say why the decision is what it is."""
    counted = f"{decision.breached} of the last {decision.windows} windows {_verb(decision.breached)} in breach"
    rule = f"{decision.breaches} and the latest ask for a retraining"
    problems = len(decision.anomalies) + len(decision.warnings)
    return {
        Basis.NO_PREDICTION: "nothing is decided, no prediction was logged in any window",
        Basis.OTHER_COLUMNS: f"nothing is decided, {mismatch(decision.mismatch)}",
        Basis.UNJUDGED: f"nothing is decided, the latest window cannot be judged: {unjudged(decision.latest.unjudged)}",
        Basis.BREACHES: f"{counted}, the latest among them ({rule})",
        Basis.LATEST_BREACH: f"the latest window is in breach, but only {counted} ({rule})",
        Basis.EARLIER_BREACHES: f"{counted}, but not the latest ({rule})",
        Basis.HARD_DAYS: "the loss is high, but no higher than the probabilities promise: hard days, or features that "
        "tell less",
        Basis.INPUTS: f"the labels show no breach, but the inputs show {problems} problem{'s' * (problems > 1)}",
        Basis.NO_BREACH: f"the latest window keeps all bounds, and {counted}",
    }[decision.basis]


def results(problem: Problem, windows: Sequence[WindowEvidence], reference: Reference) -> list[str]:
    """Say of the newest window with labels what was predicted, what happened, and how large the errors were."""
    latest = next((each for each in reversed(windows) if each.metrics), None)
    if latest is None:
        return []
    name, metric = problem.label, problem.primary_metric
    predicted = _amount(problem, latest.predicted)
    observed = _with_bounds(problem, latest.metrics["gap"].plus(latest.predicted))
    counted = f"{latest.labelled:,} predictions of {latest.window} with a known outcome"
    what = {
        "classification": f'Of {counted}, {observed} were "{name}"; the model expected {predicted}.',
        "multiclass": f"Of {counted}, {observed} were right; the model expected {predicted} to be.",
        "regression": f'In {counted}, "{name}" was {observed} on average; the model expected {predicted}.',
    }[problem.task]
    loss, usual = latest.metrics[metric].value, reference.metrics[metric].value
    limit = [f", and up to {each.highest:.4g} is usual" for each in latest.criteria if each.metric == metric]
    how = f"Their loss ({metric}, lower is better) was {loss:.4g}; on rows held out from training it was {usual:.4g}"
    return [what, f"{how}{''.join(limit)}."]


def _with_bounds(problem: Problem, found: Estimate) -> str:
    bounds = f" ({_amount(problem, found.lower)} to {_amount(problem, found.upper)})"
    return _amount(problem, found.value) + (bounds if math.isfinite(found.lower + found.upper) else "")


def _amount(problem: Problem, value: float) -> str:
    if problem.task == "regression":
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{min(max(value, 0), 1):.1%}"


def reasons(decision: MonitoringDecision) -> list[str]:
    """Give what the decision rests on, what is broken first: it may be why the labels differ."""
    latest = decision.latest
    differs = [mismatch(decision.mismatch)] if decision.mismatch else []
    if latest.unjudged:
        judged = [f"{latest.window}: {unjudged(latest.unjudged)}"]
    else:
        ordered = sorted(latest.criteria, key=lambda each: not each.is_breached)
        judged = [f"{latest.window}, {criterion(each)}" for each in ordered]
    return [*differs, *anomaly_lines(decision.anomalies), *map(warning, decision.warnings), *judged]


def criterion(found: Criterion) -> str:
    """Say what was measured, and what is allowed."""
    value, lower, upper = (
        _number(found, each) for each in (found.estimate.value, found.estimate.lower, found.estimate.upper)
    )
    meaning = MEANINGS.get(found.name, OF_A_CLASS)
    result = "breached" if found.is_breached else "kept"
    return f"{found.name} {result}: {meaning} is {value} ({lower} to {upper}); {allowed(found)} is allowed"


def allowed(found: Criterion) -> str:
    """Say between what a criterion's metric may lie."""
    lowest, highest = _number(found, found.lowest), _number(found, found.highest)
    if math.isinf(found.lowest):
        return f"up to {highest}"
    return f"at least {lowest}" if math.isinf(found.highest) else f"{lowest} to {highest}"


def _number(found: Criterion, value: float) -> str:
    return f"{value:+.4f}" if found.metric.startswith(DIFFERENCES) else f"{value:.4f}"


def breaches(window: WindowEvidence) -> str:
    """Name the criteria in breach, or say why the window is not judged."""
    return ", ".join(each.name for each in window.criteria if each.is_breached) or unjudged(window.unjudged) or "no"


def unjudged(why: Unjudged | None) -> str:
    """Say why a window is not judged; nothing if it is."""
    if why is None:
        return ""
    value, needed = why.value, why.needed
    return {
        TooLittle.PREDICTIONS: "no prediction",
        TooLittle.COVERAGE: f"the outcome of {value:.0%} of the predictions is known, at least {needed:.0%} is needed",
        TooLittle.LABELS: f"{value:,.0f} labels, at least {needed:,.0f} are needed",
        TooLittle.DAYS: f"labels of {value:.0f} days, at least {needed:.0f} are needed",
        TooLittle.CLASSES: "all labels are of the same class; look at their source",
        TooLittle.REFERENCE: "nothing to compare with: the champion has no held-out rows",
    }[why.too_little]


def mismatch(columns: ColumnMismatch | None) -> str:
    """Say how the logged features differ from the model's; nothing if they do not."""
    if columns is None:
        return ""
    parts = [f"{', '.join(columns.new)} not in the training set"] if columns.new else []
    parts += [f"{', '.join(columns.missing)} of the training set not logged"] if columns.missing else []
    return f"the logged features are not those of this model: {'; '.join(parts)}"


def warning(found: InputWarning) -> str:
    """Say what is wrong with a column or a feature view."""
    return {
        InputProblem.MISSING: f"{found.name} is missing in {found.value:.0%} of the predictions; up to "
        f"{found.limit:.0%} is allowed",
        InputProblem.DRIFTED: f"{found.name} has moved {found.value:.1f} times as far as its threshold; look whether "
        "its unit, its source or its spelling has changed, or whether it no longer moves",
        InputProblem.LAGGING: f"{found.name} was materialised more than {found.limit:.0f} h before too many "
        f"predictions: {found.value:.0f} h at the 95th percentile",
    }[found.problem]


def anomaly_lines(anomalies: Sequence[DataAnomaly]) -> list[str]:
    """Say what is broken, the columns with the same kind of anomaly since the same day together."""
    groups: dict[tuple[Kind, str], list[DataAnomaly]] = {}
    for each in anomalies:
        groups.setdefault((each.kind, each.since), []).append(each)
    return [_line(group) for group in groups.values()]


def _line(group: Sequence[DataAnomaly]) -> str:
    first, until = group[0], max(each.until for each in group)
    named, of_first = str(first.where), ""
    if len(group) > 1:
        named, of_first = f"{len(group)} columns", f" ({_first([str(each.where) for each in group])}), of the first"
    days = f"from {first.since} to {until}{of_first}"
    return f"data anomaly, {named} {first.kind} {days}: {seen(first)}; {CAUSES[first.kind]}"


def _range(support: Support) -> str:
    return f"{support.low:.4g} and above" if math.isinf(support.high) else f"{support.low:.4g} to {support.high:.4g}"


def behaviours(columns: Sequence[ByNature]) -> str:
    """Name the columns that are judged by how they move by nature, by hints and as training shows; nothing if none."""
    parts = []
    for source, is_hint in (("by a hint", True), ("as the training days show", False)):
        named: dict[str, list[str]] = {}
        for each in columns:
            if each.is_hint is is_hint:
                named.setdefault(each.behaviour, []).append(each.column)
        if named:
            parts.append(f"{source}: " + "; ".join(f"{what}: {_first(names)}" for what, names in named.items()))
    return "judged by their nature, " + ", and ".join(parts) if parts else ""


def seen(anomaly: DataAnomaly) -> str:
    """Say what was seen, and what is usual."""
    value, limit, before = anomaly.value, anomaly.limit, anomaly.before
    usual = f"up to {limit:.0%} is usual"
    match anomaly.kind:
        case Kind.MISSING:
            return f"{value:.0%} of the predictions have no value; {usual}"
        case Kind.UNSEEN:
            named = f" ({_first(anomaly.unseen)})" if anomaly.unseen else ""
            return f"{value:.0%} of the predictions have a category unknown to the training window{named}; {usual}"
        case Kind.OUTSIDE:
            span = f" ({_range(anomaly.support)})" if anomaly.support else ""
            return f"{value:.0%} of the predictions are outside the range of the training window{span}; {usual}"
        case Kind.STUCK:
            different = "one and the same value" if value >= 1 else f"{1 / value:.1f} different values in effect"
            return f"{different} on a whole day; at least {1 / limit:.1f} are usual"
        case Kind.JUMPED:
            grows = anomaly.support is not None and anomaly.support.behaviour == "grows"
            seen_mean = f"is {value:.3g}, expected {before:.3g}" if grows else f"went from {before:.3g} to {value:.3g}"
            usual = f"a {'difference' if grows else 'change'} of up to {limit:.3g} is usual"
            return f"the daily mean {seen_mean}; {usual}"
        case Kind.RESCALED:
            change = f"from {before:.3g} to {value:.3g}; a factor of up to {limit:.3g} is usual"
            return f"the daily standard deviation went {change}"
        case Kind.LATE:
            return f"the freshest values are {value:.0f} h old, {before:.0f} h before"


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _verb(count: int) -> str:
    return "is" if count == 1 else "are"
