"""Only your own files name your problem. Put the words here that no other file may hold."""

import re

import pytest

from tests.support.own_words import lines_with, other_files_with

WORDS = re.compile(r"hurac|ibtracs|hurricane|\bcyclones?\b|\bstorm\b|\bfixed_at\b", re.IGNORECASE)


def test_no_other_file_names_the_problem() -> None:
    assert other_files_with(WORDS) == {}


@pytest.mark.parametrize("line", ["key = 'storm'", "row['fixed_at']", "def hurricane(): ..."])
def test_such_words_are_found(line: str) -> None:
    assert lines_with(WORDS, line)
