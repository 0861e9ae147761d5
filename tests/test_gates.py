"""A truth table of verdicts: what is promoted, held and rejected, and why."""

from dataclasses import replace

import pytest

from flightline.gates import Decision, Evidence, Verdict, decide_promotion
from flightline.specification import Thresholds

NAN = float("nan")
THRESHOLDS = Thresholds(
    floors={"roc_auc": 0.70}, ceilings={"brier": 0.15, "ece": 0.05}, implausible={"roc_auc": 0.95, "pr_auc": 0.9}
)
GOOD = {"log_loss": 0.43, "brier": 0.13, "roc_auc": 0.76, "pr_auc": 0.5, "ece": 0.01}
BASELINE = Evidence("base", {"log_loss": 0.52, "brier": 0.17, "roc_auc": 0.5, "pr_auc": 0.2, "ece": 0.01}, "rows")


def evidence(model: str = "new", rows: str = "rows", **metrics: float) -> Evidence:
    return Evidence(model, GOOD | metrics, rows)


def without(item: Evidence, metric: str) -> Evidence:
    return replace(item, metrics={name: value for name, value in item.metrics.items() if name != metric})


def decide(
    challenger: Evidence, champion: Evidence | None = None, baseline: Evidence = BASELINE, **more: object
) -> Verdict:
    return decide_promotion(challenger, baseline, champion, more.pop("thresholds", THRESHOLDS), "log_loss", **more)


P, H, R = Decision.PROMOTE, Decision.HOLD, Decision.REJECT
CHAMPION = evidence("old")

# Challenger, champion, verdict, and what the reasons must say.
VERDICTS = {
    "good, and no champion yet": (evidence(), None, P, "no champion yet"),
    "better than the champion": (evidence(log_loss=0.42), CHAMPION, P, "log_loss 0.4200 <= 0.4300"),
    "a tie with the champion": (evidence(), CHAMPION, P, "not worse than the champion"),
    "worse than the champion": (evidence(log_loss=0.44), CHAMPION, H, "worse than the champion: log_loss 0.4400 >"),
    "worse by a hair": (evidence(log_loss=0.43 + 1e-12), CHAMPION, H, "worse than the champion"),
    "the champion itself": (evidence("old"), CHAMPION, H, "nothing to compare"),
    "the champion itself, as if better": (evidence("old", log_loss=0.1), CHAMPION, H, "nothing to compare"),
    "at its floor": (evidence(roc_auc=0.70), None, P, ""),
    "below its floor": (evidence(roc_auc=0.6999), None, R, "roc_auc 0.6999 is below its floor 0.7"),
    "at its ceiling": (evidence(brier=0.15), None, P, ""),
    "above its ceiling": (evidence(brier=0.1501), None, R, "brier 0.1501 is above its ceiling 0.15"),
    "badly calibrated": (evidence(ece=0.06), None, R, "ece 0.0600 is above its ceiling"),
    "at what is plausible": (evidence(roc_auc=0.95), None, P, ""),
    "too good to be true": (evidence(roc_auc=0.99), None, R, "implausibly good"),
    "too good, better than the champion": (evidence(roc_auc=0.99, log_loss=0.1), CHAMPION, R, "implausibly good"),
    "below a floor, better than the champion": (evidence(roc_auc=0.6, log_loss=0.42), CHAMPION, R, "below its floor"),
    "no better than the baseline": (evidence(log_loss=0.52), None, R, "not better than"),
    "worse than the baseline": (evidence(log_loss=0.53), None, R, "not better than the baseline"),
    "better only than the champion": (evidence(log_loss=0.53), evidence("old", log_loss=0.6), R, "the baseline"),
    "NaN floor metric": (evidence(roc_auc=NAN), None, R, "roc_auc nan is below its floor"),
    "NaN ceiling metric": (evidence(brier=NAN), None, R, "brier nan is above its ceiling"),
    "NaN plausibility metric": (evidence(pr_auc=NAN), None, R, "pr_auc is missing"),
    "NaN primary metric": (evidence(log_loss=NAN), None, R, "not better than the baseline: log_loss nan"),
    "NaN of the champion": (evidence(), evidence("old", log_loss=NAN), H, "worse than the champion"),
    "no floor metric": (without(evidence(), "roc_auc"), None, R, "roc_auc nan is below its floor"),
    "no ceiling metric": (without(evidence(), "ece"), None, R, "ece nan is above its ceiling"),
    "no plausibility metric": (without(evidence(), "pr_auc"), None, R, "pr_auc is missing"),
    "no primary metric": (without(evidence(), "log_loss"), None, R, "not better than the baseline"),
    "no primary metric of the champion": (evidence(), without(CHAMPION, "log_loss"), H, "worse than the champion"),
    "judged on other rows than the champion": (evidence(rows="later"), CHAMPION, R, "was judged on other rows"),
    "champion judged on other rows": (evidence(log_loss=0.1), evidence("old", rows="x"), R, "was judged on other"),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict_and_its_reason(case):
    challenger, champion, decision, reason = VERDICTS[case]
    verdict = decide(challenger, champion)
    assert verdict.decision == decision
    assert reason in "; ".join(verdict.reasons)


@pytest.mark.parametrize(
    "baseline",
    [
        replace(BASELINE, rows_digest="other"),
        without(BASELINE, "log_loss"),
        replace(BASELINE, metrics={"log_loss": NAN}),
    ],
    ids=["other rows", "no metric", "NaN"],
)
def test_a_baseline_that_cannot_be_compared_promotes_nothing(baseline):
    assert decide(evidence(), baseline=baseline).decision == R


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
@pytest.mark.parametrize("difference", [-0.05, -0.005, 0.0, 0.005, 0.05])
def test_against_the_champion_lower_is_better(difference, tolerance):
    thresholds = replace(THRESHOLDS, tolerance=tolerance)
    verdict = decide(evidence(log_loss=0.43 + difference), CHAMPION, thresholds=thresholds)
    assert verdict.decision == (P if difference <= tolerance else H)


def test_a_tolerance_that_was_used_is_told():
    verdict = decide(evidence(log_loss=0.435), CHAMPION, thresholds=replace(THRESHOLDS, tolerance=0.01))
    assert verdict.reasons[-1] == "not worse than the champion: log_loss 0.4350 <= 0.4300 + 0.01"


def test_every_fault_is_told():
    verdict = decide(evidence(roc_auc=0.6, brier=0.2, ece=0.1, log_loss=0.6))
    assert len(verdict.reasons) == 4


def test_a_champion_that_could_not_be_judged_is_kept():
    verdict = decide(evidence(), champion_unjudged="the champion takes other features")
    assert verdict.decision == H
    assert "the champion takes other features" in verdict.reasons


def test_a_bad_challenger_is_rejected_even_where_the_champion_could_not_be_judged():
    assert decide(evidence(roc_auc=0.6), champion_unjudged="the champion takes other features").decision == R


def test_no_verdict_is_without_a_reason():
    assert all(decide(challenger, champion).reasons for challenger, champion, *_ in VERDICTS.values())
