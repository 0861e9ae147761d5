"""The table of policies: what is chosen is chosen early, and what is learned is held against the limit."""

from dataclasses import replace

import numpy as np
import pytest

from flightline.retraining.comparison import LEARNED, NEVER, compare_policies, default_price
from flightline.retraining.learned import learn_policy
from flightline.retraining.policies import cost_of, every, live, never
from tests.retraining.matrices import ageing

NAMES = [
    "never", "every week", "every 4 weeks", "every 13 weeks", "on drift", "on performance", "on drift or performance",
    "learned",
]  # fmt: skip


def test_every_policy_is_judged_with_the_gate_and_without():
    compared = compare_policies(ageing(), 10.0, seed=0)
    assert [each.label for each in compared.judged] == [*NAMES, *(f"{name}, gate" for name in NAMES[1:])]
    assert all(each.whole.promotions <= each.whole.trainings for each in compared.judged)
    assert min(each.second.cost for each in compared.judged) >= compared.limit - 1e-9


def test_where_age_costs_training_pays_and_the_interval_says_so():
    matrix = ageing(24, by_week=0.01, noise=0.002)
    found = compare_policies(matrix, default_price(matrix), seed=0).find("every 4 weeks").whole
    served = live(matrix, every(4), has_gate=False).served
    ages = np.arange(24) - np.array(served)
    assert found.gain.estimate == pytest.approx(0.01 * (np.arange(24) - ages).mean(), abs=0.002)
    assert 0 < found.gain.lower < found.gain.estimate < found.gain.upper


def test_where_age_costs_nothing_no_gain_is_credible():
    matrix = ageing(24, by_week=0.0, noise=0.01)
    gain = compare_policies(matrix, 1.0, seed=0).find("every 4 weeks").whole.gain
    assert gain.lower < 0 < gain.upper


@pytest.mark.parametrize("price", [3.0, 60.0])
def test_what_is_learned_comes_near_the_best_where_states_say_it_all(price):
    """Loss grows evenly with age, so waiting for the right age is best; dear trainings are for older models."""
    matrix = ageing(40, by_week=0.01)
    policy = learn_policy(matrix.first(20), price, seed=0)
    compared = compare_policies(matrix, price, seed=0)
    own = cost_of(matrix, live(matrix, policy, has_gate=False), price, matrix.half)
    idle = cost_of(matrix, live(matrix, never, has_gate=False), price, matrix.half)
    assert own - compared.limit < 0.15 * (idle - compared.limit)
    assert own == pytest.approx(compared.find(LEARNED).second.cost)


def test_where_training_never_pays_nothing_is_trained():
    compared = compare_policies(ageing(24, by_week=0.0), 50.0, seed=0)
    assert compared.find(LEARNED).whole.trainings == 0
    assert compared.best.whole.trainings == 0
    assert not compared.is_worth_learning


def test_the_second_half_teaches_nothing():
    matrix = ageing(noise=0.02)
    spoiled = replace(matrix, losses=matrix.losses.copy(), excess=-matrix.excess, drift=matrix.drift.copy())
    spoiled.losses[:, matrix.half :] *= 3
    spoiled.excess[:, : matrix.half] = matrix.excess[:, : matrix.half]
    spoiled.drift[:, matrix.half :] = 0.5
    one, other = (compare_policies(each, 10.0, seed=0) for each in (matrix, spoiled))
    assert np.array_equal(one.learned.values, other.learned.values)
    for mine, theirs in zip(one.judged, other.judged, strict=True):
        assert mine.threshold == pytest.approx(theirs.threshold, nan_ok=True)


def test_the_same_seed_learns_the_same():
    first, again, other = (learn_policy(ageing(noise=0.01).first(8), 10.0, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_never_is_the_ground_that_gains_are_counted_from():
    idle = compare_policies(ageing(), 10.0, seed=0).find(NEVER)
    assert (idle.whole.gain.estimate, idle.whole.gain.lower, idle.whole.trainings) == (0, 0, 0)
