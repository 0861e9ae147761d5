"""What a model is for, in words of the problem: they stand in the card of every version."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Purpose:
    """What people should know before they rely on a prediction.

    Parameters
    ----------
    intended_use
        Who decides what by a prediction, in plain sentences.
    limits
        What it must not be used for, whom it may treat otherwise than others, what it does not know: a sentence each.
        What every card says (its data, its windows, slices that were too small) need not be said again.
    """

    intended_use: str = ""
    limits: tuple[str, ...] = ()
