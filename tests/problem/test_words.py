"""Only your own files name your problem. Put the words here that no other file may hold."""

import re

import pytest

from tests.support.own_words import lines_with, other_files_with

WORDS = re.compile(
    r"flight|airport|airline|carrier|aircraft|tailnum|departure|landing|landed|\bdest\b(?!=)|weather|nycflights"
    r"|\b(EWR|JFK|LGA)\b|(?-i:[\"']origin[\"'](\]|:))",
    re.IGNORECASE,
)


def test_no_other_file_names_the_problem() -> None:
    assert other_files_with(WORDS) == {}


@pytest.mark.parametrize(
    "line", ["key = 'tailnum'", 'row["origin"]', "JFK = 1", "# late flights", "def carrier(): ..."]
)
def test_such_words_are_found(line: str) -> None:
    assert lines_with(WORDS, line)


def test_the_projects_own_name_is_none_of_them() -> None:
    assert lines_with(WORDS, "from flightline.core.errors import FlightlineError") == []
