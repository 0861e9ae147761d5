"""Was a run as demanded? Pure functions from what was seen to what is wrong with it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.proof.execution.commands import Result
from tests.proof.fault import ASK, SIMULATE, STATUS, TRAIN_ANOTHER, Fault
from tests.proof.observation import State
from tests.proof.safeguards import SAFEGUARDS, Safeguard

CONTROL = "control"
REUSED_STAGES = ("validate", "features", "training set")


@dataclass(frozen=True)
class Run:
    """What was seen of one copy.

    Parameters
    ----------
    preparation
        Commands run before the fault was planted.
    results
        Commands run with it.
    before, after
        The state around `results`.
    seconds
        Of all of it.
    """

    preparation: tuple[Result, ...]
    results: tuple[Result, ...]
    before: State
    after: State
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A row of the matrix: which safeguards fired, and what is not as demanded.

    Parameters
    ----------
    named
        The safeguard that had to fire; None for the control.
    problems
        What is not as demanded; empty if all is.
    output
        What the commands printed.
    is_run
        False if the fault could not even be planted.
    not_applicable
        Why the fault cannot be made for this problem; empty if it can.
    """

    name: str
    named: str | None
    fired: frozenset[str]
    problems: tuple[str, ...]
    seconds: float
    output: str = ""
    is_run: bool = True
    not_applicable: str = ""

    @property
    def is_passed(self) -> bool:
        """Whether all is as demanded."""
        return not self.problems


def fired_in(results: Sequence[Result]) -> frozenset[str]:
    """Name the safeguards of which the commands give evidence."""
    return frozenset(name for name, safeguard in SAFEGUARDS.items() if safeguard.has_fired(results))


def set_aside(fault: Fault, reason: object) -> Outcome:
    """Count a fault that cannot be made for this problem; it must be said why."""
    reason = str(reason or "").strip()
    problems = () if reason else ("it is said not to be applicable, and not why",)
    return Outcome(fault.name, fault.safeguard, frozenset(), problems, 0.0, is_run=False, not_applicable=reason)


Words = str | Sequence[str]  # these, or one of several


def expected_words(fault: Fault, planted: Sequence[str], choices: Mapping[str, Any]) -> tuple[Words, ...]:
    """Give the words that the safeguard must use: the fault's own, of its planting, and of what was chosen for it."""
    own = (fault.says,) if isinstance(fault.says, str) else fault.says
    chosen = choices.get(fault.name, {}).get("says", ())
    return (*(words.format_map(choices.get("words", {})) for words in own), *planted, *chosen)


def judge_fault(fault: Fault, run: Run, expected: Sequence[Words]) -> Outcome:
    """Demand that the named safeguard fired, pointed at the culprit, and kept what it must keep."""
    safeguard = SAFEGUARDS[fault.safeguard]
    fired = fired_in(run.results)
    problems = [f"`{_shown(r)}` failed before the fault was planted" for r in run.preparation if r.exit_code]
    if not problems:
        problems = [*_missed(fault, safeguard, run, fired, expected), *_changed(safeguard, run.before, run.after)]
    return Outcome(fault.name, fault.safeguard, fired, tuple(problems), run.seconds, _transcript(run))


def _missed(
    fault: Fault, safeguard: Safeguard, run: Run, fired: frozenset[str], expected: Sequence[Words]
) -> list[str]:
    if fault.safeguard not in fired:
        codes = ", ".join(str(result.exit_code) for result in run.results)
        return [f"not stopped by {fault.safeguard} ({safeguard.meaning}); exit code {codes}"]
    spoken = "\n".join(result.output for result in run.results)
    if not expected:
        return ["nothing is known of what the safeguard must point at"]
    wanted = [(words,) if isinstance(words, str) else tuple(words) for words in expected]
    missed = [words for words in wanted if not any(each in spoken for each in words)]
    return [f"{fault.safeguard} did not say {' or '.join(map(repr, words))}" for words in missed]


def _changed(safeguard: Safeguard, before: State, after: State) -> list[str]:
    return [
        f"{safeguard.name} let {name} change: {_short(getattr(before, name))} to {_short(getattr(after, name))}"
        for name in safeguard.keeps
        if getattr(before, name) != getattr(after, name)
    ]


def _short(value: object, width: int = 50) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def judge_control(run: Run) -> Outcome:
    """Demand that the clean tree trains, promotes, says so, reuses, serves, is rebuilt, and that no safeguard fires."""
    fired = fired_in(run.results)
    problems = [
        f"`{_shown(result)}` ended with exit code {result.exit_code}" for result in run.results if result.exit_code
    ]
    problems += [f"{name} fired although nothing was wrong" for name in sorted(fired)]
    if run.before.data_version != run.after.data_version:
        problems.append("data.dvc changed")
    if run.after.champion != "1" or run.after.versions != 2:
        problems.append(f"expected version 1 of 2 to be champion, got {run.after.champion} of {run.after.versions}")
    problems += _not_reused(run.results)
    problems += _wrong_status(run)
    problems += _not_served(run.results)
    problems += _not_rebuilt(run.results)
    return Outcome(CONTROL, None, fired, tuple(problems), run.seconds, _transcript(run))


def _not_reused(results: Sequence[Result]) -> list[str]:
    again = "\n".join(result.output for result in results if result.command == TRAIN_ANOTHER)
    return [
        f"the second training did not reuse: {stage}"
        for stage in REUSED_STAGES
        if not re.search(rf"^{stage} .*, reused: ", again, re.MULTILINE)
    ]


def _wrong_status(run: Run) -> list[str]:
    said = [result.output for result in run.results if result.command == STATUS]
    try:
        champion = json.loads(said[0])["champion"]["version"]
    except (IndexError, KeyError, TypeError, ValueError):
        return ["`make status` names no champion"]
    return (
        [] if champion == run.after.champion else [f"`make status` names {champion}, the registry {run.after.champion}"]
    )


def _not_served(results: Sequence[Result]) -> list[str]:
    said = "\n".join(result.output for result in results if result.command == ASK)
    if re.search(r"^ANSWERED: version 1, logged; [1-9]\d* value\(s\) of the online store used", said, re.MULTILINE):
        return []
    return ["the service gave no logged prediction of version 1 with values of the online store"]


def _not_rebuilt(results: Sequence[Result]) -> list[str]:
    said = "\n".join(result.output for result in results if result.command[:2] == SIMULATE[:2])
    if re.search(r"^parity +0 mismatches in [1-9]", said, re.MULTILINE):
        return []
    return ["no prediction of the simulation was rebuilt as it was made"]


def _shown(result: Result) -> str:
    return " ".join(("python", *result.command))


def _transcript(run: Run) -> str:
    parts = [f"$ {_shown(r)}\n{r.output.rstrip()}\n(exit code {r.exit_code})" for r in (*run.preparation, *run.results)]
    return "\n".join(parts)
