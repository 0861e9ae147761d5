"""Only your own files name your problem. Put the words here that no other file may hold."""

import re

import pytest

from tests.support.own_words import lines_with, other_files_with

WORDS = re.compile(r"cdnow|lifetimes|repurchase|customer|purchases|\bcds\b", re.IGNORECASE)


def test_no_other_file_names_the_problem() -> None:
    assert other_files_with(WORDS) == {}


@pytest.mark.parametrize("line", ["key = 'customer'", "row['cds']", "def purchases(): ..."])
def test_such_words_are_found(line: str) -> None:
    assert lines_with(WORDS, line)
