"""Gives the project a name of its own, everywhere: `make rename NAME=churn`.

Project, Python package, distribution, environment prefix, base error, Feast project,
registered model and feature service. It needs a clean git tree, so that one look at the diff
shows what it did and one command undoes it. The licence is left alone.
"""

import argparse
import importlib.util
import io
import keyword
import re
import subprocess
import sys
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.tree import git, project_files

ROOT = Path(__file__).parents[1]
# A model file names the package that wrote it, so one of the old name is of no use under the new one.
REGISTERED_BEFORE = {"registered_before", "test_registered_before.py"}
LEFT_ALONE = {Path("LICENSE")}
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
LONGEST_NAME = 40


class RenameError(Exception):
    """The project cannot be renamed so; says what to do."""


@dataclass(frozen=True)
class Spelling:
    """One name in the ways it is spelled: of the words customer and churn, customer_churn."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> "Spelling":
        """Read a name whose words are joined by hyphens or underscores."""
        return cls(tuple(re.split("[-_]", name)))

    @property
    def package(self) -> str:
        """As Python and Feast want it: customer_churn."""
        return "_".join(self.words)

    @property
    def distribution(self) -> str:
        """As packages, models and hosts are named: customer-churn."""
        return "-".join(self.words)

    @property
    def title(self) -> str:
        """As people write it: Customer Churn."""
        return " ".join(word.capitalize() for word in self.words)


def check_name(name: str, root: Path, old: Spelling) -> Spelling:
    """Demand a name that can be a package, a model and a host, and is nobody else's.

    Raises
    ------
    RenameError
        With what is wrong with it.
    """
    wrong = f"got NAME={name}, "
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise RenameError(
            wrong + "expected lower-case letters and digits, a letter first, words joined by - or _, "
            f"{LONGEST_NAME} characters at most, such as churn or customer-churn"
        )
    new = Spelling.of(name)
    if new == old:
        raise RenameError(wrong + "which is its name already")
    if keyword.iskeyword(new.package) or keyword.issoftkeyword(new.package):
        raise RenameError(wrong + "a word of Python's own; choose another")
    if new.package in sys.stdlib_module_names or importlib.util.find_spec(new.package):
        raise RenameError(wrong + f"but `import {new.package}` is something else already; choose another")
    if users := _files_that_use(new.package, root):
        raise RenameError(
            wrong + f"but {users[0]} uses that word as a name, and the two could not be told apart; choose another"
        )
    return new


def _files_that_use(word: str, root: Path) -> list[Path]:
    """Find the Python files in which a word is an identifier."""
    return [
        name
        for name in project_files(root)
        if name.suffix == ".py" and word in _identifiers((root / name).read_text(encoding="utf-8"))
    ]


def _identifiers(source: str) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


@dataclass(frozen=True)
class Names:
    """What a tree is called now: its package, its model, and its feature service without the version."""

    package: Spelling
    model: Spelling
    service: Spelling


def read_names(root: Path) -> Names:
    """Read what the tree is called.

    Raises
    ------
    RenameError
        If config.py does not say it in plain text.
    """
    (problem,) = root.glob("src/*/problem/config.py")
    text = problem.read_text(encoding="utf-8")
    model, service = (re.search(rf'\b{field}="([a-z0-9_-]+)"', text) for field in ("model_name", "feature_service"))
    if model is None or service is None:
        raise RenameError(f"{problem} names no model_name and feature_service in plain text; write them as constants")
    return Names(
        Spelling.of(problem.parents[1].name), Spelling.of(model[1]), Spelling.of(re.sub(r"_v\d+$", "", service[1]))
    )


def replacements(old: Names, new: Spelling) -> list[tuple[str, str]]:
    """Say what becomes of each spelling of the old names: patterns, the more special ones first."""
    name, model, service = old.package, old.model, old.service
    rules = [
        (rf"{service.package}(?=_v\d)", new.package),
        (rf"{service.package.upper()}(?=_V\d)", new.package.upper()),
        (rf'(?<=model_name="){model.distribution}(?=")|(?<="model": "){model.distribution}(?=")', new.distribution),
        # A host, a distribution (also in the comments of a lock) and a folder to change to have hyphens.
        (rf'(?<=@){name.distribution}(?=\.)|(?<=^name = "){name.distribution}(?=")', new.distribution),
        (rf"(?<=\bcd ){name.distribution}|{name.distribution}(?= \(pyproject\.toml)", new.distribution),
        (rf"{name.title.replace(' ', '')}(?=[A-Z])", new.title.replace(" ", "")),
        (name.title, new.title),
        (name.package.upper(), new.package.upper()),
        (name.package, new.package),
        (name.distribution, new.distribution),
    ]
    return rules if model == name else [*rules, (model.distribution, new.distribution)]


def replace(text: str, rules: Sequence[tuple[str, str]]) -> str:
    """Replace every spelling of the old names in a text.

    In one pass, since a new name may hold the old one. A name counts only as whole words: an
    underscore or a hyphen may touch it, a letter or digit may not, unless a capital begins the
    next word.
    """
    found = "|".join(f"({pattern})" for pattern, _ in rules)
    whole = re.compile(rf"(?<![A-Za-z0-9])(?:{found})(?![a-z0-9]|(?<=[A-Z])[A-Z])", re.MULTILINE)
    return whole.sub(lambda match: rules[(match.lastindex or 0) - 1][1], text)


def rename(root: Path, name: str) -> tuple[Names, Spelling]:
    """Rename the project in place.

    Returns
    -------
    tuple
        What it was called, and what it is called.

    Raises
    ------
    RenameError
        If the tree is not clean or the name will not do; nothing is changed then.
    """
    status = git(root, "status", "--porcelain")
    if status.returncode:
        raise RenameError(f"{root} is no git repository; run git init and commit first, so that this can be undone")
    if status.stdout:
        first = ", ".join(line[3:] for line in status.stdout.splitlines()[:5])
        raise RenameError(f"the tree has uncommitted changes ({first}); commit or remove them first")
    old = read_names(root)
    new = check_name(name, root, old.package)
    rules = replacements(old, new)
    for file in project_files(root):
        if set(file.parts) & REGISTERED_BEFORE:
            (root / file).unlink()
        elif file not in LEFT_ALONE:
            _rewrite(root, file, rules)
            _move(root, file, old.package.package, new.package)
    return old, new


def _rewrite(root: Path, file: Path, rules: Sequence[tuple[str, str]]) -> None:
    try:
        before = (root / file).read_bytes().decode()
    except UnicodeDecodeError:  # a picture
        return
    after = replace(before, rules)
    if after != before:
        (root / file).write_bytes(after.encode())


def _move(root: Path, file: Path, old: str, new: str) -> None:
    target = Path(*(new if part == old else part for part in file.parts))
    if target != file:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / file).rename(root / target)


def loose_patches(root: Path) -> set[str]:
    """Name the planted faults of `make prove` that do not fit the code they alter."""
    patches = [file for file in project_files(root) if file.suffix == ".patch"]
    return {file.name for file in patches if git(root, "apply", "--check", str(file)).returncode}


def tidy(root: Path) -> list[str]:
    """Put imports in order and lines in shape again; give what a person must look at."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--quiet", "--select", "I", "--fix", "."], ["format", "--quiet", "."]):
        if subprocess.run([*ruff, *command], cwd=root, check=False).returncode:
            return ["ruff could not put the code in shape again: run make format"]
    if subprocess.run([*ruff, "check", "--quiet", "--select", "E501", "."], cwd=root, check=False).returncode:
        return ["the lines named above have become too long"]
    return []


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, rename, and say what to do next."""
    parser = argparse.ArgumentParser(description="Give the project a name of its own.")
    parser.add_argument("--name", required=True, help="such as churn or customer-churn")
    options = parser.parse_args(arguments)
    loose = loose_patches(ROOT)
    try:
        old, new = rename(ROOT, options.name)
    except RenameError as err:
        print(f"rename: {err}", file=sys.stderr)
        return 1
    wanting = tidy(ROOT)
    if more := sorted(loose_patches(ROOT) - loose):
        wanting.append(f"these faults of make prove no longer fit the code they alter: {', '.join(more)}")
    print(*(f"look at this: {line}\n" for line in wanting), sep="", end="")
    print(f"package {old.package.package} is now {new.package}, in src/{new.package}")
    print(f"model {old.model.distribution} is now {new.distribution}, its feature service {new.package}_v1")
    print(f"settings begin with {new.package.upper()}_ instead of {old.package.package.upper()}_")
    print("Next: git diff --stat, make lint test-fast, then git add -A && git commit.")
    print("What was trained before goes by the old name: rm -rf .state, then make train.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
