"""`make example`: a problem of another kind is laid over a copy by its own files alone."""

import re
from pathlib import Path

import pytest
import yaml

from template.example import ExampleError, cloner_files, differences, lay_over
from template.tests.copies import run_python

PROJECT = Path(__file__).parents[2]
TESTS = Path("tests/problem")


NAMES = sorted(folder.name for folder in (PROJECT / "template" / "examples").iterdir() if folder.is_dir())


def test_ci_runs_the_loop_of_every_example():
    jobs = yaml.safe_load((PROJECT / ".github" / "workflows" / "template.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["example"]["strategy"]["matrix"]["name"] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_files_that_say_so_data_dvc_and_tests_differ(tmp_path, name):
    changed = lay_over(PROJECT, name, tmp_path / "copy")
    assert changed == differences(PROJECT, tmp_path / "copy")
    beside_tests = [file for file in changed if not file.is_relative_to(TESTS)]
    assert beside_tests == sorted(cloner_files(PROJECT) | {Path("data.dvc")})
    assert len(beside_tests) == 9


@pytest.mark.parametrize("name", NAMES)
def test_the_tests_of_the_copy_are_the_example_s(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    example = PROJECT / "template" / "examples" / name
    assert python_files(tmp_path / "copy" / TESTS) == python_files(example / TESTS) != []


def python_files(folder: Path) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob("*.py"))


@pytest.mark.parametrize("name", ["", "nothing", "../examples"])
def test_an_example_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(ExampleError, match="expected one of: pageviews, repurchase, storms"):
        lay_over(PROJECT, name, tmp_path / "copy")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(ExampleError, match="is not empty"):
        lay_over(PROJECT, NAMES[0], tmp_path)


def test_a_folder_inside_the_project_is_refused():
    with pytest.raises(ExampleError, match="lies inside this project"):
        lay_over(PROJECT, NAMES[0], PROJECT / "template" / "new")


def test_an_example_that_needs_more_than_its_files_is_refused(tmp_path):
    root = tmp_path / "root"
    for file, text in {
        "src/acme/problem/config.py": '"""CHANGE ME"""',
        "src/acme/core.py": "",
        "data.dvc": "",
        "tests/problem/test_it.py": "",
        "template/examples/other/src/acme/problem/config.py": "other",
        "template/examples/other/src/acme/core.py": "other",
        "template/examples/other/README.md": "about it",
    }.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    with pytest.raises(ExampleError, match=re.escape("others: ['src/acme/core.py'], same: ['data.dvc']")):
        lay_over(root, "other", tmp_path / "copy")


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_s_own_tests_pass(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    assert " passed" in run_python(tmp_path / "copy", "-m", "pytest", "-p", "no:cacheprovider", str(TESTS))


@pytest.mark.parametrize("name", NAMES)
def test_ruff_finds_nothing_in_the_copy(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    run_python(tmp_path / "copy", "-m", "ruff", "check", "--no-cache", ".")
