"""Only your own files name your problem. Put the words here that no other file may hold."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OF_THE_PROBLEM = re.compile(r"hurac|ibtracs|hurricane|\bcyclones?\b|\bstorm\b|\bfixed_at\b", re.IGNORECASE)
# The project's own name may hold one of them.
OWN_NAME = re.compile(next(ROOT.glob("src/*/problem")).parent.name.replace("_", "[-_ ]?"), re.IGNORECASE)
OTHERS = [
    file
    for folder in ("src", "pipelines", "serving", "tools", "tests")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "problem" not in file.relative_to(ROOT).parts
]


def words_of_the_problem(text: str) -> list[str]:
    return [
        f"{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if OF_THE_PROBLEM.search(OWN_NAME.sub("", line))
    ]


def test_no_other_file_names_the_problem() -> None:
    found = {file: words_of_the_problem(file.read_text(encoding="utf-8")) for file in OTHERS}
    assert len(OTHERS) > 200
    assert {file.relative_to(ROOT).as_posix(): lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize("line", ["key = 'storm'", "row['fixed_at']", "def hurricane(): ..."])
def test_such_words_are_found(line: str) -> None:
    assert words_of_the_problem(line)
