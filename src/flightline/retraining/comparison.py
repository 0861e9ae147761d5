"""Every policy side by side: what each lost, trained and cost, chosen on the first half and judged on the second."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flightline.evaluation.bootstrap import Improvement, paired_improvement
from flightline.retraining.learned import LearnedPolicy, learn_policy
from flightline.retraining.matrix import Matrix
from flightline.retraining.policies import (
    Course,
    Policy,
    best_course,
    break_even,
    choose_threshold,
    cost_of,
    every,
    live,
    never,
    on_drift,
    on_either,
    on_performance,
    weeks_as_blocks,
)

EVERY = (1, 4, 13)
INTERVAL = 0.975  # of each bound: 95 % between them
DEFAULT_PRICE = 0.01  # of the first half's mean weekly loss of the first model
NEVER, LEARNED = "never", "learned"


@dataclass(frozen=True)
class Span:
    """What a life came to over some weeks.

    Parameters
    ----------
    loss
        Mean by row.
    gain
        By how much the mean loss is below that of training never, with bounds that hold 95 % between them.
    cost
        Summed loss and trainings.
    break_even
        The price of a training at which it costs the same as training never; NaN if it trains never too.
    """

    trainings: int
    promotions: int
    loss: float
    gain: Improvement
    cost: float
    break_even: float


@dataclass(frozen=True)
class Judged:
    """A policy with its life.

    Parameters
    ----------
    threshold
        Of drift, chosen on the first half; NaN if nothing was chosen.
    whole, second
        Over all weeks, and over those on which nothing was chosen.
    """

    name: str
    has_gate: bool
    threshold: float
    course: Course
    whole: Span
    second: Span

    @property
    def label(self) -> str:
        """The name, with the gate."""
        return f"{self.name}, gate" if self.has_gate else self.name


@dataclass(frozen=True)
class Comparison:
    """All policies on one matrix.

    Parameters
    ----------
    price
        Of a training, in units of summed loss.
    judged
        Each without the gate's veto and with it.
    best
        The cheapest life with hindsight, over all weeks.
    limit
        The least cost that anyone could have had over the second half.
    learned_gain
        By how much the learned policy's mean loss lies below that of the simple policy that was cheapest on the first
        half, on the second half.
    """

    price: float
    judged: tuple[Judged, ...]
    best: Judged
    limit: float
    learned: LearnedPolicy
    simple: str
    learned_gain: Improvement

    def find(self, name: str, has_gate: bool = False) -> Judged:
        """Give a policy by name."""
        return next(each for each in self.judged if each.name == name and each.has_gate == has_gate)

    @property
    def is_worth_learning(self) -> bool:
        """Whether the learned policy credibly lost less than the simple one, and did not cost more."""
        learned, simple = self.find(LEARNED), self.find(self.simple)
        return self.learned_gain.lower > 0 and learned.second.cost < simple.second.cost


def default_price(matrix: Matrix) -> float:
    """Give a hundredth of what the first model lost in a week of the first half, on average."""
    return DEFAULT_PRICE * float(matrix.weekly[0, : matrix.half].mean())


def compare_policies(matrix: Matrix, price: float, seed: int) -> Comparison:
    """Choose on the first half, live through all weeks by each policy, and judge both."""
    first_half = matrix.first(matrix.half)
    learned = learn_policy(first_half, price, seed)
    idle = live(matrix, never, has_gate=False)
    judged = tuple(
        _judge(matrix, name, has_gate, threshold, live(matrix, policy, has_gate), idle, price)
        for has_gate in (False, True)
        for name, policy, threshold in _policies(first_half, learned, price, has_gate)
        if name != NEVER or not has_gate
    )
    cheapest, _ = best_course(matrix, price)
    _, limit = best_course(matrix, price, matrix.half)
    simple = min(
        (each for each in judged if not each.has_gate and each.name != LEARNED),
        key=lambda each: cost_of(matrix, each.course, price, 0, matrix.half),
    )
    own = next(each for each in judged if each.name == LEARNED)
    ours, theirs = (weeks_as_blocks(matrix, each.course, matrix.half) for each in (own, simple))
    gain = paired_improvement(ours, theirs, INTERVAL)
    best = _judge(matrix, "best with hindsight", False, np.nan, cheapest, idle, price)
    return Comparison(price, judged, best, limit, learned, simple.name, gain)


def _policies(
    first_half: Matrix, learned: LearnedPolicy, price: float, has_gate: bool
) -> Iterator[tuple[str, Policy, float]]:
    yield NEVER, never, np.nan
    for weeks in EVERY:
        yield ("every week" if weeks == 1 else f"every {weeks} weeks"), every(weeks), np.nan
    threshold = choose_threshold(first_half, on_drift, price, has_gate)
    yield "on drift", on_drift(threshold), threshold
    yield "on performance", on_performance, np.nan

    def make(value: float) -> Policy:
        return on_either(on_drift(value), on_performance)

    threshold = choose_threshold(first_half, make, price, has_gate)
    yield "on drift or performance", make(threshold), threshold
    yield LEARNED, learned, np.nan


def _judge(
    matrix: Matrix, name: str, has_gate: bool, threshold: float, course: Course, idle: Course, price: float
) -> Judged:
    whole, second = (_span(matrix, course, idle, price, start) for start in (0, matrix.half))
    return Judged(name, has_gate, float(threshold), course, whole, second)


def _span(matrix: Matrix, course: Course, idle: Course, price: float, start: int) -> Span:
    own, theirs = (weeks_as_blocks(matrix, each, start) for each in (course, idle))
    return Span(
        trainings=course.trainings(start),
        promotions=course.promotions(start),
        loss=own.mean,
        gain=paired_improvement(own, theirs, INTERVAL),
        cost=cost_of(matrix, course, price, start),
        break_even=break_even(matrix, course, idle, start),
    )
