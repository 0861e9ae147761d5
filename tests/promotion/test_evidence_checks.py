"""Evidence that must be refused: mixed up, of another model, made with another pipeline, not on later rows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flightline.promotion.evidence import Evidence
from flightline.promotion.evidence_checks import incomparable
from tests.support.evidence_rows import (
    BASELINE,
    FIRST,
    LEARNED_UNTIL,
    daily,
    expected_of,
    judged,
    make_champion,
    make_evidence,
)

CHALLENGER, CHAMPION = make_evidence(), make_champion()
EXPECTED = expected_of(CHALLENGER, CHAMPION)


def on_one_day(evidence: Evidence, more: float) -> Evidence:
    """Alter the loss of one day, of a hundred rows."""
    losses = evidence.summary.losses
    return judged(evidence, losses=replace(losses, sums=(losses.sums[0] + more, *losses.sums[1:])))


IN_AUGUST = datetime(2013, 8, 31, 23, 59, tzinfo=UTC)
NEXT_YEAR = datetime(2014, 1, 1, tzinfo=UTC)


def said(
    challenger: Evidence = CHALLENGER, baseline: Evidence = BASELINE, champion: Evidence | None = CHAMPION, **more
) -> str:
    return "; ".join(incomparable(challenger, baseline, champion, more.get("expected", EXPECTED)))


def test_evidence_that_is_what_it_should_be_is_not_refused():
    assert said() == ""
    assert said(champion=None, expected=expected_of(CHALLENGER, None)) == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"challenger": CHAMPION, "champion": CHALLENGER}, "the champion's evidence was given as the challenger's"),
        ({"challenger": BASELINE, "baseline": CHALLENGER}, "the baseline's evidence was given as the challenger's"),
        ({"baseline": replace(CHAMPION, cost=None)}, "the champion's evidence was given as the baseline's"),
        ({"champion": replace(CHALLENGER, version="1")}, "the challenger's evidence was given as the champion's"),
        ({"challenger": replace(CHALLENGER, version="3")}, "the challenger's evidence is of version 3 (new)"),
        ({"champion": replace(CHAMPION, version="2", model="new")}, "the champion's evidence is of version 2 (new)"),
        ({"champion": replace(CHAMPION, model="other")}, "1 (other), the registry's champion is version 1 (old)"),
        ({"champion": on_one_day(CHAMPION, 1e-3)}, "champion's evidence was not made by its own"),
        ({"challenger": on_one_day(CHALLENGER, 1e-3)}, "the losses differ on 1 of 10 days"),
        ({"challenger": on_one_day(CHALLENGER, float("nan"))}, "the losses differ on 1 of 10 days"),
        ({"challenger": judged(CHALLENGER, losses=daily(0.43, rows=99))}, "holds 990 rows of 10 days, its pipeline"),
        ({"challenger": judged(CHALLENGER, first_prediction=IN_AUGUST)}, "before the test window began"),
        ({"baseline": judged(BASELINE, first_prediction=IN_AUGUST)}, "the baseline was judged on rows from 2013-08-31"),
        ({"champion": judged(CHAMPION, last_prediction=NEXT_YEAR)}, "after the test window ended"),
        ({"champion": replace(CHAMPION, learned_until=FIRST)}, "the champion learned from rows up to 2013-09-01 08:00"),
        ({"champion": judged(CHAMPION, rows_digest="other")}, "the champion was judged on other rows (other)"),
        ({"baseline": judged(BASELINE, rows_digest="other")}, "the baseline was judged on other rows (other)"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(given, reason):
    assert reason in said(**given)


def test_evidence_of_an_unregistered_champion_is_refused():
    assert "the registry has none" in said(expected=expected_of(CHALLENGER, None))


def test_last_digits_may_differ():
    assert said(on_one_day(CHALLENGER, 1e-9)) == ""


@pytest.mark.parametrize("role", ["challenger", "champion"])
def test_a_model_that_does_not_say_until_when_it_learned_is_refused(role):
    given = {"challenger": CHALLENGER, "champion": CHAMPION}[role]
    assert f"the {role} does not say up to which rows it learned" in said(**{role: replace(given, learned_until=None)})


def test_a_baseline_learns_from_no_rows_that_count():
    assert LEARNED_UNTIL < FIRST
    assert said(baseline=replace(BASELINE, learned_until=None)) == ""
