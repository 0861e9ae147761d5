"""Whether evidence may be compared at all: each piece is whose it says, on the rows it should be, made fairly."""

from collections.abc import Iterator

import numpy as np

from flightline.core.windows import Interval
from flightline.promotion.evidence import Evidence, ExpectedModels, RegisteredModel, Role

SHOWN = 12
SAME_RELATIVE, SAME_ABSOLUTE = 1e-6, 1e-9  # sums in another order differ in their last digits


def incomparable(
    challenger: Evidence, baseline: Evidence, champion: Evidence | None, expected: ExpectedModels
) -> tuple[str, ...]:
    """Say why evidence is refused; empty if it is not.

    Parameters
    ----------
    challenger, baseline, champion
        As they were given to the gate.
    expected
        Who they have to be, and on which window.
    """
    given = {Role.CHALLENGER: challenger, Role.BASELINE: baseline} | ({Role.CHAMPION: champion} if champion else {})
    return (
        *_of_other_roles(given),
        *_of_other_models(Role.CHALLENGER, challenger, expected.challenger),
        *(_of_other_models(Role.CHAMPION, champion, expected.champion) if champion else ()),
        *(reason for role, evidence in given.items() for reason in _not_later(role, evidence, expected.window)),
        *_on_other_rows(given),
    )


def _of_other_roles(given: dict[Role, Evidence]) -> Iterator[str]:
    for role, evidence in given.items():
        if evidence.role != role:
            yield f"the {evidence.role}'s evidence was given as the {role}'s: mixed up on the way to the gate"


def _of_other_models(role: Role, evidence: Evidence, registered: RegisteredModel | None) -> Iterator[str]:
    if registered is None:
        yield f"evidence of a {role} was given, and the registry has none"
        return
    if (evidence.version, evidence.model) != (registered.version, registered.model):
        yield (
            f"the {role}'s evidence is of version {evidence.version} ({evidence.model[:SHOWN]}), the registry's "
            f"{role} is version {registered.version} ({registered.model[:SHOWN]})"
        )
        return
    theirs, own = evidence.summary.losses, registered.losses
    if (theirs.days, theirs.counts) != (own.days, own.counts):
        yield (
            f"the {role}'s evidence holds {theirs.rows} rows of {len(theirs.days)} days, its pipeline predicted "
            f"{own.rows} of {len(own.days)}"
        )
        return
    same = np.isclose(theirs.sums, own.sums, rtol=SAME_RELATIVE, atol=SAME_ABSOLUTE, equal_nan=True)
    if not same.all():
        yield (
            f"the {role}'s evidence was not made by its own registered pipeline on these features: the losses differ "
            f"on {int((~same).sum())} of {len(own.days)} days"
        )


def _not_later(role: Role, evidence: Evidence, window: Interval) -> Iterator[str]:
    first, last, learned = (
        evidence.summary.first_prediction,
        evidence.summary.last_prediction,
        evidence.learned_until,
    )
    if first < window.start:
        yield f"the {role} was judged on rows from {first:%Y-%m-%d} on, before the test window began ({window})"
    if last >= window.end:
        yield f"the {role} was judged on rows up to {last:%Y-%m-%d}, after the test window ended ({window})"
    if learned is None:
        if role is not Role.BASELINE:
            yield f"the {role} does not say up to which rows it learned: none may be taken for later ones"
    elif learned >= first:
        yield (
            f"the {role} learned from rows up to {learned:%Y-%m-%d %H:%M} and was judged on rows from "
            f"{first:%Y-%m-%d %H:%M} on: not on later rows only"
        )


def _on_other_rows(given: dict[Role, Evidence]) -> Iterator[str]:
    challenger = given[Role.CHALLENGER]
    for role, evidence in given.items():
        own = (challenger.compared if role is Role.CHAMPION else challenger.summary).rows_digest
        theirs = evidence.summary.rows_digest
        if theirs != own:
            yield f"the {role} was judged on other rows ({theirs[:SHOWN]}) than the challenger ({own[:SHOWN]})"
