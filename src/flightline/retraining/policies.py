"""Policies: from what was known at a decision to train (true) or wait; and what a life by one came to."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flightline.evaluation.bootstrap import DailyLosses
from flightline.retraining.matrix import Known, Matrix, known_at

Policy = Callable[[Known], bool]
CANDIDATES = 20


def never(known: Known) -> bool:
    """Keep the first model."""
    return False


def every(weeks: int) -> Policy:
    """Train so many weeks after the last training."""
    return lambda known: known.since >= weeks


def on_drift(threshold: float) -> Policy:
    """Train if a larger share of the columns is above their own thresholds."""
    return lambda known: known.drift > threshold


def on_performance(known: Known) -> bool:
    """Train if the monitoring rule asks for it."""
    return known.is_firing


def on_either(*policies: Policy) -> Policy:
    """Train if one of them would."""
    return lambda known: any(policy(known) for policy in policies)


@dataclass(frozen=True)
class Course:
    """A life by a policy.

    Parameters
    ----------
    served
        By week, the number of the model that served.
    trained, promoted
        By decision, whether a model was fitted, and whether it went into service.
    """

    served: tuple[int, ...]
    trained: tuple[bool, ...]
    promoted: tuple[bool, ...]

    def trainings(self, start: int = 0, end: int | None = None) -> int:
        """Count the trainings of some weeks."""
        return sum(self.trained[start:end])

    def promotions(self, start: int = 0, end: int | None = None) -> int:
        """Count the models that went into service in some weeks."""
        return sum(self.promoted[start:end])


def live(matrix: Matrix, policy: Policy, has_gate: bool) -> Course:
    """Live through the weeks by a policy; the first model is given.

    Parameters
    ----------
    has_gate
        Whether the gate may keep a new model out of service; its training is paid for all the same.
    """
    served, trained, promoted, last = [0], [False], [False], 0
    for week in range(1, matrix.size):
        is_due = bool(policy(known_at(matrix, week, week - last, tuple(served))))
        passes = is_due and (not has_gate or bool(matrix.promotes[served[-1], week]))
        last = week if is_due else last
        trained.append(is_due)
        promoted.append(passes)
        served.append(week if passes else served[-1])
    return Course(tuple(served), tuple(trained), tuple(promoted))


def losses_of(matrix: Matrix, course: Course) -> np.ndarray:
    """Give the summed loss of each week, shape (n,)."""
    return matrix.weekly[list(course.served), np.arange(matrix.size)]


def weeks_as_blocks(matrix: Matrix, course: Course, start: int = 0) -> DailyLosses:
    """Give the losses from a week on in the form that the bootstrap takes, each week one block."""
    losses, rows = losses_of(matrix, course)[start:], matrix.weekly_rows[start:]
    names = tuple(f"{week:%Y-%m-%d}" for week in matrix.weeks[start:])
    return DailyLosses(names, tuple(losses.tolist()), tuple(int(count) for count in rows))


def cost_of(matrix: Matrix, course: Course, price: float, start: int = 0, end: int | None = None) -> float:
    """Sum loss and trainings over some weeks, a training at its price in units of summed loss."""
    return float(losses_of(matrix, course)[start:end].sum() + price * course.trainings(start, end))


def candidates(matrix: Matrix) -> list[float]:
    """Give thresholds of drift to choose from: quantiles of what was seen."""
    seen = matrix.drift[np.isfinite(matrix.drift)]
    return sorted(set(np.round(np.quantile(seen, np.linspace(0, 1, CANDIDATES + 1)), 6).tolist())) if len(seen) else []


def choose_threshold(first_half: Matrix, make: Callable[[float], Policy], price: float, has_gate: bool) -> float:
    """Choose the threshold with the least cost on these weeks; of equal ones the highest.

    Parameters
    ----------
    first_half
        See `Matrix.first`: later weeks are not in it.
    make
        From a threshold to a policy.
    """
    costs = {
        value: cost_of(first_half, live(first_half, make(value), has_gate), price) for value in candidates(first_half)
    }
    return max((value for value in costs if costs[value] <= min(costs.values()) + 1e-9), default=1.0)


def break_even(matrix: Matrix, course: Course, other: Course, start: int = 0) -> float:
    """Give the price of a training at which two lives cost the same; NaN if they train equally often.

    Below it the one that trains more often costs less, if it also loses less.
    """
    more = course.trainings(start) - other.trainings(start)
    gain = losses_of(matrix, other)[start:].sum() - losses_of(matrix, course)[start:].sum()
    return float(gain / more) if more else float("nan")


def best_course(matrix: Matrix, price: float, start: int = 0) -> tuple[Course, float]:
    """Find the cheapest life of all, knowing every label in advance, by dynamic programming.

    Parameters
    ----------
    start
        The first week that counts. From a later one than the first, the model that serves before it may be any: so
        the cost bounds whatever a policy did before.

    Returns
    -------
    Course, float
        And its cost from `start` on, below which no policy can come, with the gate or without.
    """
    weekly, size = matrix.weekly, matrix.size
    ahead = np.zeros(size)  # by the model that serves, the least cost of the weeks that are left
    trains = np.zeros((size, size), dtype=bool)
    for week in range(size - 1, max(start, 1) - 1, -1):
        waiting = weekly[:, week] + ahead
        training = price + weekly[week, week] + ahead[week]
        trains[week] = training < waiting
        ahead = np.where(np.arange(size) < week, np.minimum(waiting, training), np.nan)
    model, total = int(np.nanargmin(ahead[:start])) if start else 0, float(np.nanmin(ahead[: max(start, 1)]))
    total += 0.0 if start else float(weekly[0, 0])
    served, trained = [model] * max(start, 1), [False] * max(start, 1)
    for week in range(max(start, 1), size):
        trained.append(bool(trains[week, served[-1]]))
        served.append(week if trained[-1] else served[-1])
    return Course(tuple(served), tuple(trained), tuple(trained)), total
