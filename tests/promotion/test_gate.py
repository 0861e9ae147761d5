"""A truth table of verdicts: what is promoted, held and rejected, and why.

The evidence is ten days of a hundred rows. Where all days agree the bounds equal the estimate,
so that each case can be checked by head; the champion's mean loss is 0.43.
"""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest

from flightline.core.problem_spec import Thresholds
from flightline.promotion.evidence import Cost, Evidence, Role
from flightline.promotion.gate import Decision, Verdict, decide_promotion
from tests.support.evidence_rows import (
    BASELINE,
    COST,
    DAYS,
    FIRST,
    LEARNED_UNTIL,
    daily,
    expected_of,
    judged,
    make_champion,
    make_evidence,
)

NAN = float("nan")
THRESHOLDS = Thresholds(
    floors={"roc_auc": 0.70},
    ceilings={"brier": 0.15, "ece": 0.05},
    implausible={"roc_auc": 0.95, "pr_auc": 0.9},
    one_row_seconds_ceiling=0.1,
    thousand_rows_seconds_ceiling=1.0,
    size_bytes_ceiling=2_000_000,
    promotion_margin=0.01,  # 0.0043 of the champion's loss
    non_inferiority_margin=0.02,  # 0.0086
    cheaper_by=2.0,
    cost_noise=0.2,
    slice_margin=0.1,  # 0.043
    min_slice_rows=300,
    min_days=10,
)
P, H, R = Decision.PROMOTE, Decision.HOLD, Decision.REJECT
CHAMPION = make_champion()
new = make_evidence


def decide(
    challenger: Evidence, champion: Evidence | None = None, baseline: Evidence = BASELINE, **more: Any
) -> Verdict:
    expected = more.pop("expected", expected_of(challenger, champion))
    thresholds = more.pop("thresholds", THRESHOLDS)
    return decide_promotion(challenger, baseline, champion, expected, thresholds, "log_loss", **more)


def without(item: Evidence, metric: str) -> Evidence:
    return judged(item, metrics={name: value for name, value in item.summary.metrics.items() if name != metric})


def costing(seconds: float = 1.0, thousand: float = 1.0, size: float = 1.0) -> Cost:
    """Times the cost of the champion."""
    return Cost(COST.one_row_seconds * seconds, COST.thousand_rows_seconds * thousand, int(COST.size_bytes * size))


# Days on which the challenger is much better and days on which it is worse: 0.02 better in the mean, not surely.
UNSURE = daily(*[0.33, 0.49] * 5)
TIE = daily(0.43)
CHEAP = costing(size=0.4)

# Challenger, champion, verdict, and what the reasons must say.
VERDICTS = {
    "good, and no champion yet": (new(), None, P, "no champion yet"),
    "better than the champion": (new(log_loss=0.42), CHAMPION, P, "better than the champion: mean loss lower by +0.01"),
    "better by just more than the margin": (new(log_loss=0.4256), CHAMPION, P, "more than 0.00430 is asked"),
    "better by less than the margin": (new(log_loss=0.4258), CHAMPION, H, "not credibly better than the champion"),
    "better in the mean, not surely": (new(log_loss=0.41, losses=UNSURE), CHAMPION, H, "not credibly better"),
    "a tie with the champion": (new(), CHAMPION, H, "not credibly better than the champion"),
    "worse than the champion": (new(log_loss=0.44), CHAMPION, H, "worse than the champion: mean loss lower by -0.01"),
    "worse by a hair": (new(log_loss=0.43 + 1e-9), CHAMPION, H, "worse than the champion"),
    "the champion itself": (new(model="old"), CHAMPION, H, "nothing to compare"),
    "the champion itself, as if better": (new(model="old", log_loss=0.1), CHAMPION, H, "nothing to compare"),
    "a tie, and half the size": (new(cost=costing(size=0.5)), CHAMPION, P, "cheaper than the champion"),
    "a tie, and half the latency of a row": (new(cost=costing(0.5)), CHAMPION, P, "1 row 0.50"),
    "a tie, and half the latency of many": (new(cost=costing(1, 0.5)), CHAMPION, P, "1,000 rows 0.50"),
    "a tie, and not quite half": (new(cost=costing(size=0.51)), CHAMPION, H, "not cheaper than the champion"),
    "a tie, smaller and as slow within noise": (new(cost=costing(1.19, 1, 0.5)), CHAMPION, P, "cheaper"),
    "a tie, smaller and slower": (new(cost=costing(1.21, 1, 0.5)), CHAMPION, H, "not cheaper"),
    "a little worse, and cheaper": (new(log_loss=0.4385, cost=CHEAP), CHAMPION, P, "not inferior to the champion"),
    "worse by more than allowed, and cheaper": (new(log_loss=0.4387, cost=CHEAP), CHAMPION, H, "perhaps inferior"),
    "perhaps worse, and cheaper": (new(losses=daily(*[0.40, 0.46] * 5), cost=CHEAP), CHAMPION, H, "perhaps inferior"),
    "cost of the champion unknown": (new(), make_champion(cost=None), H, "not cheaper"),
    "better, cost of the champion unknown": (new(log_loss=0.42), make_champion(cost=None), P, "better"),
    "at its floor": (new(roc_auc=0.70), None, P, ""),
    "below its floor": (new(roc_auc=0.6999), None, R, "roc_auc 0.6999 is below its floor 0.7"),
    "at its ceiling": (new(brier=0.15), None, P, ""),
    "above its ceiling": (new(brier=0.1501), None, R, "brier 0.1501 is above its ceiling 0.15"),
    "badly calibrated": (new(ece=0.06), None, R, "ece 0.0600 is above its ceiling 0.05"),
    "as slow as it may be": (new(cost=Cost(0.1, 1.0, 2_000_000)), None, P, ""),
    "too slow for one row": (new(cost=Cost(0.11, 1.0, 1)), None, R, "milliseconds for 1 row 110.0000 is above"),
    "too slow for many rows": (new(cost=Cost(0.1, 1.1, 1)), None, R, "milliseconds for 1,000 rows 1100.0000 is above"),
    "too large": (new(cost=Cost(0.1, 1.0, 2_000_001)), None, R, "megabytes 2.0000 is above its ceiling 2"),
    "cost unknown": (new(cost=None), None, R, "megabytes nan is above"),
    "at what is plausible": (new(roc_auc=0.95), None, P, ""),
    "too good to be true": (new(roc_auc=0.99), None, R, "implausibly good"),
    "too good, better than the champion": (new(roc_auc=0.99, log_loss=0.1), CHAMPION, R, "implausibly good"),
    "below a floor, better than the champion": (new(roc_auc=0.6, log_loss=0.42), CHAMPION, R, "below its floor"),
    "no better than the baseline": (new(log_loss=0.52), None, R, "not better than the baseline"),
    "worse than the baseline": (new(log_loss=0.53), None, R, "not better than the baseline"),
    "not surely better than the baseline": (new(losses=daily(*[0.1, 0.9] * 5)), None, R, "not better than"),
    "better only than the champion": (new(log_loss=0.53), make_champion(log_loss=0.6), R, "the baseline"),
    "NaN floor metric": (new(roc_auc=NAN), None, R, "roc_auc nan is below its floor"),
    "NaN ceiling metric": (new(brier=NAN), None, R, "brier nan is above its ceiling"),
    "NaN plausibility metric": (new(pr_auc=NAN), None, R, "pr_auc is missing"),
    "NaN primary metric": (new(log_loss=NAN), None, R, "not better than the baseline: log_loss nan"),
    "NaN losses": (new(losses=daily(NAN)), None, R, "not better than the baseline"),
    "NaN of the champion": (new(), make_champion(log_loss=NAN), H, "not credibly better than the champion"),
    "no floor metric": (without(new(), "roc_auc"), None, R, "roc_auc nan is below its floor"),
    "no ceiling metric": (without(new(), "ece"), None, R, "ece nan is above its ceiling"),
    "no plausibility metric": (without(new(), "pr_auc"), None, R, "pr_auc is missing"),
    "no primary metric": (without(new(), "log_loss"), None, R, "not better than the baseline"),
    "judged on other rows than the champion": (new(rows="later"), CHAMPION, R, "was judged on other rows"),
    "champion judged on other rows": (new(log_loss=0.1), make_champion(rows="x"), R, "was judged on other rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict_and_its_reason(case):
    challenger, champion, decision, reason = VERDICTS[case]
    verdict = decide(challenger, champion)
    assert verdict.decision == decision, verdict.reasons
    assert reason in "; ".join(verdict.reasons)


# Slices: losses of challenger and champion in one slice, while the challenger is better overall.
BETTER = {"log_loss": 0.40}
SLICES = {
    "better": (daily(0.40), daily(0.43), P),
    "worse by less than the margin": (daily(0.472), daily(0.43), P),
    "worse by more than the margin": (daily(0.474), daily(0.43), H),
    "worse in the mean, not surely": (daily(*[0.30, 0.70] * 5), daily(0.43), P),
    "too few rows": (daily(0.9, rows=29), daily(0.43, rows=29), P),
    "too few days": (daily(0.9, days=DAYS[:9]), daily(0.43, days=DAYS[:9]), P),
    "NaN": (daily(NAN), daily(0.43), H),
}


@pytest.mark.parametrize("case", SLICES)
def test_a_slice_that_is_credibly_worse_holds_a_better_challenger(case):
    own, theirs, decision = SLICES[case]
    verdict = decide(new(**BETTER, slices={"color=red": own}), make_champion(slices={"color=red": theirs}))
    assert verdict.decision == decision
    if decision is H:
        assert "color=red is credibly worse" in verdict.reasons[-2]


def test_a_slice_that_is_credibly_worse_holds_a_cheaper_challenger():
    own, theirs, _ = SLICES["worse by more than the margin"]
    assert decide(new(cost=CHEAP, slices={"a=b": own}), make_champion(slices={"a=b": theirs})).decision == H


def test_the_margin_of_a_slice_is_a_share_of_the_champions_loss_there():
    # Of 0.86, a tenth is 0.086; a tenth of the champion's loss overall, or of the challenger's, is another number.
    own = {name: daily(loss) for name, loss in {"a=near": 0.94, "a=far": 0.95}.items()}
    verdict = decide(new(**BETTER, slices=own), make_champion(slices=dict.fromkeys(own, daily(0.86))))
    assert {check.slice: check.is_passed for check in verdict.checks if check.slice} == {"a=near": True, "a=far": False}


def test_the_verdict_says_which_harm_to_a_slice_would_have_been_seen():
    # Days that agree are sure: only the margin of a tenth stays unseen. Days that do not leave more unseen.
    slices = {"a=sure": daily(0.43), "a=unsure": daily(*[0.32, 0.53] * 5)}
    verdict = decide(new(**BETTER, slices=slices), make_champion(slices=dict.fromkeys(slices, daily(0.43))))
    (said,) = (reason for reason in verdict.reasons if "no slice" in reason)
    assert "no slice of 2 is credibly worse; a loss higher by 10.0% in a=sure would have been seen" in said
    harm = float(said.rsplit(" ", 1)[1].rstrip("%")) / 100
    for excess, decision in ((0.99 * harm, P), (1.01 * harm, H)):
        worse = {"a=unsure": daily(*[0.325 + 0.43 * excess, 0.535 + 0.43 * excess] * 5), "a=sure": daily(0.43)}
        given = new(**BETTER, slices=worse), make_champion(slices=dict.fromkeys(slices, daily(0.43)))
        assert decide(*given).decision is decision


def test_a_slice_in_which_nobody_errs_is_no_obstacle():
    slices = {"a=sure": daily(0.0), "a=other": daily(0.43)}
    verdict = decide(new(**BETTER, slices=slices), make_champion(slices=slices))
    assert verdict.decision is P
    assert "no slice of 2 is credibly worse; a loss higher by 10.0% in a=other" in verdict.reasons[-1]


def test_the_more_slices_the_surer_each_must_be():
    # Worse by 0.22 on half of the days: in 19 of 20 resamples on 2 days or more, so by 0.044; in 1 of 1,000 on none.
    uneven, theirs = daily(*[0.43, 0.65] * 5), daily(0.43)
    alone = decide(new(**BETTER, slices={"a=0": uneven}), make_champion(slices={"a=0": theirs}))
    others = dict.fromkeys([f"a={i}" for i in range(60)], theirs)
    among = decide(new(**BETTER, slices=others | {"a=0": uneven}), make_champion(slices=others))
    assert (alone.decision, among.decision) == (H, P)


@pytest.mark.parametrize(
    "baseline",
    [
        judged(BASELINE, rows_digest="other"),
        without(BASELINE, "log_loss"),
        judged(BASELINE, metrics={"log_loss": NAN}),
        judged(BASELINE, losses=daily(NAN)),
        judged(BASELINE, losses=daily(0.52, days=DAYS[:9])),
    ],
    ids=["other rows", "no metric", "NaN", "NaN losses", "other days"],
)
def test_a_baseline_that_cannot_be_compared_promotes_nothing(baseline):
    assert decide(new(), baseline=baseline).decision == R


@pytest.mark.parametrize("margin", [0.0, 0.02])
@pytest.mark.parametrize("difference", [-0.05, -0.005, 0.0, 0.005, 0.05])
def test_against_the_champion_lower_is_better(difference, margin):
    thresholds = replace(THRESHOLDS, promotion_margin=margin)
    verdict = decide(new(log_loss=0.43 + difference), CHAMPION, thresholds=thresholds)
    assert verdict.decision == (P if -difference > margin * 0.43 else H)


def test_swapped_evidence_is_refused():
    challenger = new(log_loss=0.44)
    verdict = decide(CHAMPION, challenger, expected=expected_of(challenger, CHAMPION))
    assert verdict.decision == R
    assert "the champion's evidence was given as the challenger's" in verdict.reasons[0]


def test_too_few_days_tell_nothing():
    def few(item: Evidence, mean: float) -> Evidence:
        return judged(item, losses=daily(mean, days=DAYS[:9]))

    verdict = decide(few(new(), 0.3), few(CHAMPION, 0.43), few(BASELINE, 0.52))
    assert verdict.decision == H
    assert "9 test days that neither has learned from are too few" in verdict.reasons[-2]


def shares(challenger: Evidence, champion: Evidence, **other: object) -> tuple[Evidence, Evidence]:
    """Let the champion have learned from the first of ten days, so that nine later ones are compared."""
    later = {"rows_digest": "later rows", "first_prediction": FIRST + timedelta(days=1)} | other
    learned = replace(judged(champion, **later), learned_until=FIRST)
    return replace(challenger, shared=replace(challenger.summary, **later)), learned


def test_only_days_that_the_champion_has_not_learned_are_compared():
    better, worse = daily(*[0.9, *[0.3] * 9]), daily(*[0.1, *[0.43] * 9])
    few = {"losses": daily(0.3, days=DAYS[1:])}, {"losses": daily(0.43, days=DAYS[1:])}
    challenger, champion = new(losses=better), judged(CHAMPION, losses=worse)
    shared, _ = shares(challenger, champion, **few[0])
    _, learned = shares(challenger, champion, **few[1])
    verdict = decide(shared, learned)
    assert verdict.decision == H
    assert "9 test days that neither has learned from are too few" in verdict.reasons[2]
    assert decide(shared, learned, thresholds=replace(THRESHOLDS, min_days=9)).decision == P


def test_a_champion_judged_on_rows_it_learned_is_refused():
    verdict = decide(new(), replace(CHAMPION, learned_until=FIRST))
    assert verdict.decision == R
    assert "the champion learned from rows up to 2013-09-01 08:00" in verdict.reasons[0]


def test_a_challenger_that_is_held_says_what_it_has_learned_from():
    assert decide(new(), CHAMPION).reasons[-1] == (
        "it learned from no later rows than the champion (up to 2013-08-31, the champion 2013-08-31)"
    )
    earlier = replace(CHAMPION, learned_until=LEARNED_UNTIL - timedelta(days=31))
    assert decide(new(), earlier).reasons[-1] == "it learned from rows up to 2013-08-31, the champion up to 2013-07-31"


@pytest.mark.parametrize("unknown", ["challenger", "champion"])
def test_where_it_is_not_known_who_learned_later_nothing_is_said_of_it(unknown):
    sides = {"challenger": new(), "champion": CHAMPION}
    sides[unknown] = replace(sides[unknown], learned_until=None)
    assert not any("it learned from" in reason for reason in decide(*sides.values()).reasons)


def test_every_fault_is_told():
    verdict = decide(new(roc_auc=0.6, brier=0.2, ece=0.1, log_loss=0.6))
    assert len(verdict.reasons) == 4


def test_a_champion_that_could_not_be_judged_is_kept():
    verdict = decide(new(), champion_unjudged="the champion takes other features")
    assert verdict.decision == H
    assert "the champion takes other features" in verdict.reasons


def test_a_bad_challenger_is_rejected_beside_an_unjudged_champion():
    assert decide(new(roc_auc=0.6), champion_unjudged="the champion takes other features").decision == R


def test_no_verdict_is_without_a_reason():
    assert all(decide(challenger, champion).reasons for challenger, champion, *_ in VERDICTS.values())


def test_the_verdict_carries_every_number():
    verdict = decide(new(log_loss=0.42, slices={"a=b": daily(0.42)}), make_champion(slices={"a=b": daily(0.43)}))
    numbers = {check.name: (round(check.value, 4), round(check.bound, 4), check.is_passed) for check in verdict.checks}
    assert numbers == {
        "roc_auc, floor": (0.76, 0.7, True),
        "brier, ceiling": (0.13, 0.15, True),
        "ece, ceiling": (0.01, 0.05, True),
        "roc_auc, plausible": (0.76, 0.95, True),
        "pr_auc, plausible": (0.5, 0.9, True),
        "milliseconds for 1 row, ceiling": (4.0, 100.0, True),
        "milliseconds for 1,000 rows, ceiling": (20.0, 1000.0, True),
        "megabytes, ceiling": (1.0, 2.0, True),
        "improvement on the baseline": (0.1, 0.0, True),
        "test days": (10, 10, True),
        "improvement on the champion": (0.01, 0.0043, True),
        "non-inferiority": (-0.01, 0.0086, True),
        "cost against the champion": (1.0, 0.5, False),
        "slice a=b": (-0.01, 0.043, True),
    }
    assert [comparison.name for comparison in verdict.comparisons] == ["overall", "a=b"]
    assert [check.slice for check in verdict.checks if check.slice] == ["a=b"]
    assert verdict.passed_slices == 1
    assert verdict.notable_checks == verdict.checks[:-1]
    words = {check.name: check.words for check in verdict.checks}
    assert words["test days"].startswith("10 test days that neither has learned from are enough to compare on")
    assert words["slice a=b"].startswith("a=b is not credibly worse: mean loss higher by -0.01000, at least -0.01000")
    assert words["non-inferiority"].startswith("not inferior to the champion: mean loss higher by at most -0.01000")


@pytest.mark.parametrize("case", ["good, and no champion yet", "the champion itself", "below its floor"])
def test_a_verdict_without_a_comparison_carries_the_numbers_of_the_bounds(case):
    names = {check.name for check in decide(*VERDICTS[case][:2]).checks}
    assert names == {check.name for check in decide(new(), champion_unjudged="it takes other features").checks}
    assert {"roc_auc, floor", "megabytes, ceiling", "improvement on the baseline"} < names


def test_a_verdict_can_be_written_as_plain_values():
    written = asdict(decide(new(log_loss=0.42), CHAMPION))
    assert written["decision"] == "PROMOTE"
    assert written["comparisons"][0]["improvement"]["estimate"] == pytest.approx(0.01)


def test_roles_are_words():
    assert [str(role) for role in Role] == ["challenger", "baseline", "champion"]
