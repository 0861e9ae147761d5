"""Only your own files name your problem. Put the words here that no other file may hold."""

import re

import pytest

from tests.support.own_words import lines_with, other_files_with

WORDS = re.compile(
    r"wikipedia|wikimedia|autots|page_views|page-views|log_views|views_(week|year)_before", re.IGNORECASE
)


def test_no_other_file_names_the_problem() -> None:
    assert other_files_with(WORDS) == {}


@pytest.mark.parametrize("line", ["key = 'log_views'", "# pages of the English Wikipedia", "def page_views(): ..."])
def test_such_words_are_found(line: str) -> None:
    assert lines_with(WORDS, line)
