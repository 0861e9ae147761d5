"""`make start`: what it refuses, what becomes of each spelling, what it leaves behind, and that the rest is green."""

import re
from pathlib import Path

import pytest

from flightline.adapters.provenance import git
from template.renaming import Names, Spelling, StartError, check_name, replace, replacements
from template.start import LEFT_BEHIND, is_left_behind, start, tidy, without_marked_lines
from template.tests.copies import commit_all, linked_to_environment, run_make, run_python
from tools.tree import copy_tree, project_files

PROJECT = Path(__file__).parents[3]
OWN = next(PROJECT.glob("src/*/problem")).parent.name
# Names the authors of what a project began as.
MAY_KEEP_THE_OLD_NAME = {Path("LICENSE")}
NEW = "churn"
FILES = [file for file in project_files(PROJECT) if not is_left_behind(file)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "expected lower-case letters"),
        ("Churn", "expected lower-case letters"),
        ("2churn", "expected lower-case letters"),
        ("churn_", "expected lower-case letters"),
        ("churn; rm", "expected lower-case letters"),
        ("c" * 41, "40 characters at most"),
        (OWN, "its name already"),
        ("class", "a word of Python's own"),
        ("json", "`import json` is something else"),
        ("pandas", "`import pandas` is something else"),
        ("serving", "`import serving` is something else"),
        ("features", "uses that word as a name"),
    ],
)
def test_a_name_that_will_not_do_is_refused(name, reason):
    with pytest.raises(StartError, match=reason):
        check_name(name, PROJECT, FILES, Spelling.of(OWN))


@pytest.mark.parametrize(
    ("old", "new", "text", "expected"),
    [
        ("acme", "churn", "from acme.errors import AcmeError", "from churn.errors import ChurnError"),
        ("acme", "our-churn", "from acme.errors import AcmeError", "from our_churn.errors import OurChurnError"),
        ("our_churn", "acme", "from our_churn import OurChurnError", "from acme import AcmeError"),
        ("acme", "our-churn", 'problem_package: str = "acme.problem"', 'problem_package: str = "our_churn.problem"'),
        ("acme", "our-churn", "ACME_SERVING__PORT=1", "OUR_CHURN_SERVING__PORT=1"),
        ("acme", "our-churn", 'name = "acme"', 'name = "our-churn"'),
        ("acme", "our-churn", "mlops@acme.example, cd acme", "mlops@our-churn.example, cd our-churn"),
        ("acme", "our-churn", "# via acme (pyproject.toml)", "# via our-churn (pyproject.toml)"),
        ("acme", "our-churn", "# Acme is", "# Our Churn is"),
        ("acme", "churn", "acmes, macme and Acmeist stay", "acmes, macme and Acmeist stay"),
        ("acme", "churn", 'model_name="late-ride"', 'model_name="churn"'),
        ("acme", "our-churn", '"late_ride_v1", LATE_RIDE_V1', '"our_churn_v1", OUR_CHURN_V1'),
        ("acme", "churn", "late-ride-champion-moves, late_ride", "churn-champion-moves, late_ride"),
    ],
)
def test_each_spelling_is_replaced(old, new, text, expected):
    names = Names(Spelling.of(old), Spelling.of("late-ride"), Spelling.of("late_ride"))
    assert replace(text, replacements(names, Spelling.of(new))) == expected


def test_a_model_named_like_its_package_is_told_apart():
    names = Names(Spelling.of("churn"), Spelling.of("churn"), Spelling.of("churn"))
    text = 'import churn; model_name="churn", "churn_v1", {"model": "churn"}'
    expected = 'import our_churn; model_name="our-churn", "our_churn_v1", {"model": "our-churn"}'
    assert replace(text, replacements(names, Spelling.of("our-churn"))) == expected


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("run", "a\nb # template only\nc", "a\nc"),
        ("run", "a\n  # template from here\nb\n  # template to here\nc\n", "a\nc\n"),
        ("a.md", "| a |\n| b | <!-- template only -->\n| c |", "| a |\n| c |"),
        ("a.md", "a\n\n<!-- template from here -->\nb\n<!-- template to here -->\n\nc", "a\n\nc"),
        ("a.md", "a template only says", "a template only says"),
        ("a.py", "a\n\n\n\nb", "a\n\n\n\nb"),
    ],
)
def test_marked_lines_go_and_no_others(file, text, expected):
    assert without_marked_lines(text, Path(file)) == expected


@pytest.mark.parametrize(
    "text", ["# template from here\n", "# template to here\n", "# template from here\n# template from here\n"]
)
def test_marks_that_do_not_pair_are_refused(text):
    with pytest.raises(StartError, match=r"a\.py has .* of the template that do"):
        without_marked_lines(text, Path("a.py"))


def test_a_tree_with_changes_is_refused(tmp_path):
    copy_tree(PROJECT, tmp_path)
    with pytest.raises(StartError, match="no git repository"):
        start(tmp_path, NEW)
    commit_all(tmp_path)
    for name in ("README.md", "new.txt"):
        (tmp_path / name).write_text("changed")
        with pytest.raises(StartError, match=rf"uncommitted changes \({name}\)"):
            start(tmp_path, NEW)
        assert git(tmp_path, "status", "--porcelain").stdout[3:] == f"{name}\n"
        git(tmp_path, "checkout", "--quiet", ".")


def test_a_refused_name_changes_nothing(tmp_path):
    copy_tree(PROJECT, tmp_path)
    commit_all(tmp_path)
    with pytest.raises(StartError):
        start(tmp_path, "features")
    assert git(tmp_path, "status", "--porcelain").stdout == ""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that `make start` made of a copy, staged."""
    root = tmp_path_factory.mktemp("started") / "project"
    copy_tree(PROJECT, root)
    linked_to_environment(root)
    (root / "src" / OWN / "__pycache__").mkdir()  # what git ignores must not keep the old package alive
    printed = run_make(root, "start", f"NAME={NEW}")
    assert f"package {OWN} is now {NEW}, in src/{NEW}\n" in printed
    assert "make train" in printed
    assert git(root, "add", "--all").returncode == 0
    return root


def mentions(root: Path, pattern: re.Pattern) -> set[str]:
    """Find the lines of a tree's files, and the files, that hold a pattern."""
    found = set()
    for name in project_files(root):
        lines = (root / name).read_bytes().decode(errors="replace").splitlines()
        found |= {f"{name}: {line.strip()[:100]}" for line in (str(name), *lines) if pattern.search(line)}
    return found


def test_no_old_name_is_left(started):
    old = re.compile(rf"{OWN}|flight-delay|flight_delay_v\d", re.IGNORECASE)
    left = {line for line in mentions(started, old) if Path(line.split(":")[0]) not in MAY_KEEP_THE_OLD_NAME}
    assert left == set()
    assert [folder.name for folder in (started / "src").iterdir()] == [NEW]


def test_no_file_mentions_what_was_left_behind(started):
    targets = re.findall(r"^\.PHONY: (\S+)$", (PROJECT / "template" / "template.mk").read_text(), re.MULTILINE)
    assert {"start", "example", "bench-join", "test-infra"} <= set(targets)
    called = rf"make (?:{'|'.join(targets)})\b|\b(?:{'|'.join(name for name in targets if '-' in name)})\b"
    # Behind what names an example: the name alone may be a word of the language.
    examples = "|".join(
        rf"(?:NAME=|examples/){folder.name}" for folder in (PROJECT / "template" / "examples").iterdir()
    )
    locked = "|".join(file.stem for file in (PROJECT / "template" / "locks").glob("*.in"))
    places = r"\btemplate/|template\.(?:mk|yml|py)|(?:from|import) template\b|template (?:only|from here|to here)"
    others = rf"{examples}|autots|\.tools/(?:{locked})/|debootstrap|docker-registry"
    assert mentions(started, re.compile(f"{called}|{places}|{others}", re.IGNORECASE)) == set()
    assert [gone for gone in LEFT_BEHIND if (started / gone).exists()] == []


def test_git_sees_moves_and_nothing_that_is_not_staged(started):
    assert git(started, "status", "--porcelain").stdout.splitlines()
    assert [line for line in git(started, "status", "--porcelain").stdout.splitlines() if line[1] != " "] == []
    moved = git(started, "diff", "--cached", "--find-renames=50%", "--diff-filter=R", "--name-only").stdout.split()
    assert f"src/{NEW}/core/settings.py" in moved


def test_make_shows_only_what_is_left(started):
    shown = re.findall(r"^  make (\S+)", run_make(started, "help-all"), re.MULTILINE)
    assert {"train", "serve", "test", "prove", "deploy"} <= set(shown)
    assert [name for name in shown if name.startswith("bench-") or name in {"start", "example", "test-infra"}] == []
    assert re.findall(r"^Own$|make start", run_make(started, "help"), re.MULTILINE) == []


def test_a_second_start_is_no_target_any_more(started):
    with pytest.raises(AssertionError, match="No rule to make target 'start'"):
        run_make(started, "start", "NAME=other")


@pytest.mark.slow
def test_the_style_holds_for_a_long_name_too(tmp_path):
    copy_tree(PROJECT, tmp_path)
    commit_all(tmp_path)
    start(tmp_path, "churn-of-customers-by-month")
    assert all("has become too long" in line for line in tidy(tmp_path))
    run_python(tmp_path, "-m", "ruff", "check", "--quiet", ".")
    run_python(tmp_path, "-m", "ruff", "format", "--check", "--quiet", ".")


@pytest.mark.slow
def test_lint_is_green(started):
    run_make(started, "lint")


@pytest.mark.slow
def test_workflows_are_green(started):
    run_make(started, "check-workflows")


@pytest.mark.slow
def test_the_quick_tests_pass(started):
    assert " passed" in run_make(started, "test-fast")
