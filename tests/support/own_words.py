"""Looks for words of the problem outside its files, for `tests/problem/test_words.py`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = ("src", "pipelines", "serving", "tools", "tests")
# The project's own name may hold one of them.
_OWN_NAME = re.compile(next(ROOT.glob("src/*/problem")).parent.name.replace("_", "[-_ ]?"), re.IGNORECASE)


def lines_with(words: re.Pattern[str], text: str) -> list[str]:
    """Give the lines of a text that hold one of the words, with their numbers."""
    return [
        f"{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if words.search(_OWN_NAME.sub("", line))
    ]


def other_files_with(words: re.Pattern[str]) -> dict[str, list[str]]:
    """Give the lines of the machine's files, by path, that hold one of the words."""
    files = [
        file
        for folder in _FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "problem" not in file.relative_to(ROOT).parts
    ]
    assert len(files) > 200, f"{ROOT} holds {len(files)} files of the machine: nothing was looked at"
    found = {file: lines_with(words, file.read_text(encoding="utf-8")) for file in files}
    return {file.relative_to(ROOT).as_posix(): lines for file, lines in found.items() if lines}
