"""Policies live through a matrix by what was known; the best life is found by trying every one."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest

from flightline.core.errors import TrainingError
from flightline.retraining.matrix import Known, known_at
from flightline.retraining.policies import (
    Course,
    best_course,
    break_even,
    candidates,
    choose_threshold,
    cost_of,
    every,
    live,
    losses_of,
    never,
    on_drift,
    on_either,
    on_performance,
    weeks_as_blocks,
)
from tests.retraining.matrices import ageing


@pytest.mark.parametrize(
    ("policy", "trained"),
    [
        (never, []),
        (every(1), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (every(4), [4, 8]),
        (every(13), []),
        (on_drift(0.25), [3, 6, 9]),
        (on_performance, [6]),
        (on_either(on_drift(0.45), on_performance), [5]),
    ],
)
def test_a_policy_trains_when_it_says(policy, trained):
    course = live(ageing(10), policy, has_gate=False)
    assert [week for week, is_trained in enumerate(course.trained) if is_trained] == trained
    assert course.promoted == course.trained


def test_the_gate_keeps_a_model_out_and_its_training_is_paid():
    course = live(ageing(8), every(2), has_gate=True)
    assert [week for week, is_trained in enumerate(course.trained) if is_trained] == [2, 4, 6]
    assert course.served == (0, 0, 0, 0, 4, 4, 4, 4)  # 2 is too young a successor, and so is 6
    assert (course.trainings(), course.promotions()) == (3, 1)


def peek_at_this_week(known: Known) -> bool:
    return known.loss_of(known.week) > 0.45


def peek_at_next_week(known: Known) -> bool:
    return known.loss_of(known.week + 1) > 0.45


def peek_at_unknown_labels(known: Known) -> bool:
    return known.loss_of(known.week - 1) > 0.45


@pytest.mark.parametrize("policy", [peek_at_this_week, peek_at_next_week, peek_at_unknown_labels])
def test_a_policy_that_peeks_fails(policy):
    """The last labels of a week come a day after its end: at the decision that follows they are not known."""
    with pytest.raises(TrainingError, match="a policy decides from what was known"):
        live(ageing(), policy, has_gate=False)


def test_a_policy_may_look_at_what_was_known():
    def worse_than_at_first(known: Known) -> bool:
        return known.week > 2 and known.loss_of(known.week - 2) > known.loss_of(0)

    assert live(ageing(), worse_than_at_first, has_gate=False).trainings() > 0


def test_nothing_of_later_labels_is_in_what_a_policy_is_given():
    matrix, week = ageing(noise=0.01), 9
    other = replace(matrix, losses=matrix.losses.copy())
    other.losses[:, week - 1 :] *= 7  # the week before is not all known yet
    assert known_at(matrix, week, 3, (0,) * week) == known_at(other, week, 3, (0,) * week)
    assert len(known_at(matrix, week, 3, (0,) * week).losses) == week - 1
    late = replace(matrix, known_at=tuple(moment + timedelta(days=21) for moment in matrix.known_at))
    assert len(known_at(late, week, 3, (0,) * week).losses) == week - 4


@pytest.mark.parametrize("price", [0.0, 5.0, 20.0, 1e6])
def test_the_best_life_is_the_cheapest_of_all(price):
    matrix = ageing(8, noise=0.02)
    costs = []
    for choice in product([False, True], repeat=matrix.size - 1):
        trained = (False, *choice)
        served = [max(week for week in range(now + 1) if trained[week] or not week) for now in range(matrix.size)]
        costs.append(cost_of(matrix, Course(tuple(served), trained, trained), price))
    course, cost = best_course(matrix, price)
    assert cost == pytest.approx(min(costs))
    assert cost_of(matrix, course, price) == pytest.approx(cost)


@pytest.mark.parametrize("policy", [never, every(1), every(4), on_drift(0.2), on_performance])
@pytest.mark.parametrize("has_gate", [False, True])
def test_nobody_comes_below_the_limit(policy, has_gate):
    matrix, price = ageing(noise=0.02), 15.0
    course = live(matrix, policy, has_gate)
    for start in (0, matrix.half):
        assert cost_of(matrix, course, price, start) >= best_course(matrix, price, start)[1] - 1e-9


def test_a_threshold_follows_from_the_first_half_alone():
    matrix = ageing(noise=0.02)
    spoiled = replace(matrix, losses=matrix.losses.copy(), drift=matrix.drift.copy())
    spoiled.losses[:, matrix.half :] *= -3
    spoiled.drift[:, matrix.half :] = 0.9
    chosen, again = (
        choose_threshold(one.first(matrix.half), on_drift, 10.0, has_gate=False) for one in (matrix, spoiled)
    )
    assert chosen == again
    assert chosen in candidates(matrix.first(matrix.half))


def test_a_dear_training_asks_for_a_higher_threshold():
    first_half = ageing().first(8)
    cheap, dear = (choose_threshold(first_half, on_drift, price, has_gate=False) for price in (0.0, 1e6))
    assert cheap < dear
    assert live(first_half, on_drift(dear), has_gate=False).trainings() == 0


def test_at_the_break_even_price_both_cost_the_same():
    matrix = ageing()
    often, idle = (live(matrix, policy, has_gate=False) for policy in (every(4), never))
    price = break_even(matrix, often, idle)
    assert cost_of(matrix, often, price) == pytest.approx(cost_of(matrix, idle, price))
    assert np.isnan(break_even(matrix, idle, idle))


def test_blocks_are_weeks():
    matrix = ageing(8)
    blocks = weeks_as_blocks(matrix, live(matrix, every(4), has_gate=False), 4)
    assert blocks.days == ("2020-02-03", "2020-02-10", "2020-02-17", "2020-02-24")
    assert blocks.counts == (700,) * 4
    assert sum(blocks.sums) == pytest.approx(losses_of(matrix, live(matrix, every(4), has_gate=False))[4:].sum())
