"""Only api_schema.py, in problem/, knows what a request is about: serving/ works for any."""

import re
from pathlib import Path

import pytest

import flightline

SERVING = Path(__file__).parents[2] / "serving"
PACKAGE = Path(flightline.__file__).parent
ADAPTERS = PACKAGE / "adapters"
WORDS = re.compile(r"flight|carrier|airport|tailnum|origin|dest|departure", re.IGNORECASE)
FILES = [
    *SERVING.rglob("*.py"),
    *(ADAPTERS / name for name in ("feast/online_features.py", "event_clock.py")),
    *(ADAPTERS / "model_store" / name for name in ("served_model.py", "model_file.py")),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_names_nothing_of_the_problem(file: Path) -> None:
    text = re.sub(PACKAGE.name.replace("_", "[-_ ]?"), "", file.read_text(encoding="utf-8"), flags=re.IGNORECASE)
    assert WORDS.findall(text) == []


def test_the_file_that_does_says_so_in_its_first_line() -> None:
    assert (
        (PACKAGE / "problem" / "api_schema.py")
        .read_text(encoding="utf-8")
        .startswith('"""CHANGE ME for your own problem: ')
    )
