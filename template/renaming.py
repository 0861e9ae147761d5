"""One name in place of another, everywhere: a part of `make start`.

Project, Python package, distribution, environment prefix, base error, Feast project,
registered model and feature service. The licence names the authors of the template, and stays.
"""

import importlib.util
import io
import keyword
import re
import shutil
import sys
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LEFT_ALONE = {Path("LICENSE")}
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
LONGEST_NAME = 40


class StartError(Exception):
    """The project cannot be started so; says what to do."""


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


def check_name(name: str, root: Path, files: Iterable[Path], old: Spelling) -> Spelling:
    """Demand a name that can be a package, a model and a host, and is nobody else's.

    Parameters
    ----------
    files
        Those of the project, relative to its root.

    Raises
    ------
    StartError
        With what is wrong with it.
    """
    wrong = f"got NAME={name}, "
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise StartError(
            wrong + "expected lower-case letters and digits, a letter first, words joined by - or _, "
            f"{LONGEST_NAME} characters at most, such as churn or customer-churn"
        )
    new = Spelling.of(name)
    if new == old:
        raise StartError(wrong + "which is its name already")
    if keyword.iskeyword(new.package) or keyword.issoftkeyword(new.package):
        raise StartError(wrong + "a word of Python's own; choose another")
    if new.package in sys.stdlib_module_names or importlib.util.find_spec(new.package):
        raise StartError(wrong + f"but `import {new.package}` is something else already; choose another")
    if users := _files_that_use(new.package, root, files):
        raise StartError(
            wrong + f"but {users[0]} uses that word as a name, and the two could not be told apart; choose another"
        )
    return new


def _files_that_use(word: str, root: Path, files: Iterable[Path]) -> list[Path]:
    """Find the Python files in which a word is an identifier."""
    return [
        name
        for name in files
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
    StartError
        If there is not one config.py, or it does not say it in plain text.
    """
    problem = find_config(root)
    text = problem.read_text(encoding="utf-8")
    model, service = (re.search(rf'\b{field}="([a-z0-9_-]+)"', text) for field in ("model_name", "feature_service"))
    if model is None or service is None:
        raise StartError(f"{problem} names no model_name and feature_service in plain text; write them as constants")
    return Names(
        Spelling.of(problem.parents[1].name), Spelling.of(model[1]), Spelling.of(re.sub(r"_v\d+$", "", service[1]))
    )


def find_config(root: Path) -> Path:
    """Find the config.py of a tree's problem; the folder above the problem's is its package.

    Raises
    ------
    StartError
        If there is none, or several.
    """
    found = list(root.glob("src/*/problem/config.py"))
    if len(found) != 1:
        raise StartError(f"got {len(found)} files src/*/problem/config.py in {root}, expected one")
    return found[0]


def replacements(old: Names, new: Spelling) -> list[tuple[str, str]]:
    """Pair each spelling of the old names, as a pattern, with the new one; the more special ones first."""
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


def rename(root: Path, files: Iterable[Path], old: Names, new: Spelling) -> None:
    """Rename files in place: what they hold, and the folders of the package."""
    rules = replacements(old, new)
    for file in files:
        if file not in LEFT_ALONE:
            _rewrite(root / file, rules)
            _move(root, file, old.package.package, new.package)
    # Only what git ignores is left there, such as compiled modules; the package would be found in it still.
    shutil.rmtree(root / "src" / old.package.package)


def _rewrite(file: Path, rules: Sequence[tuple[str, str]]) -> None:
    try:
        before = file.read_bytes().decode()
    except UnicodeDecodeError:  # a picture
        return
    after = replace(before, rules)
    if after != before:
        file.write_bytes(after.encode())


def _move(root: Path, file: Path, old: str, new: str) -> None:
    target = Path(*(new if part == old else part for part in file.parts))
    if target != file:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / file).rename(root / target)
