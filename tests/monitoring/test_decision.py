"""The rule: k of the last n windows and the latest, on labelled evidence; and what makes it say watch."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from flightline.core.problem_spec import Monitoring
from flightline.core.windows import Interval
from flightline.monitoring.decision import (
    Action,
    Basis,
    ColumnMismatch,
    Criterion,
    TooLittle,
    Unjudged,
    WindowEvidence,
    decide_monitoring,
    judge_window,
    make_reference,
    windows_until,
)
from flightline.monitoring.drift import InputProblem, InputWarning
from flightline.monitoring.window_metrics import Estimate, bin_edges, sum_by_day

RULE = Monitoring(windows=4, breaches=2)
DAY = timedelta(days=1)
NONE = Estimate(0, 0, 0)


def window(letter: str, number: int = 0) -> WindowEvidence:
    """Make a window: B in breach, o in order, h hard days only, u not judged, e empty."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + number * 7 * DAY
    span = Interval(start, start + 7 * DAY)
    if letter in "ue":
        unjudged = Unjudged(TooLittle.PREDICTIONS if letter == "e" else TooLittle.LABELS)
        return WindowEvidence(span, 0 if letter == "e" else 100, unjudged=unjudged)
    criteria = (
        Criterion("calibration", "gap", NONE, 1.0 if letter == "B" else 0.0, 2.0),
        Criterion("loss", "log_loss", NONE, 1.0 if letter == "h" else 0.0, 2.0, is_deciding=False),
    )
    return WindowEvidence(span, 100, {"labelled": 100}, 100, criteria=criteria)


def decide(letters: str, warnings: tuple[InputWarning, ...] = ()) -> Action:
    return decide_monitoring([window(letter, place) for place, letter in enumerate(letters)], RULE, warnings).action


TABLE = [
    ("oooo", Action.OK),
    ("oooB", Action.WATCH),
    ("ooBB", Action.RETRAIN),
    ("BooB", Action.RETRAIN),
    ("BBBB", Action.RETRAIN),
    ("ooBo", Action.OK),
    ("oBBo", Action.WATCH),
    ("BBBo", Action.WATCH),
    ("BoooB", Action.WATCH),
    ("BBoooo", Action.OK),
    ("oooh", Action.WATCH),
    ("hhhh", Action.WATCH),
    ("hhho", Action.OK),
    ("ooou", Action.WATCH),
    ("BBBu", Action.WATCH),
    ("uuuo", Action.OK),
    ("BuuB", Action.RETRAIN),
    ("eeee", Action.WATCH),
    ("eeeB", Action.WATCH),
    ("B", Action.WATCH),
    ("BB", Action.RETRAIN),
]


@pytest.mark.parametrize(("letters", "action"), TABLE)
def test_the_rule(letters, action):
    assert decide(letters) is action


@pytest.mark.parametrize(
    "broken",
    [
        {"breaches": 1},
        {"breaches": 3},
        {"windows": 5, "shown_windows": 12},
    ],
    ids=str,
)
def test_the_table_bites_a_rule_of_other_numbers(broken, monkeypatch):
    monkeypatch.setattr("tests.monitoring.test_decision.RULE", replace(RULE, **broken))
    assert [letters for letters, action in TABLE if decide(letters) is not action]


@pytest.mark.parametrize("always", [True, False])
def test_the_table_bites_windows_that_do_not_tell_breaches(always, monkeypatch):
    monkeypatch.setattr(WindowEvidence, "is_breached", property(lambda self: always))
    assert [letters for letters, action in TABLE if decide(letters) is not action]


@pytest.mark.parametrize(
    ("letters", "action"), [("oooo", Action.WATCH), ("ooBB", Action.RETRAIN), ("eeee", Action.WATCH)]
)
def test_what_is_wrong_with_inputs_asks_to_watch_and_never_to_retrain(letters, action):
    warning = InputWarning("temperature", InputProblem.MISSING, 1.0, 0.1)
    windows = [window(letter, place) for place, letter in enumerate(letters)]
    decision = decide_monitoring(windows, RULE, (warning,))
    assert decision.action is action
    assert decision.warnings == (warning,)
    assert (decision.latest, decision.breached, decision.windows) == (windows[-1], letters.count("B"), 4)
    assert decision.breaches == RULE.breaches


@pytest.mark.parametrize(
    ("letters", "basis"),
    [
        ("eeee", Basis.NO_PREDICTION),
        ("ooou", Basis.UNJUDGED),
        ("ooBB", Basis.BREACHES),
        ("oooB", Basis.LATEST_BREACH),
        ("oBBo", Basis.EARLIER_BREACHES),
        ("oooh", Basis.HARD_DAYS),
        ("oooo", Basis.NO_BREACH),
    ],
)
def test_a_decision_names_what_it_rests_on(letters, basis):
    decision = decide_monitoring([window(letter) for letter in letters], RULE)
    assert decision.basis is basis
    assert decision.is_judged is (basis not in (Basis.NO_PREDICTION, Basis.UNJUDGED))


def test_what_is_broken_in_the_data_asks_to_watch_and_is_named():
    anomaly = object()
    decision = decide_monitoring([window("o")], RULE, anomalies=[anomaly])
    assert (decision.action, decision.anomalies) == (Action.WATCH, (anomaly,))


def test_of_other_columns_nothing_is_decided():
    decision = decide_monitoring([window(letter) for letter in "BBBB"], RULE, mismatch=ColumnMismatch(("new",), ()))
    assert (decision.basis, decision.action, decision.is_judged) == (Basis.OTHER_COLUMNS, Action.WATCH, False)
    assert decision.mismatch == ColumnMismatch(("new",), ())


@pytest.mark.parametrize(
    ("lower", "upper", "is_breached"),
    [(0.0, 1.0, False), (1.0, 3.0, False), (2.5, 3.0, True), (-3.0, -2.5, True), (float("nan"), float("nan"), False)],
)
def test_a_criterion_is_breached_if_all_of_its_interval_is_outside(lower, upper, is_breached):
    assert Criterion("slope", "slope", Estimate(0.0, lower, upper), -2.0, 2.0).is_breached is is_breached


def rows_of(days: int = 7, each: int = 300, seed: int = 1, odds: float = 0.0, slope: float = 1.0, noise: float = 0.0):
    rng = np.random.default_rng(seed)
    times = pd.Series(pd.date_range("2026-01-01", periods=days, freq="D", tz="UTC").repeat(each))
    score = rng.normal(-1.5, 1, days * each)
    label = (rng.random(len(score)) < 1 / (1 + np.exp(-score))).astype(float)
    seen = -1.5 + slope * (score + 1.5) + odds + rng.normal(0, 1, len(score)) * noise
    predicted = 1 / (1 + np.exp(-seen))
    return sum_by_day("classification", "log_loss", times, label, predicted, bin_edges(predicted))


REFERENCE = make_reference(rows_of(days=60, seed=0), RULE)
SPAN = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC))


def judge(rows, predictions: int | None = None, other: int = 0) -> WindowEvidence:
    labelled = rows.rows if rows else 0
    outcomes = {"labelled": labelled, "cancelled": other}
    return judge_window(SPAN, predictions or labelled + other, outcomes, rows, REFERENCE, RULE)


def breached(evidence: WindowEvidence) -> set[str]:
    return {one.name for one in evidence.criteria if one.is_breached}


@pytest.mark.parametrize(
    ("shift", "named"),
    [
        ({}, set()),
        ({"odds": -0.8}, {"calibration", "promise"}),
        ({"odds": 0.8}, {"calibration"}),
        ({"slope": 2.5}, {"slope", "promise"}),
        ({"slope": 0.4}, {"slope"}),
        ({"noise": 6.0}, {"discrimination", "slope", "promise"}),
    ],
    ids=["none", "too low", "too high", "too bold", "too timid", "noise"],
)
def test_each_kind_of_damage_is_seen_by_its_criterion(shift, named):
    assert breached(judge(rows_of(**shift))) >= named
    assert bool(breached(judge(rows_of(**shift)))) is bool(named)


@pytest.mark.parametrize(
    ("rows", "predictions", "unjudged"),
    [
        (None, 0, Unjudged(TooLittle.PREDICTIONS)),
        (rows_of(), 7 * 300 * 2, Unjudged(TooLittle.COVERAGE, 0.5, 0.8)),
        (rows_of(each=10), None, Unjudged(TooLittle.LABELS, 70, 300)),
        (rows_of(days=3), None, Unjudged(TooLittle.DAYS, 3, 4)),
    ],
)
def test_a_window_of_which_too_little_is_known_is_not_judged(rows, predictions, unjudged):
    evidence = judge(rows, predictions)
    assert evidence.unjudged == unjudged
    assert evidence.criteria == ()
    assert decide_monitoring([evidence], RULE).action is Action.WATCH


def test_outcomes_without_a_label_are_known_outcomes():
    evidence = judge(rows_of(each=100), predictions=2_000, other=1_300)
    assert evidence.coverage == 1
    assert evidence.unjudged is None


def test_what_is_allowed_of_each_metric_and_which_of_them_decide():
    usual = {name: estimate.value for name, estimate in REFERENCE.metrics.items()}
    gap, slope = RULE.calibration_margin * REFERENCE.rows.label_deviation, RULE.slope_margin
    allowed = [
        ("promise", -np.inf, max(usual["excess"], 0) + RULE.promise_margin * usual["log_loss"], True),
        ("calibration", usual["gap"] - gap, usual["gap"] + gap, True),
        ("slope", usual["slope"] - slope, usual["slope"] + slope, True),
        ("loss", -np.inf, (1 + RULE.loss_margin) * usual["log_loss"], False),
        ("discrimination", 0.5 + (1 - RULE.skill_margin) * (usual["roc_auc"] - 0.5), np.inf, True),
    ]
    found = judge(rows_of())
    assert [(one.name, one.lowest, one.highest, one.is_deciding) for one in found.criteria] == allowed
    assert found.window == SPAN
    assert REFERENCE.span == Interval(SPAN.start, SPAN.start + 60 * DAY)


def test_a_regression_is_decided_by_its_loss():
    rng = np.random.default_rng(0)
    times = pd.Series(pd.date_range("2026-01-01", periods=7, freq="D", tz="UTC").repeat(300))
    truth = rng.normal(0, 1, 2100)
    good, bad = (
        sum_by_day("regression", "rmse", times, truth, truth + rng.normal(0, size, 2100), np.array([0.0]))
        for size in (0.2, 0.4)
    )
    evidence = judge_window(SPAN, 2100, {"labelled": 2100}, bad, make_reference(good, RULE), RULE)
    assert breached(evidence) >= {"loss"}
    assert evidence.is_breached


def test_a_window_is_judged_by_how_the_days_of_the_reference_hang_together():
    times = pd.Series(pd.date_range("2026-01-01", periods=120, freq="D", tz="UTC").repeat(50))
    apart = np.random.default_rng(1).normal(0, 0.5, 120)
    together = np.convolve(apart, np.ones(5) / np.sqrt(5), "same")
    week = rows_of_errors(times[: 50 * 7], np.repeat([-0.2, 0.9, 0.2, 0.8, 0.7, 0.3, 0.6], 50))
    judged = {
        name: judge_window(
            SPAN,
            week.rows,
            {"labelled": week.rows},
            week,
            make_reference(rows_of_errors(times, np.repeat(of - of.mean(), 50)), RULE),
            RULE,
        )
        for name, of in (("apart", apart), ("together", together))
    }
    assert judged["together"].metrics["gap"].lower < judged["apart"].metrics["gap"].lower
    assert "calibration" in breached(judged["apart"])
    assert "calibration" not in breached(judged["together"])


def rows_of_errors(times, error):
    """Rows of a regression, each wrong by so much."""
    return sum_by_day("regression", "rmse", times, error, np.zeros(len(error)), np.array([0.0]))


def test_windows_end_when_their_labels_are_known():
    clock = datetime(2026, 3, 10, 15, 4, 9, 26, tzinfo=UTC)
    windows = windows_until(clock, RULE)
    assert windows[-1].end == datetime(2026, 3, 8, tzinfo=UTC)
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert windows[-1].end + RULE.label_delay <= clock


@pytest.mark.parametrize("given", [{"breaches": 5}, {"breaches": 0}, {"windows": 20}, {"window": timedelta(hours=5)}])
def test_numbers_that_make_no_rule_are_refused(given):
    with pytest.raises(ValueError, match="monitoring"):
        Monitoring(**given)


def three_classes(seed: int, days: int = 7, shift: tuple[float, ...] = (0.0, 0.0, 0.0), slope: float = 1.0):
    """Labels drawn by a softmax, predicted with its logits stretched and shifted."""
    rng = np.random.default_rng(seed)
    times = pd.Series(pd.date_range("2026-01-01", periods=days, freq="D", tz="UTC").repeat(300))
    logits = rng.normal(0, 1.5, (300 * days, 3))
    share, predicted = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (logits, slope * logits + shift))
    label = (rng.random(len(logits))[:, None] > share.cumsum(axis=1)[:, :2]).sum(axis=1).astype(float)
    edges, classes = bin_edges(predicted), ("fog", "ice", "sun")
    return sum_by_day("multiclass", "log_loss", times, label, predicted, edges, classes)


@pytest.mark.parametrize(
    ("shift", "named"),
    [
        ({}, set()),
        ({"shift": (0.8, 0.0, 0.0)}, {"calibration of fog", "promise"}),
        ({"shift": (0.5, -0.5, 0.0)}, {"calibration of fog", "calibration of ice"}),
        ({"slope": 2.5}, {"confidence", "slope", "promise"}),
        ({"slope": 0.4}, {"confidence", "slope"}),
    ],
    ids=["none", "one class too high", "one for another", "too bold", "too timid"],
)
def test_each_kind_of_damage_of_several_classes_is_seen(shift, named):
    usual, rows = make_reference(three_classes(0, days=60), RULE), three_classes(1, **shift)
    evidence = judge_window(SPAN, rows.rows, {"labelled": rows.rows}, rows, usual, RULE)
    assert breached(evidence) >= named
    assert bool(breached(evidence)) is bool(named)
    assert [one.name for one in evidence.criteria if not one.is_deciding] == ["loss"]


def test_labels_of_one_of_several_classes_are_not_judged():
    rows = three_classes(1)
    silent = {name: values * (name not in ("observed of fog", "observed of ice")) for name, values in rows.sums.items()}
    only = replace(rows, sums=silent)
    evidence = judge_window(SPAN, rows.rows, {"labelled": rows.rows}, only, REFERENCE, RULE)
    assert evidence.unjudged == Unjudged(TooLittle.CLASSES, 1, 2)
