"""The promises of tests/test_hygiene.py, kept by what `make start` leaves behind."""

import re
from pathlib import Path

import pytest

from tests import test_hygiene as hygiene
from tests.problem.test_words import WORDS
from tests.support.own_words import lines_with
from tests.test_hygiene import CLONER_FILES, ROOT, relative

EXAMPLES = sorted(folder for folder in (ROOT / "template" / "examples").iterdir() if folder.is_dir())
DOCS = sorted((ROOT / "template" / "docs").glob("*.md"))


def files_of(example: Path) -> list[Path]:
    return [file for file in hygiene.tracked() if file.is_relative_to(example)]


@pytest.mark.parametrize("example", EXAMPLES, ids=relative)
def test_an_example_holds_the_cloner_files_its_tests_and_no_other(example):
    held = {file.relative_to(example).as_posix() for file in files_of(example)}
    tests = {name for name in held if name.startswith("tests/problem/test_")}
    assert tests
    others = {name for name in held if not name.startswith("tests/problem/")}
    assert others == CLONER_FILES | {"README.md", "data.dvc"}


@pytest.mark.parametrize("example", EXAMPLES, ids=relative)
def test_an_example_names_nothing_of_the_problem_it_replaces(example):
    files = [file for file in files_of(example) if file.suffix == ".py"]
    assert {relative(file): found for file in files if (found := lines_with(WORDS, file.read_text()))} == {}


@pytest.mark.parametrize("file", DOCS, ids=relative)
def test_every_target_and_link_in_the_docs_is_there(file):
    hygiene.test_every_make_target_in_the_docs_exists(file)
    hygiene.test_every_link_in_the_docs_leads_somewhere(file)


def test_no_file_that_stays_imports_the_template():
    staying = [file for file in hygiene.tracked() if file.suffix == ".py" and "template" not in file.parts]
    importing = re.compile(r"^\s*(?:from|import) template\b", re.MULTILINE)
    assert [relative(file) for file in staying if importing.search(file.read_text())] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
