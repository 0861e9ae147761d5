"""Makes this tree a project of one's own: `make start NAME=churn`.

It gives the tree the name, everywhere, and leaves behind what proves the template and not the
project: template/, its workflow, and in other files the lines that carry a mark. A line goes
that holds the comment "template only", and all from "template from here" to "template to
here". It needs a clean git tree, so that one look at the diff shows what it did and one command
undoes it.

With a table (FROM=orders.parquet TIME=ordered_at LABEL=...) it writes a first problem in place of
the one that the template ships with, and lines go too whose mark begins with "problem". What a
project was made of is noted in .template, for template/update.py.
"""

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.provenance import git
from flightline.core.errors import DataError
from template.from_table.command import add_question, read_table
from template.renaming import Names, Spelling, StartError, check_name, read_names, rename
from tools.tree import project_files

ROOT = Path(__file__).parents[1]
LEFT_BEHIND = (
    Path("template"),
    Path(".github/workflows/template.yml"),
    Path("MIGRATION.md"),
    # It follows one row of the data that the template ships with.
    Path("docs/one-row.md"),
    # A model that the template registered once, under its own name.
    Path("tests/adapters/model_store/registered_before"),
    Path("tests/adapters/model_store/test_registered_before.py"),
)
# What was made of the problem that the template ships with.
OF_THE_PROBLEM = ("data", "data.dvc", ".dvcstore", ".state")
CHANGELOG = Path("CHANGELOG.md")
FIRST_VERSION = "0.1.0"
VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)
NOTE = Path(".template")
TEMPLATE, PROBLEM = "template", "problem"
_NAMED = re.compile(r"^\s*\"([A-Za-z0-9_.-]+)[^\"]*\",\s*# problem only", re.MULTILINE)


@dataclass(frozen=True)
class Started:
    """What a tree was called, what it is called, and which of its files lost their marked lines."""

    old: Names
    new: Spelling
    shortened: list[Path]


def start(root: Path, name: str, without_problem: bool = False) -> Started:
    """Start a project in place.

    Parameters
    ----------
    without_problem
        Leave behind what speaks of the problem that the template ships with, and its package's lock; its code and tests
        stay, to be written over.

    Raises
    ------
    StartError
        If the tree is not clean or the name will not do; nothing is changed then.
    """
    check_clean(root)
    old = read_names(root)
    new = check_name(name, root, _staying(root), old.package)
    version, tree = read_version(root), git(root, "rev-parse", "HEAD^{tree}").stdout.strip()
    shortened = convert(root, new, without_problem)
    write_note(root, version, tree, without_problem)
    return Started(old, new, shortened)


def convert(root: Path, new: Spelling, without_problem: bool) -> list[Path]:
    """Make a tree of the template a project, whether or not the name is taken on this machine.

    Returns
    -------
    list of Path
        The files that lost their marked lines.
    """
    old, files = read_names(root), _staying(root)
    unlocked = _NAMED.findall((root / "pyproject.toml").read_text(encoding="utf-8")) if without_problem else []
    shorter = {file: text for file in files if (text := _shortened(root / file, without_problem, unlocked)) is not None}
    for gone in LEFT_BEHIND:
        shutil.rmtree(root / gone) if (root / gone).is_dir() else (root / gone).unlink(missing_ok=True)
    for file, text in shorter.items():
        (root / file).write_bytes(text.encode())
    rename(root, files, old, new)
    _begin_history(root, new)
    return sorted(shorter)


def _staying(root: Path) -> list[Path]:
    return [file for file in project_files(root) if not is_left_behind(file)]


def read_version(root: Path) -> str:
    """Read the version of a tree.

    Raises
    ------
    StartError
        If pyproject.toml has none in plain text.
    """
    found = VERSION.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise StartError(f'{root / "pyproject.toml"} has no line version = "..."; write one')
    return found[1]


def _begin_history(root: Path, new: Spelling) -> None:
    """Give the project a version and a changelog of its own, in place of the template's."""
    project = root / "pyproject.toml"
    text = VERSION.sub(f'version = "{FIRST_VERSION}"', project.read_text(encoding="utf-8"), count=1)
    project.write_text(text, encoding="utf-8")
    write_changelog(root, new, FIRST_VERSION)


def write_changelog(root: Path, name: Spelling, version: str) -> None:
    """Begin the changelog of a project."""
    text = f"# What changed in {name.title}\n\n## {version}\n\n- Started.\n"
    (root / CHANGELOG).write_text(text, encoding="utf-8")


def write_note(root: Path, version: str, tree: str, without_problem: bool) -> None:
    """Note which tree of the template a project has: git's hash of it, which no copy of the history changes."""
    why = "# What of the template this project has; make update reads and renews it."
    noted = f'version = "{version}"\ntree = "{tree}"\nfrom_table = {str(without_problem).lower()}\n'
    (root / NOTE).write_text(f"{why}\n{noted}", encoding="utf-8")


def check_clean(root: Path) -> None:
    """Demand a git tree without changes.

    Raises
    ------
    StartError
        With what stands in the way.
    """
    status = git(root, "status", "--porcelain")
    if status.returncode:
        raise StartError(f"{root} is no git repository; run git init and commit first, so that this can be undone")
    if status.stdout:
        first = ", ".join(line[3:] for line in status.stdout.splitlines()[:5])
        raise StartError(f"the tree has uncommitted changes ({first}); commit or remove them first")


def is_left_behind(file: Path) -> bool:
    """Tell whether a file, relative to the root, is one of the template's own."""
    return any(file.is_relative_to(gone) for gone in LEFT_BEHIND)


def _shortened(file: Path, without_problem: bool, unlocked: list[str]) -> str | None:
    """Give a file's text without its marked lines, or None if it has none."""
    try:
        before = file.read_bytes().decode()
    except UnicodeDecodeError:  # a picture
        return None
    after = without_marked_lines(before, file)
    after = without_marked_lines(after, file, PROBLEM) if without_problem else without_marks(after)
    if file.parent.name == "locks":
        for package in unlocked:
            after = without_locked(after, package)
    return after if after != before else None


def without_marked_lines(text: str, file: Path, mark: str = TEMPLATE) -> str:
    """Leave out of a text what is the template's, or about its problem.

    Parameters
    ----------
    file
        Named in the error.
    mark
        With which word the marks begin.

    Raises
    ------
    StartError
        If a part begins and does not end, or ends and did not begin.
    """
    line_mark, from_mark, to_mark = (_mark(mark, which) for which in ("only", "from here", "to here"))
    kept: list[str] = []
    is_kept = True
    for line in text.split("\n"):
        if from_mark.search(line) or to_mark.search(line):
            if bool(from_mark.search(line)) != is_kept:
                raise StartError(f"{file} has marks of the {mark} that do not pair, at: {line.strip()}")
            is_kept = not is_kept
        elif is_kept and not line_mark.search(line):
            kept.append(line)
    if not is_kept:
        raise StartError(f"{file} has a part of the {mark} that does not end")
    shorter = "\n".join(kept)
    return re.sub(r"\n{3,}", "\n\n", shorter) if file.suffix == ".md" and shorter != text else shorter


def _mark(word: str, which: str) -> re.Pattern[str]:
    return re.compile(rf"(?:#|<!--) {word} {which}\b")


def without_marks(text: str) -> str:
    """Leave the marks of the problem out of a text, and what they mark in it.

    Examples
    --------
    >>> without_marks('"x==1",  # problem only: its data')
    '"x==1",  # its data'
    >>> without_marks("| a | 1 | <!-- problem only -->")
    '| a | 1 |'
    """
    lines = [
        line
        for line in text.split("\n")
        if not re.fullmatch(r"<!-- (?:problem (?:from|to) here|own problem) -->", line)
    ]
    return "\n".join(line.replace("# problem only: ", "# ").removesuffix(" <!-- problem only -->") for line in lines)


def without_locked(text: str, package: str) -> str:
    r"""Leave a package out of a compiled lock, and out of the reasons of others.

    Examples
    --------
    >>> without_locked("a==1 \\\n    --hash=sha256:0\n    # via b\nb==2 \\\n    --hash=sha256:1\n", "b")
    'a==1 \\\n    --hash=sha256:0\n'
    """
    text = re.sub(rf"^{re.escape(package)}==.*\n(?:[ ].*\n)*", "", text, flags=re.MULTILINE)
    return re.sub(rf"^    #   {re.escape(package)}\n|^    # via {re.escape(package)}\n", "", text, flags=re.MULTILINE)


def loose_patches(root: Path) -> set[str]:
    """Name the planted faults of `make prove` that do not fit the code they alter."""
    patches = [file for file in project_files(root) if file.suffix == ".patch"]
    return {file.name for file in patches if git(root, "apply", "--check", str(file)).returncode}


def tidy(root: Path) -> list[str]:
    """Put imports in order and lines in shape again; give what a person may want to look at."""
    ruff = [sys.executable, "-m", "ruff"]
    # What cannot be broken, such as text, may be too long now.
    too_long = ["check", "--quiet", "--select", "E501"]
    for command in (
        ["check", "--quiet", "--select", "I,F401", "--fix", "."],
        ["format", "--quiet", "."],
        [*too_long, "--add-noqa=the name is long", "."],
    ):
        if subprocess.run([*ruff, *command], cwd=root, check=False, stderr=subprocess.DEVNULL).returncode:
            return ["ruff could not put the code in shape again: run make format"]
    left = subprocess.run([*ruff, *too_long, "--ignore-noqa", "--output-format", "concise", "."], cwd=root,
                          capture_output=True, text=True, check=False)  # fmt: skip
    return [f"{line.split(': ')[0]} has become too long" for line in left.stdout.splitlines() if ": E501" in line]


def report(started: Started, to_look_at: list[str]) -> None:
    """Print what was done."""
    old, new = started.old, started.new
    print(*(f"look at this: {line}\n" for line in to_look_at), sep="", end="")
    print(f"package {old.package.package} is now {new.package}, in src/{new.package}")
    print(f"model {old.model.distribution} is now {new.distribution}, its feature service {new.package}_v1")
    print(f"settings begin with {new.package.upper()}_ instead of {old.package.package.upper()}_")
    print(f"left behind: {', '.join(map(str, LEFT_BEHIND))}, and their mention in {len(started.shortened)} other files")


def report_next(new: Spelling) -> None:
    """Print what to do after a start that keeps the old problem."""
    print("Next:")
    print("  git add -A && git diff --cached --stat, make lint test, git commit -m Start; or back: git reset --hard")
    print(
        "  rm -rf .state && make train: what was trained before goes by the old name; the problem is still the old one"
    )
    print(
        f"  yours in its place: src/{new.package}/problem/, feature_repo/definitions.py, data.dvc and tests/problem/,"
    )
    print("  in the order of docs/your-own-data.md; what the template becomes later comes by make update FROM=...")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, start the project, and print what to do next."""
    parser = argparse.ArgumentParser(description="Make this tree a project of your own.")
    parser.add_argument("--name", required=True, help="such as churn or customer-churn")
    add_question(parser)
    options = parser.parse_args(arguments)
    loose = loose_patches(ROOT)
    try:
        table = read_table(options, ROOT)
        if table and (old := [name for name in OF_THE_PROBLEM if (ROOT / name).exists() and name != "data.dvc"]):
            raise StartError(
                f"{', '.join(old)} of the old problem are here; start in a clean clone, or: rm -rf {' '.join(old)}"
            )
        started = start(ROOT, options.name, without_problem=table is not None)
    except (StartError, DataError) as err:
        print(f"start: {err}", file=sys.stderr)
        return 1
    if table:
        (ROOT / "data.dvc").unlink(missing_ok=True)
        table.write(ROOT, started.new)
    to_look_at = tidy(ROOT)
    if more := sorted(loose_patches(ROOT) - loose):
        to_look_at.append(f"these faults of make prove no longer fit the code they alter: {', '.join(more)}")
    report(started, to_look_at)
    if not table:
        report_next(started.new)
        return 0
    try:
        table.look(ROOT, started.new)
    except StartError as err:
        print(
            f"start: {err}; what was written so far is in the tree, and git reset --hard && git clean -fd undoes it",
            file=sys.stderr,
        )
        return 1
    tidy(ROOT)
    table.report(started.new)
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
