"""What another problem needs is its own files: with them laid over a copy, lint and all tests are green there."""

import re
from pathlib import Path

import pytest

from template.example import lay_over
from template.tests.copies import PROJECT, linked_to_environment, run_make

NAMES = sorted(folder.name for folder in (PROJECT / "template" / "examples").iterdir() if folder.is_dir())


@pytest.fixture(scope="module", params=NAMES)
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An example's copy, as a project that somebody works in."""
    root = tmp_path_factory.mktemp(request.param) / "project"
    lay_over(PROJECT, request.param, root)
    return linked_to_environment(root)


def test_lint_is_green(copy):
    run_make(copy, "lint")


@pytest.mark.parametrize("target", ["test", "test-system"])
def test_all_tests_pass(copy, target):
    last = run_make(copy, target).strip().splitlines()[-1]
    assert re.search(r"\d+ passed", last), last
