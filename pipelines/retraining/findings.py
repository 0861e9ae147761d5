"""What a replay says, in sentences that follow from its numbers."""

from collections.abc import Iterator

import numpy as np

from flightline.evaluation.bootstrap import Improvement
from flightline.retraining.comparison import LEARNED, NEVER, Comparison, Judged
from flightline.retraining.matrix import Matrix


def findings(matrix: Matrix, compared: Comparison) -> list[str]:
    """Say what was found; the first sentence is the headline."""
    return [_headline(compared), *_more(matrix, compared)]


def _headline(compared: Comparison) -> str:
    gain = compared.find("every 4 weeks").whole.gain
    if gain.lower > 0:
        return f"Training every 4 weeks instead of never would have lowered the loss by {gain.estimate:.4f}."
    if gain.upper < 0:
        return f"Training every 4 weeks instead of never would have raised the loss by {-gain.estimate:.4f}."
    return "Training every 4 weeks instead of never would have changed nothing that could be told from chance."


def _more(matrix: Matrix, compared: Comparison) -> Iterator[str]:
    monthly = compared.find("every 4 weeks")
    yield f"Every 4 weeks against never, over all weeks: {_words(monthly.whole.gain)}; second half alone: " + (
        f"{_words(monthly.second.gain)}."
    )
    weekly = compared.find("every week")
    yield (
        f"Every week instead ({weekly.whole.trainings} trainings in place of {monthly.whole.trainings}): "
        f"{_words(weekly.whole.gain)} against never."
    )
    cheapest = min((one for one in compared.judged if one.name != LEARNED), key=lambda one: one.second.cost)
    yield (
        f"At a price of {compared.price:,.2f} for a training the least cost in the second half had {cheapest.label!r}: "
        f"{cheapest.second.cost:,.1f}; never training had {compared.find(NEVER).second.cost:,.1f}, and nobody could "
        f"have come below {compared.limit:,.1f}."
    )
    yield _of_gate(compared)
    yield _of_rule(matrix, compared)
    yield _of_learning(compared)


def _words(gain: Improvement) -> str:
    return f"{gain.estimate:+.4f} (95 % {gain.lower:+.4f} to {gain.upper:+.4f})"


def _of_gate(compared: Comparison) -> str:
    free, held = compared.find("every 4 weeks").whole, compared.find("every 4 weeks", has_gate=True).whole
    less = free.gain.estimate - held.gain.estimate
    return (
        f"With the gate's veto, {held.promotions} of {held.trainings} models trained every 4 weeks went into service, "
        f"and the gain {'fell' if less > 0 else 'rose'} by {abs(less):.4f}: the gate asks for proof, and four weeks "
        "often give none."
    )


def _of_rule(matrix: Matrix, compared: Comparison) -> str:
    own, drift = compared.find("on performance"), compared.find("on drift")
    seen = float(np.nanmax(matrix.drift)) if np.isfinite(matrix.drift).any() else 0.0
    return (
        f"Trainings that the monitoring rule asked for in {matrix.size} weeks: {own.whole.trainings} "
        f"({_words(own.whole.gain)} against never); that drift asked for, above {drift.threshold:.0%} of the columns, "
        f"the threshold of the first half: {drift.whole.trainings} ({_words(drift.whole.gain)}; the most seen was "
        f"{seen:.0%})."
    )


def _of_learning(compared: Comparison) -> str:
    own, simple = compared.find(LEARNED), compared.find(compared.simple)
    numbers = (
        f"against {simple.name!r}, the cheapest simple one of the first half, its loss was lower by "
        f"{_words(compared.learned_gain)} and its cost {own.second.cost - simple.second.cost:+,.1f}"
    )
    if compared.is_worth_learning:
        return f"The learned policy was worth learning on these weeks: in the second half, {numbers}."
    return f"Learning gained nothing on this data: in the second half, {numbers}."


def chosen_words(one: Judged) -> str:
    """Say what of a policy was chosen on the first half."""
    if one.name == LEARNED:
        return "what to do in each of 36 states"
    return f"drift above {one.threshold:.1%}" if np.isfinite(one.threshold) else ""
