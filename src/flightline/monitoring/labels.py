"""Labels that arrive late: which examples have an outcome by now, and what is new about it.

Where they are kept is `adapters/prediction_log/label_table.py`'s business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from flightline.core.errors import LogError
from flightline.core.prediction_record import instance_key
from flightline.core.problem_spec import Problem

LABELLED = "labelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What became of one instance, as it was recorded once.

    Parameters
    ----------
    instance_key
        As in `LoggedPrediction`.
    revision
        1 for the first record of an instance; each correction adds one, the newest counts.
    outcome
        `LABELLED`, or why there is no label, in the words of the examples.
    label
        The target, or None where the outcome has none.
    known_at
        When it became known by the event clock. For an outcome without a moment of its own,
        where the clock stood when it was first seen: by then at the latest.
    recorded_at
        Time of day when it was written.
    clock
        Where the event clock stood then.
    data_md5
        The version of the data it was read from.
    """

    instance_key: str
    revision: int
    outcome: str
    label: float | None
    known_at: datetime
    recorded_at: datetime
    clock: datetime
    data_md5: str

    def says_the_same(self, other: "Label") -> bool:
        """Tell whether another record adds nothing to this one."""
        if (self.outcome, self.label) != (other.outcome, other.label):
            return False
        return self.outcome != LABELLED or self.known_at == other.known_at


def known_labels(
    examples: pd.DataFrame, problem: Problem, clock: datetime, recorded_at: datetime, data_md5: str
) -> list[Label]:
    """Give what is known of examples by the clock, each as a first revision.

    Parameters
    ----------
    examples
        As `features.examples` gives them, built at the clock or before it.
    clock
        A label that becomes known after this moment is left out.

    Raises
    ------
    LogError
        If two examples have the same keys and another outcome.
    """
    label = pd.to_numeric(examples[problem.label]).astype("float64")
    known_at = pd.to_datetime(examples["label_known_at"], utc=True)
    has_label = label.notna() & (known_at <= clock)
    has_other = label.isna() & examples["outcome"].notna() & ~(known_at > clock)
    found: dict[str, Label] = {}
    names = [*problem.entity_keys, *problem.request_columns]
    chosen = (has_label | has_other).to_numpy()
    rows = zip(
        examples.loc[chosen, names].to_dict("records"),
        examples.loc[chosen, "outcome"],
        label[chosen],
        known_at[chosen],
        strict=True,
    )
    for keys, outcome, value, moment in rows:
        is_labelled = value == value
        one = Label(
            instance_key=instance_key(keys),
            revision=1,
            outcome=LABELLED if is_labelled else str(outcome),
            label=float(value) if is_labelled else None,
            known_at=clock if pd.isna(moment) else moment.to_pydatetime(warn=False),
            recorded_at=recorded_at,
            clock=clock,
            data_md5=data_md5,
        )
        if not found.setdefault(one.instance_key, one).says_the_same(one):
            raise LogError(
                f"two examples have the keys {keys} and another outcome; expected one example for each set of keys: "
                "add the key that tells them apart to entity_keys or request_columns in problem/config.py"
            )
    return list(found.values())


def refuse_early(found: Sequence[Label]) -> None:
    """Demand that nothing is recorded before it is known: a label from the future makes every judgement too good.

    Raises
    ------
    LogError
        With how many labels, and the earliest clock among them.
    """
    early = [one for one in found if one.known_at > one.clock]
    if early:
        first = min(early, key=lambda one: (one.clock, one.known_at))
        raise LogError(
            f"{len(early):,} of {len(found):,} labels would be recorded before they are known, the first at "
            f"{first.clock.isoformat()} though known only at {first.known_at.isoformat()}; nothing was recorded. "
            "Leave out what becomes known after the event clock (src/flightline/monitoring/labels.py, known_labels)"
        )


def new_revisions(found: Sequence[Label], current: Mapping[str, Label]) -> list[Label]:
    """Keep what is not recorded yet, numbered after what is.

    Parameters
    ----------
    found
        Of `known_labels`.
    current
        The newest record of each instance, by its key.
    """
    fresh = []
    for one in found:
        before = current.get(one.instance_key)
        if before is None:
            fresh.append(one)
        elif not before.says_the_same(one):
            fresh.append(replace(one, revision=before.revision + 1))
    return fresh


@dataclass(frozen=True)
class LabelCounts:
    """What a run of the label flow did.

    Parameters
    ----------
    instances
        With a logged prediction.
    outcomes
        How many of them have each outcome by now.
    first, corrected
        Records that this run added: of instances without one, and of those with another.
    waiting
        Instances of whose outcome nothing is known by the clock.
    """

    instances: int
    outcomes: Mapping[str, int]
    first: int
    corrected: int
    waiting: int
