"""What workflows ask besides the project's own commands: may this run go on, did all jobs pass, show this file.

Run by whatever Python a machine has, before anything is installed: the standard library only.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = "docs/workflows.md"


def reasons_to_skip(needed: Sequence[str], variables: Mapping[str, str], event: Mapping[str, Any]) -> list[str]:
    """Say why a workflow that works on AWS cannot go on here; empty if it can.

    Parameters
    ----------
    needed
        Names of repository variables.
    variables
        Those that are set.
    event
        What GitHub tells of the event.
    """
    reasons = []
    request = event.get("pull_request") or {}
    # A deleted fork is none.
    head = (request.get("head") or {}).get("repo") or {}
    base = (request.get("base") or {}).get("repo") or {}
    if request and head.get("full_name") != base.get("full_name"):
        reasons.append(
            f"the pull request comes from {head.get('full_name', 'a fork')}: GitHub gives it no token for AWS"
        )
    elif (request.get("user") or {}).get("login") == "dependabot[bot]":
        reasons.append("GitHub gives pull requests of dependabot no token for AWS")
    if missing := [name for name in needed if not variables.get(name)]:
        reasons.append(f"repository variables are not set: {', '.join(missing)}; {DOCS} says what they are")
    return reasons


def failed_jobs(needs: Mapping[str, Mapping[str, Any]], elsewhere: Sequence[str] = ()) -> dict[str, str]:
    """Give each job that did not pass, with its result; cancelled is not passed, nor skipped.

    Where the job `scope` has passed and said that not all is to be checked, what it left out may be skipped.

    Parameters
    ----------
    elsewhere
        Jobs that may be skipped, since the calling workflow does what they do.
    """
    scope = needs.get("scope", {})
    is_narrow = scope.get("result") == "success" and (scope.get("outputs") or {}).get("checks") in {"docs", "none"}
    return {
        name: str(job.get("result"))
        for name, job in needs.items()
        if job.get("result") not in ({"success", "skipped"} if is_narrow or name in elsewhere else {"success"})
    }


def ready(needed: Sequence[str]) -> int:
    """Set the output `is_ready`, and say why where it is false; 0 either way."""
    variables = json.loads(os.environ.get("VARIABLES") or "{}")
    reasons = reasons_to_skip(needed, variables, _event())
    append("GITHUB_OUTPUT", f"is_ready={str(not reasons).lower()}")
    for reason in reasons:
        # Read by GitHub: a note on the run's page.
        print(f"::notice title={os.environ.get('GITHUB_WORKFLOW', 'workflow')} skipped::{reason}")
        append("GITHUB_STEP_SUMMARY", f"**Skipped**: {reason}.\n")
    print("ready: yes" if not reasons else f"ready: no, SKIPPED: {'; '.join(reasons)}")
    return 0


def verdict() -> int:
    """Judge the jobs that came before; 1 unless all of them passed."""
    needs = json.loads(os.environ.get("NEEDS") or "{}")
    if not needs:
        print("verdict: NEEDS is empty: expected the results of the jobs before, as toJSON(needs)", file=sys.stderr)
        return 1
    failed = failed_jobs(needs, (os.environ.get("ELSEWHERE") or "").split(","))
    lines = ["| job | result |", "|---|---|"] + [f"| {name} | {job.get('result')} |" for name, job in needs.items()]
    append("GITHUB_STEP_SUMMARY", "\n".join(lines))
    for name, result in failed.items():
        print(f"::error title={name}::{result}")
    skipped = sum(job.get("result") == "skipped" for name, job in needs.items() if name not in failed)
    rest = f", {skipped} had nothing to check" if skipped else ""
    print(f"verdict: {len(needs) - len(failed) - skipped} of {len(needs)} jobs passed{rest}")
    return int(bool(failed))


def restored(root: Path) -> int:
    """Make what a cache brought newer than the checkout: its key holds the locks' hash, which the times do not know."""
    marks = [root / ".venv" / ".installed", root / ".tools" / "bin" / "uv", *root.glob(".tools/*/.installed")]
    found = [mark for mark in marks if mark.is_file()]
    for mark in found:
        mark.touch()
    print(f"restored: {', '.join(str(mark.relative_to(root).parent) for mark in found) or 'nothing'}")
    return 0


def summary(file: Path) -> int:
    """Show a file on the run's page; 1 if there is none."""
    if not file.is_file():
        print(f"summary: {file} is missing: the step before should have written it", file=sys.stderr)
        return 1
    append("GITHUB_STEP_SUMMARY", file.read_text(encoding="utf-8"))
    return 0


def _event() -> dict[str, Any]:
    file = Path(os.environ.get("GITHUB_EVENT_PATH") or os.devnull)
    return json.loads(file.read_text(encoding="utf-8") or "{}")


def append(variable: str, text: str) -> None:
    """Add a line to one of the files by which a step speaks to GitHub; outside of it there are none."""
    if name := os.environ.get(variable):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ready").add_argument("--needed", required=True, help="names of variables, with commas between")
    commands.add_parser("verdict")
    commands.add_parser("restored")
    commands.add_parser("summary").add_argument("--file", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.command == "ready":
        return ready([name for name in given.needed.split(",") if name])
    if given.command == "restored":
        return restored(Path.cwd())
    return verdict() if given.command == "verdict" else summary(given.file)


if __name__ == "__main__":
    sys.exit(main())
