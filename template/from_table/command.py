"""The part of `make start` that takes a table: its options, and what it prints."""

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from flightline.adapters.source_tables import KINDS, read_source
from flightline.core.problem_spec import Task
from template.from_table.plan import Plan, make_plan
from template.from_table.question import LABEL_FORMS, Question, parse_label, parse_span
from template.from_table.wording import spoken
from template.from_table.writing import first_look, problem_files, said, write_problem
from template.renaming import Spelling, StartError

OPTIONS = {
    "from": f"the table: {KINDS}",
    "time": "its column with the moment of a row",
    "key": "columns that say what a row is about, such as customer_id, with commas between",
    "label": f"what is predicted: {LABEL_FORMS}",
    "task": "classification, multiclass or regression; default: as the label has it",
    "horizon": "how long before the moment is predicted, such as 2h; default 0h",
    "known_after": "how long after its moment a row's label is known, such as 3d; default 0h",
    "request": "columns of the row that are known when one asks",
    "every": "how often a key is asked about, if the label is whether a row follows; default 7d",
    "zone": "where the clock hung whose times have no zone, such as Europe/Berlin; default UTC",
}


@dataclass
class FromTable:
    """A table that was read, and what is made of it."""

    plan: Plan
    rows: int
    started: float = field(default_factory=time.monotonic)
    found: dict[str, object] = field(default_factory=dict)

    def write(self, root: Path, name: Spelling) -> None:
        """Write the problem, before the data was looked at."""
        write_problem(root, self.plan, name, self.rows)
        readme = root / "README.md"
        readme.write_text(readme.read_text(encoding="utf-8").replace(PLACE, f"{said(self.plan)}"), encoding="utf-8")

    def look(self, root: Path, name: Spelling) -> None:
        """Make the first data version, and write the problem with what was found in it."""
        self.found = first_look(root, self.plan, name)
        write_problem(root, self.plan, name, self.rows, self.found)

    def report(self, name: Spelling) -> None:
        """Print what is predicted, on what, and what to do next."""
        plan, found = self.plan, self.found
        rows = dict(found["rows"])  # type: ignore[call-overload] # JSON
        print(f"predicted: {said(plan)}")
        print(
            f"examples: {found['examples']:,}, of which {rows['fit']:,} are learned from, {rows['validation']:,} "
            f"chosen on, {rows['test']:,} tested on; {found['label']}"
        )
        print(f"to beat: {found['words']}, {float(str(found['reached'])):.4f} on the validation window")
        print(f"features: of {', '.join(view.name for view in plan.views)} the newest row, counts and means")
        for view, age, absent, dropped in found["ages"]:  # type: ignore[attr-defined] # JSON
            ttl = f"; its ttl drops {dropped:.0%} (feature_repo/definitions.py)" if dropped >= LEAST_DROPPED else ""
            print(f"  {view}: {age} old when it is used (median), none in {absent:.0%} of the examples{ttl}")
        best = ", ".join(f"{name} {gain:.1%}" for name, gain in found["alone"])  # type: ignore[attr-defined] # JSON
        print(f"alone, the best take away of a constant's loss: {best}")
        # The rest is written to know nothing later; of the columns that a request brings only their owner knows.
        if (suspect := str(found["suspect"])).split()[0] in plan.question.request:
            print(f"WARNING: {suspect}")
        label = "" if plan.label.follows else f", its label {spoken(plan.outcome_known_after)} after"
        print(
            f"decided for you: a row is known {spoken(plan.row_known_after)} after its {plan.question.time}{label}; if "
            f"that is not so, correct src/{name.package}/problem/availability.py before anything else"
        )
        print(f"took {time.monotonic() - self.started:.0f} s. Next:")
        print("  make train, then make serve, and in another terminal make predict")
        print("  make ages and make rule say it of all features, docs/your-own-data.md what to improve")
        print("  make lint test, git add -A, git commit -m Start; or back: git reset --hard && git clean -fd")


PLACE = "<!-- own problem -->"
LEAST_DROPPED = 0.005  # a share of the examples that is shown as 1 %


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    for name, meaning in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default="", help=meaning, dest=name)


def read_table(options: argparse.Namespace, root: Path) -> FromTable | None:
    """Read the table that the command line names, and decide; None if it names none.

    Raises
    ------
    StartError
        If what is asked makes no sense, alone or on this table.
    DataError
        If it cannot be read.
    """
    given = {name: getattr(options, name).strip() for name in OPTIONS}
    if not given["from"]:
        if more := [name.upper() for name, value in given.items() if value]:
            raise StartError(f"got {', '.join(more)} without FROM={OPTIONS['from']}")
        return None
    if absent := [name for name in ("time", "label") if not given[name]]:
        raise StartError("; ".join(f"with FROM give {name.upper()} too, {OPTIONS[name]}" for name in absent))
    if given["task"] not in ("", *get_args(Task)):
        raise StartError(f"got TASK={given['task']}, expected {OPTIONS['task']}")
    question = Question(
        source=_address(given["from"], root),
        time=given["time"],
        label=parse_label(given["label"]),
        keys=_columns(given["key"]),
        task=given["task"] or None,
        horizon=parse_span(given["horizon"] or "0h", "HORIZON"),
        known_after=parse_span(given["known_after"] or "0h", "KNOWN_AFTER"),
        request=_columns(given["request"]),
        every=parse_span(given["every"] or "7d", "EVERY"),
        zone=given["zone"] or "UTC",
    )
    print(f"reading {question.source}", flush=True)
    frame = read_source(question.source)
    print(f"{len(frame):,} rows of {', '.join(frame.columns)}", flush=True)
    table = FromTable(make_plan(question, frame), len(frame))
    problem_files(table.plan, Spelling.of(options.name or "name"), table.rows)  # before anything is changed
    return table


def _columns(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(",", " ").split() if name)


def _address(text: str, root: Path) -> str:
    """Give a path relative to the project, so that no path of this machine is committed; others as they are."""
    if "://" in text:
        return text
    path = (Path.cwd() / text).resolve()
    if not path.exists():
        raise StartError(f"got FROM={text}, and there is no such file or folder; expected {OPTIONS['from']}")
    return os.path.relpath(path, root)
