"""The command line: `python -m tests.proof [--only NAME] [--keep]`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from flightline.adapters.files.pipes import outlive_reader
from tests.proof.catalogue import FAULTS
from tests.proof.execution.copies import PROJECT, ProofError
from tests.proof.execution.harness import AT_A_TIME, prove
from tests.proof.judgement import CONTROL, Outcome
from tests.proof.matrix import explanation, matrix, progress_line


def conclude(outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print the matrix after what went wrong; return the exit code."""
    wrong = [outcome for outcome in outcomes if not outcome.is_passed]
    for outcome in wrong:
        print(f"\n{explanation(outcome)}")
    print(f"\n{matrix(outcomes, seconds)}")
    return 1 if wrong or all(outcome.not_applicable for outcome in outcomes) else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof", description="Plant faults; their safeguards must stop them."
    )
    names = [CONTROL, *(fault.name for fault in FAULTS)]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--keep", action="store_true", help="keep the copies and say where they are")
    options = parser.parse_args(arguments)
    chosen = options.only or names
    faults = [fault for fault in FAULTS if fault.name in chosen]
    total, done, start = len(set(chosen)), 0, time.perf_counter()

    def report(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        print(progress_line(done, total, outcome), flush=True)

    signal.signal(signal.SIGTERM, _interrupt)
    print(f"{total} runs, {AT_A_TIME} at a time, each in a copy of this tree with a part of the data", flush=True)
    try:
        outcomes = prove(faults, CONTROL in chosen, options.keep, PROJECT, report)
    except KeyboardInterrupt:
        print("stopped; nothing was proved", file=sys.stderr)
        return 130
    except (ProofError, TimeoutError) as err:
        print(f"the proof could not be run: {err}", file=sys.stderr)
        return 1
    return conclude(outcomes, time.perf_counter() - start)


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
