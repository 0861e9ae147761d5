"""What the gate's reasons say: the word, the numbers it rests on, and no more."""

import re
from dataclasses import replace

from flightline.promotion.evidence import Cost
from flightline.promotion.threshold_checks import check_bounds
from tests.promotion.test_gate import CHAMPION, THRESHOLDS, costing, decide, new


def test_a_tie_that_is_held_is_told_by_its_rows_and_not_as_inferior():
    verdict = decide(new(), CHAMPION)
    assert verdict.comparisons[0].rows == 1_000
    assert not any("inferior" in reason for reason in verdict.reasons)


def test_what_is_worse_is_told_once_as_inferior():
    reasons = decide(new(log_loss=0.4387), CHAMPION).reasons
    assert [reason.startswith("perhaps inferior to the champion") for reason in reasons if "inferior" in reason] == [
        True
    ]


def test_what_is_cheaper_is_said_to_be_so_and_by_how_much():
    reasons = decide(new(cost=costing(size=0.5)), CHAMPION).reasons
    (cheaper,) = (reason for reason in reasons if "cheaper than" in reason)
    assert cheaper.startswith(
        "cheaper than the champion: times the champion's, 1 row 1.00, 1,000 rows 1.00, size 0.50; asked is "
    )


def test_what_is_better_is_said_with_its_bounds():
    reasons = "; ".join(decide(new(log_loss=0.42), CHAMPION).reasons)
    assert "at least +0.01000 and at most +0.01000, each with 95% confidence" in reasons


def test_what_is_too_slow_is_said_in_milliseconds():
    thresholds = replace(THRESHOLDS, one_row_seconds_ceiling=0.2, thousand_rows_seconds_ceiling=0.5)
    reasons = "; ".join(decide(new(cost=Cost(0.3, 0.6, 1)), thresholds=thresholds).reasons)
    assert "milliseconds for 1 row 300.0000 is above its ceiling 200" in reasons
    assert "milliseconds for 1,000 rows 600.0000 is above its ceiling 500" in reasons


def test_what_is_within_its_bounds_is_said_too_and_a_bound_is_within():
    thresholds = replace(THRESHOLDS, floors={"roc_auc": 0.9}, ceilings={"ece": 0.1}, implausible={"roc_auc": 0.9})
    assert [check.words for check in check_bounds({"roc_auc": 0.9, "ece": 0.1}, thresholds)] == [
        "roc_auc 0.9000 is not below its floor 0.9",
        "ece 0.1000 is not above its ceiling 0.1",
        "roc_auc 0.9000 is plausible (not above 0.9)",
    ]


def test_how_much_better_than_the_baseline_is_said():
    reasons = "; ".join(decide(new()).reasons)
    words = r"(^|\W)better than the baseline: log_loss 0\.4\d+, baseline 0\.\d+, improvement at least 0\.\d{4} with 95%"
    assert re.search(words, reasons)
