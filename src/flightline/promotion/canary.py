"""A challenger beside the champion: what it may do, who answers an instance, and what becomes of it.

docs/decisions/0015-the-canary.md says why, and how often it errs.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from flightline.core.problem_spec import Canary
from flightline.evaluation.sequential_test import confidence_sequence, first_crossing

Mode = Literal["shadow", "split"]
# A new version that wants to be champion, or the champion of before, ready to come back.
Purpose = Literal["promotion", "rollback"]
MOST_SHARE = 0.5


class CanarySetting(BaseModel, frozen=True, extra="forbid"):
    """What runs beside the champion, and how; there is none while no canary runs."""

    version: str = Field(min_length=1, description="The challenger's version, which does not move with its alias.")
    champion: str = Field(min_length=1, description="The champion's version it is compared with.")
    # A canary that was started under the mode's name of before goes on.
    mode: Annotated[Mode, BeforeValidator(lambda mode: "split" if mode == "share" else mode)]
    share: float = Field(default=0.0, ge=0, le=MOST_SHARE, description="Of the instances it answers, in mode split.")
    purpose: Purpose = "promotion"
    since: AwareDatetime = Field(description="Where the event clock stood when it began.")
    begun: str = Field(default="", description="Tells it from others that began at the same event clock.")


class Action(StrEnum):
    """What becomes of a challenger."""

    PROMOTE = "promote"
    WATCH = "watch"
    DROP = "drop"


@dataclass(frozen=True)
class ChallengerCounts:
    """What the workers counted of a challenger since it began.

    Parameters
    ----------
    asked
        Rows it was asked for.
    failed
        Of these, rows it raised an error for, or gave no finite number.
    slow
        Of these, rows that took longer than the bound; in mode split the champion answered.
    dropped
        Rows it was not asked for, because too many waited or it had failed too often.
    seconds
        It took in all.
    """

    asked: int = 0
    failed: int = 0
    slow: int = 0
    dropped: int = 0
    seconds: float = 0.0

    def __add__(self, other: "ChallengerCounts") -> "ChallengerCounts":
        return ChallengerCounts(
            self.asked + other.asked,
            self.failed + other.failed,
            self.slow + other.slow,
            self.dropped + other.dropped,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class JudgedDay:
    """One day of pairs: the same instances, predicted by both.

    Parameters
    ----------
    day
        UTC, of the prediction times.
    pairs
        With a label.
    gain
        Mean loss of the champion less that of the challenger: positive where the challenger is better.
    champion_loss
        The champion's mean loss.
    """

    day: date
    pairs: int
    gain: float
    champion_loss: float


@dataclass(frozen=True)
class CanaryDecision:
    """What becomes of a challenger, with every number it rests on.

    Parameters
    ----------
    gain, lower, upper
        Mean gain by block up to the deciding one, and its confidence sequence there; None without a block.
    """

    action: Action
    summary: str
    judged_days: int
    gain: float | None = None
    lower: float | None = None
    upper: float | None = None


def is_chosen(instance_key: str, version: str, share: float) -> bool:
    """Say whether the challenger answers an instance: always the same for the same instance and version.

    Parameters
    ----------
    instance_key
        Of `logged_prediction.instance_key`.
    version
        The challenger's: another challenger gets other instances.
    share
        Of all instances, 0..1.

    Examples
    --------
    >>> sum(is_chosen(str(key), "4", 0.1) for key in range(10_000))
    973
    """
    digest = hashlib.sha256(f"{version}:{instance_key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def block_gains(days: Sequence[JudgedDay], block_days: int) -> np.ndarray:
    """Average the gains of so many days each, in their order; days that do not fill a block wait.

    Returns
    -------
    ndarray of float, shape (blocks,)
    """
    whole = len(days) // block_days * block_days
    return np.array([one.gain for one in days[:whole]], dtype=float).reshape(-1, block_days).mean(axis=1)


def decide_canary(days: Sequence[JudgedDay], counts: ChallengerCounts, rule: Canary) -> CanaryDecision:
    """Decide by errors and latency at once, and by labels as soon as they suffice.

    Parameters
    ----------
    days
        All whose labels are in, since the challenger began, in the order in which they came in: days are only ever
        added at the end, so that the blocks before stay what they were.
    counts
        Since the challenger began.

    Returns
    -------
    CanaryDecision
        DROP if it fails or is slow too often, is credibly worse, or is not credibly better after
        `max_days`. PROMOTE if it is credibly better, by the first block that says so. WATCH otherwise.
    """
    failure = _failure(counts, rule)
    gains = block_gains(days[: rule.max_days], rule.block_days)
    crossing = first_crossing(gains, rule.alpha, rule.spread)
    seen = gains[: crossing.values] if crossing else gains
    bounds = _bounds(seen, rule)
    if failure:
        return CanaryDecision(Action.DROP, f"drop: {failure}", len(days), *bounds)
    words = _words(len(seen) * rule.block_days, bounds)
    if crossing and crossing.side == "better":
        return CanaryDecision(Action.PROMOTE, f"promote: credibly better, {words}", len(days), *bounds)
    if crossing:
        return CanaryDecision(Action.DROP, f"drop: credibly worse, {words}", len(days), *bounds)
    if len(days) >= rule.max_days:
        return CanaryDecision(
            Action.DROP, f"drop: not credibly better after {rule.max_days} days, {words}", len(days), *bounds
        )
    return CanaryDecision(
        Action.WATCH, f"watch: {len(days)} of at most {rule.max_days} days judged, {words}", len(days), *bounds
    )


def _failure(counts: ChallengerCounts, rule: Canary) -> str:
    asked = max(counts.asked, 1)
    for name, found, most in (
        ("failed for", counts.failed, rule.error_share),
        ("was too slow for", counts.slow, rule.slow_share),
    ):
        if found >= rule.min_failures and found / asked > most:
            return f"it {name} {found:,} of {counts.asked:,} rows, {most:.1%} are allowed"
    return ""


def _bounds(gains: np.ndarray, rule: Canary) -> tuple[float | None, float | None, float | None]:
    if not len(gains):
        return None, None, None
    lower, upper = confidence_sequence(gains, rule.alpha, rule.spread)
    return float(gains.mean()), float(lower[-1]), float(upper[-1])


def _words(days: int, bounds: tuple[float | None, float | None, float | None]) -> str:
    gain, lower, upper = bounds
    if gain is None:
        return "which is too few to say anything"
    return f"mean loss lower by {gain:+.5f} over {days} days ({lower:+.5f} to {upper:+.5f}, at every look at once)"
