"""What becomes of a challenger, by hand-made days and counts."""

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from flightline.core.problem_spec import Canary
from flightline.evaluation.sequential_test import confidence_sequence
from flightline.promotion.canary import (
    Action,
    CanarySetting,
    ChallengerCounts,
    JudgedDay,
    block_gains,
    decide_canary,
    is_chosen,
)

RULE = Canary(max_days=60)
WOBBLE = (0.2, -0.1, 0.1, 0.05, -0.15, -0.05, 0.25)


def days_of(gain: float, count: int, wobble: float = 1.0) -> list[JudgedDay]:
    return [
        JudgedDay(date(2026, 1, 1) + timedelta(days=n), 100, gain + wobble * WOBBLE[n % 7] * (-1) ** (n // 7), 0.5)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("days", "counts", "action", "said"),
    [
        ([], ChallengerCounts(), Action.WATCH, "0 of at most 60 days judged, which is too few"),
        (days_of(0.3, 2), ChallengerCounts(), Action.WATCH, "2 of at most 60 days"),
        (days_of(0.3, 45), ChallengerCounts(1000), Action.PROMOTE, "credibly better"),
        (days_of(-0.3, 45), ChallengerCounts(1000), Action.DROP, "credibly worse"),
        (days_of(0.0, 45), ChallengerCounts(1000), Action.WATCH, "45 of at most 60 days judged"),
        (days_of(0.0, 60), ChallengerCounts(1000), Action.DROP, "not credibly better after 60 days"),
        ([], ChallengerCounts(1000, failed=11), Action.DROP, "failed for 11 of 1,000 rows, 1.0% are allowed"),
        ([], ChallengerCounts(1000, slow=51), Action.DROP, "too slow for 51 of 1,000 rows, 5.0% are allowed"),
        ([], ChallengerCounts(100, failed=5), Action.DROP, "failed for 5 of 100 rows"),
        ([], ChallengerCounts(1000, failed=10, slow=50), Action.WATCH, "too few"),
        ([], ChallengerCounts(4, failed=4), Action.WATCH, "too few"),
        (days_of(0.3, 45), ChallengerCounts(1000, failed=500), Action.DROP, "failed for"),
    ],
)
def test_what_becomes_of_it(days: list[JudgedDay], counts: ChallengerCounts, action: Action, said: str) -> None:
    decision = decide_canary(days, counts, RULE)
    assert decision.action is action, decision
    assert said in decision.summary
    assert decision.judged_days == len(days)
    assert (decision.lower is None) == (len(days) < 3)
    if decision.gain is not None:
        assert decision.lower < decision.gain < decision.upper


def test_the_bounds_are_those_of_the_newest_look() -> None:
    days = days_of(0.0, 45)
    decision = decide_canary(days, ChallengerCounts(1000), RULE)
    lower, upper = confidence_sequence(block_gains(days, RULE.block_days), RULE.alpha, RULE.spread)
    assert (decision.lower, decision.upper) == (lower[-1], upper[-1])
    assert lower[-1] != lower[-2]
    assert "over 45 days (" in decision.summary


def test_what_comes_after_the_decision_does_not_change_it() -> None:
    early = decide_canary(days_of(0.3, 45), ChallengerCounts(), RULE)
    late = decide_canary(days_of(0.3, 45) + days_of(-5.0, 15), ChallengerCounts(), RULE)
    assert (early.action, early.gain, early.lower) == (late.action, late.gain, late.lower)


def test_days_after_the_last_that_counts_decide_nothing() -> None:
    undecided = days_of(0.0, 60)
    late = decide_canary(undecided + days_of(0.5, 60, wobble=0.1), ChallengerCounts(1000), RULE)
    assert late.action is Action.DROP
    assert "not credibly better after 60 days" in late.summary


def test_days_that_fill_no_block_wait() -> None:
    days = [JudgedDay(date(2026, 1, n), 100, float(n), 0.5) for n in range(1, 9)]
    assert block_gains(days, 3).tolist() == [2.0, 5.0]
    assert block_gains(days[:2], 3).tolist() == []


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_share_is_kept_and_another_version_gets_other_instances(share: float) -> None:
    first = {key for key in map(str, range(20_000)) if is_chosen(key, "4", share)}
    other = {key for key in map(str, range(20_000)) if is_chosen(key, "5", share)}
    assert len(first) / 20_000 == pytest.approx(share, abs=0.01)
    assert len(first & other) / 20_000 == pytest.approx(share**2, abs=0.01)


def test_a_greater_share_keeps_the_instances_of_a_smaller() -> None:
    keys = [str(number) for number in range(5_000)]
    assert {key for key in keys if is_chosen(key, "4", 0.1)} < {key for key in keys if is_chosen(key, "4", 0.3)}


@pytest.mark.parametrize("wrong", [{"share": 0.6}, {"mode": "off"}, {"since": "2026-01-01T00:00:00"}, {"version": ""}])
def test_a_setting_that_is_none_is_refused(wrong: dict) -> None:
    given = {"version": "4", "champion": "3", "mode": "share", "share": 0.1, "since": "2026-01-01T00:00:00Z"}
    assert CanarySetting.model_validate(given).share == 0.1
    with pytest.raises(ValidationError):
        CanarySetting.model_validate(given | wrong)


@pytest.mark.parametrize("wrong", [{"block_days": 0}, {"alpha": 0.5}, {"spread": 0.0}, {"max_days": 2}])
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="canary needs"):
        Canary(**wrong)
