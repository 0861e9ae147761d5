"""A learned policy: tabular Q-learning (Watkins and Dayan, 1992) over a few states, on resampled first halves.

A life is drawn from blocks of weeks of the first half, each with its days drawn again. A model that is so many weeks
old in a drawn week is the one that was so old in that week: so the matrix holds all that a life can meet.
"""

from dataclasses import dataclass

import numpy as np

from flightline.retraining.matrix import Known, Matrix

AGES = (2, 5, 13)  # weeks since training: 1, 2 to 4, 5 to 12, more
LEVELS = (1 / 3, 2 / 3)  # drift and excess loss are low, middle or high, by thirds of what the first half saw
BLOCK = 4
LIVES = 2_000
DISCOUNT = 0.97
EXPLORED = 0.2
WAIT, TRAIN = 0, 1


@dataclass(frozen=True)
class LearnedPolicy:
    """What to do in each state; a policy as any other.

    Parameters
    ----------
    values
        By age, drift, excess and action: the expected reward, shape (4, 3, 3, 2).
    drift_edges, excess_edges
        Between low, middle and high.
    """

    values: np.ndarray
    drift_edges: tuple[float, float]
    excess_edges: tuple[float, float]

    def __call__(self, known: Known) -> bool:
        """Train if that is worth more than waiting."""
        wait, train = self.values[_state(known.since, known.drift, known.excess, self.drift_edges, self.excess_edges)]
        return bool(train > wait)


def _state(
    since: int, drift: float, excess: float, drift_edges: tuple[float, float], excess_edges: tuple[float, float]
) -> tuple[int, int, int]:
    """Give the state; what is not known counts as low."""
    age = sum(since >= edge for edge in AGES)
    return age, sum(drift > edge for edge in drift_edges), sum(excess > edge for edge in excess_edges)


def learn_policy(first_half: Matrix, price: float, seed: int) -> LearnedPolicy:
    """Learn what to do in each state.

    Parameters
    ----------
    first_half
        See `Matrix.first`.
    price
        Of a training, in units of summed loss.
    """
    random = np.random.default_rng(seed)
    edges = _edges(first_half.drift), _edges(first_half.excess)
    # What the newest model loses too is the same whatever is done: without it a reward says more.
    newest = np.einsum("ttd->td", first_half.losses)
    regret = first_half.losses - newest[None]
    scale = max(price, float(np.nanmean(np.abs(regret.sum(axis=2)))), 1e-12)
    values, visits = np.zeros((len(AGES) + 1, 3, 3, 2)), np.zeros((len(AGES) + 1, 3, 3, 2))
    for _ in range(LIVES):
        _live_once(first_half, regret / scale, price / scale, edges, values, visits, random)
    return LearnedPolicy(values * scale, *edges)


def _edges(seen: np.ndarray) -> tuple[float, float]:
    known = seen[np.isfinite(seen)]
    low, high = np.quantile(known, LEVELS) if len(known) else (np.inf, np.inf)
    return float(low), float(high)


def _draw_weeks(count: int, random: np.random.Generator) -> np.ndarray:
    block = min(BLOCK, count - 1)
    starts = random.integers(1, count - block + 1, -(-count // block))
    return (starts[:, None] + np.arange(block)).ravel()[:count]


def _live_once(
    matrix: Matrix,
    regret: np.ndarray,
    price: float,
    edges: tuple[tuple[float, float], tuple[float, float]],
    values: np.ndarray,
    visits: np.ndarray,
    random: np.random.Generator,
) -> None:
    weeks = _draw_weeks(matrix.size, random)
    days = random.multinomial(7, np.full(7, 1 / 7), size=len(weeks))
    since, before = 1, None
    for place, week in enumerate(weeks):
        model = max(week - since, 0)
        state = _state(since, matrix.drift[model, week], matrix.excess[model, week], *edges)
        if before is not None:
            _learn(values, visits, *before, values[state].max())
        action = int(random.integers(2)) if random.random() < EXPLORED else int(values[state].argmax())
        serving = week if action == TRAIN else model
        reward = -float(regret[serving, week] @ days[place]) - price * action
        before = (*state, action), reward
        since = 1 if action == TRAIN else since + 1
    if before is not None:
        _learn(values, visits, *before, 0.0)


def _learn(
    values: np.ndarray, visits: np.ndarray, place: tuple[int, int, int, int], reward: float, ahead: float
) -> None:
    visits[place] += 1
    values[place] += (reward + DISCOUNT * ahead - values[place]) / visits[place] ** 0.7
