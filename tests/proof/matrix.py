"""Prints what was found: a line for each run as it ends, and the fault x safeguard matrix."""

from collections.abc import Sequence

from tests.proof.catalogue.faults import FAULTS
from tests.proof.catalogue.safeguards import SAFEGUARDS
from tests.proof.judgement import Outcome

SHOWN_LINES = 30
_SIGNS = {"STOPPED": "#", "fired": "o", ".": ".", "MISSED": "M", "NOT RUN": "N", "ALARM": "A"}
_LEGEND = (
    "#: the safeguard named for this fault stopped it.  o: another one saw it too.  .: silent.\n"
    "M, missed: the named safeguard did not fire.  A, alarm: one fired although nothing was wrong.\n"
    "N, not run: the fault no longer fits the code and must be updated."
)


def cell(outcome: Outcome, safeguard: str) -> str:
    """Say what a safeguard did in a run."""
    if safeguard == outcome.named and not outcome.is_run:
        return "NOT RUN"
    if safeguard == outcome.named:
        return "STOPPED" if safeguard in outcome.fired else "MISSED"
    if safeguard not in outcome.fired:
        return "."
    return "ALARM" if outcome.named is None else "fired"


def progress_line(number: int, total: int, outcome: Outcome) -> str:
    """Say how one run ended."""
    what = f"stopped by {outcome.named}" if outcome.named else "clean, and passes"
    said = (
        what
        if outcome.is_passed
        else "NOT AS DEMANDED: " + "; ".join(problem.splitlines()[0] for problem in outcome.problems)
    )
    return f"[{number:2}/{total}] {outcome.name:31} {said} ({outcome.seconds:.0f} s)"


def matrix(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Lay the outcomes out as a table with a legend; `seconds` is what all took, the last line counts."""
    width = max((len(outcome.name) for outcome in outcomes), default=0)
    heading = f"{'fault':{width}} " + "".join(f"{number:>3}" for number, _ in enumerate(SAFEGUARDS, 1)) + "   seconds"
    rows = [
        f"{outcome.name:{width}} "
        + "".join(f"{_SIGNS[cell(outcome, name)]:>3}" for name in SAFEGUARDS)
        + f"{outcome.seconds:10.0f}"
        + ("" if outcome.is_passed else "  FAILED")
        for outcome in outcomes
    ]
    passed = sum(outcome.is_passed for outcome in outcomes)
    count = f"{passed} passed, {len(outcomes) - passed} failed"
    took = f"{len(outcomes)} runs in {seconds:.0f} s"
    return "\n".join([heading, *rows, "", _LEGEND, _meanings(), "", _mistakes(outcomes), "", took, count])


def _meanings() -> str:
    lines = enumerate(SAFEGUARDS.values(), 1)
    return "\n".join(f"{number:>3} {safeguard.name:11} {safeguard.meaning}" for number, safeguard in lines)


def _mistakes(outcomes: Sequence[Outcome]) -> str:
    shown = {outcome.name for outcome in outcomes}
    lines = [f"  {fault.name:31} {fault.mistake}" for fault in FAULTS if fault.name in shown]
    return "\n".join(["What was done wrong:", *lines]) if lines else "Nothing was done wrong in the control."


def explanation(outcome: Outcome) -> str:
    """Show what is wrong with an outcome, and the end of what its commands printed."""
    tail = outcome.output.splitlines()[-SHOWN_LINES:]
    problems = [f"  - {problem.rstrip()}" for problem in outcome.problems]
    return "\n".join([f"{outcome.name} is not as demanded:", *problems, *(f"  | {line}" for line in tail)])
