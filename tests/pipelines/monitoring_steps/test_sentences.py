"""The sentences of monitoring: each is made of the fields of what was found."""

from dataclasses import replace

import pytest

from flightline.monitoring.behaviours import ByNature
from flightline.monitoring.daily_stats import ColumnSlice, Kind, Support
from flightline.monitoring.decision import Basis, ColumnMismatch, Criterion, TooLittle, Unjudged
from flightline.monitoring.drift import InputProblem, InputWarning
from flightline.monitoring.window_metrics import Estimate
from pipelines.monitoring_steps import sentences
from tests.pipelines.monitoring_steps.decisions import anomaly, decision, inputs, judged


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.MISSING, 0.9, "90% of the predictions have no value; up to 10% is usual"),
        (Kind.UNSEEN, 0.9, "90% of the predictions have a category unknown to the training window (C); up to 10%"),
        (Kind.OUTSIDE, 0.9, "90% of the predictions are outside the range of the training window (0 to 9); up to 10%"),
        (Kind.STUCK, 1.0, "one and the same value on a whole day; at least 10.0 are usual"),
        (Kind.STUCK, 0.5, "2.0 different values in effect on a whole day; at least 10.0 are usual"),
        (Kind.JUMPED, 0.9, "the daily mean went from 0.2 to 0.9; a change of up to 0.1 is usual"),
        (Kind.RESCALED, 0.9, "the daily standard deviation went from 0.2 to 0.9; a factor of up to 0.1 is usual"),
        (Kind.LATE, 26.0, "the freshest values are 26 h old, 0 h before"),
    ],
)
def test_every_kind_of_anomaly_has_its_sentence_and_its_cause(kind, value, text):
    found = anomaly(kind, ColumnSlice("price"), value)
    assert sentences.seen(found).startswith(text)
    (line,) = sentences.anomaly_lines([found])
    assert line.startswith(f"data anomaly, price {kind} from 2026-02-22 to 2026-02-26: {text}")
    assert line.endswith(sentences.CAUSES[kind])


def test_a_column_that_grows_is_told_with_what_was_expected():
    grows = Support(low=5, high=float("inf"), behaviour="grows")
    jumped, outside = (
        replace(anomaly(kind, ColumnSlice("age")), support=grows) for kind in (Kind.JUMPED, Kind.OUTSIDE)
    )
    assert sentences.seen(jumped) == "the daily mean is 0.9, expected 0.2; a difference of up to 0.1 is usual"
    assert "outside the range of the training window (5 and above); up to 10%" in sentences.seen(outside)


def test_columns_are_named_with_their_nature_and_who_says_so():
    found = [ByNature("age", "grows", True), ByNature("month", "calendar", False), ByNature("day", "calendar", False)]
    said = "judged by their nature, by a hint: grows: age, and as the training days show: calendar: month, day"
    assert sentences.behaviours(found) == said
    assert sentences.behaviours([]) == ""


def test_columns_that_break_together_are_named_in_one_sentence():
    found = [anomaly(Kind.MISSING, ColumnSlice(name)) for name in "abcdef"]
    (line,) = sentences.anomaly_lines(found)
    assert line.startswith("data anomaly, 6 columns missing from 2026-02-22 to 2026-02-26 (a, b, c, d and 2 more), of")


def test_a_slice_is_named_with_its_column():
    (line,) = sentences.anomaly_lines([anomaly(Kind.STUCK)])
    assert line.startswith("data anomaly, wind where shop=A stuck from")


@pytest.mark.parametrize("basis", Basis)
def test_every_basis_of_a_decision_has_its_headline(basis):
    unjudged = Unjudged(TooLittle.LABELS, 3, 50)
    found = decision(judged(), inputs())
    found = replace(
        found,
        basis=basis,
        latest=replace(found.latest, unjudged=unjudged),
        mismatch=ColumnMismatch(("new",), ("old",)),
    )
    assert sentences.summary(found).startswith(f"{found.action}: {sentences.headline(found)}")
    assert sentences.headline(found).startswith("nothing is decided, ") is not found.is_judged


def test_broken_data_is_repaired_before_a_retraining():
    broken = inputs(anomaly(Kind.MISSING), anomaly(Kind.LATE))
    named = "pressure missing since 2026-02-22, recent late since 2026-02-22"
    assert sentences.summary(decision(judged(), broken)).endswith(f"; the data is broken: {named}")
    retrain = decision(judged(too_low=2.0), broken)
    assert retrain.basis is Basis.BREACHES
    assert sentences.summary(retrain).endswith(f"; first repair the data: {named}")


def test_what_is_breached_comes_before_what_is_kept():
    lines = sentences.reasons(decision(judged(too_low=2.0), inputs()))
    assert lines[0] == "price is missing in 20% of the predictions; up to 10% is allowed"
    results = ["breached" if " breached: " in line else "kept" for line in lines[1:]]
    assert results == sorted(results)
    assert set(results) == {"breached", "kept"}


@pytest.mark.parametrize(
    ("lowest", "highest", "text"),
    [(-1.0, 1.0, "-1.0000 to 1.0000"), (float("-inf"), 1.0, "up to 1.0000"), (0.5, float("inf"), "at least 0.5000")],
)
def test_a_criterion_says_what_was_measured_and_what_is_allowed(lowest, highest, text):
    found = Criterion("discrimination", "roc_auc", Estimate(0.7, 0.6, 0.8), lowest, highest)
    assert sentences.criterion(found) == (
        f"discrimination kept: ROC AUC is 0.7000 (0.6000 to 0.8000); {text} is allowed"
    )


@pytest.mark.parametrize("problem", InputProblem)
def test_every_warning_names_what_it_is_about(problem):
    assert sentences.warning(InputWarning("price", problem, 3.0, 2.0)).startswith("price ")


@pytest.mark.parametrize("too_little", TooLittle)
def test_every_reason_not_to_judge_has_its_words(too_little):
    assert sentences.unjudged(Unjudged(too_little, 3, 50))


def test_what_is_judged_needs_no_reason():
    assert sentences.unjudged(None) == sentences.mismatch(None) == ""
