"""`make rename`: what it refuses, what becomes of each spelling, and that a renamed tree works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from template.rename import Names, RenameError, Spelling, check_name, rename, replace, replacements
from tests.proof.commands import clean_environment
from tools.tree import copy_tree, git, project_files

PROJECT = Path(__file__).parents[2]
OWN = next(PROJECT.glob("src/*/problem")).parent.name
# Names the authors of what a project began as.
MAY_KEEP_THE_OLD_NAME = {Path("LICENSE")}
NEW = "churn" if OWN != "churn" else "attrition"


@pytest.mark.parametrize(
    ("name", "said"),
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
def test_a_name_that_will_not_do_is_refused(name, said):
    with pytest.raises(RenameError, match=said):
        check_name(name, PROJECT, Spelling.of(OWN))


@pytest.mark.parametrize(
    ("old", "new", "text", "expected"),
    [
        ("acme", "churn", "from acme.errors import AcmeError", "from churn.errors import ChurnError"),
        ("acme", "our-churn", "from acme.errors import AcmeError", "from our_churn.errors import OurChurnError"),
        ("our_churn", "acme", "from our_churn import OurChurnError", "from acme import AcmeError"),
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


def commit_all(root: Path) -> None:
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=A", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "Start"],
    ):
        assert git(root, *command).returncode == 0


def test_a_tree_with_changes_is_refused(tmp_path):
    copy_tree(PROJECT, tmp_path)
    with pytest.raises(RenameError, match="no git repository"):
        rename(tmp_path, NEW)
    commit_all(tmp_path)
    (tmp_path / "README.md").write_text("changed")
    with pytest.raises(RenameError, match=r"uncommitted changes \(README.md\)"):
        rename(tmp_path, NEW)
    assert git(tmp_path, "status", "--porcelain").stdout == " M README.md\n"


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("renamed")
    copy_tree(PROJECT, root)
    commit_all(root)
    said = run(root, "template.rename", "--name", NEW)
    assert said.startswith(f"package {OWN} is now {NEW}, in src/{NEW}\n"), said
    git(root, "add", "--all")
    return root


def run(root: Path, *module_and_arguments: str) -> str:
    environment = {**clean_environment(), "PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-m", *module_and_arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_no_old_name_is_left(renamed):
    old = re.compile(rf"{OWN}|flight-delay|flight_delay_v\d", re.IGNORECASE)
    left = {
        name
        for name in project_files(renamed)
        if old.search(str(name)) or old.search((renamed / name).read_bytes().decode(errors="replace"))
    }
    assert left - MAY_KEEP_THE_OLD_NAME == set()


@pytest.mark.slow
def test_a_model_of_the_old_package_is_left_behind(renamed):
    assert [name for name in project_files(renamed) if "registered_before" in str(name)] == []


@pytest.mark.slow
def test_a_renamed_tree_keeps_its_layers_and_its_style(renamed):
    run(renamed, "ruff", "check", "--quiet", ".")
    run(renamed, "ruff", "format", "--check", "--quiet", ".")
    run(renamed, "importlinter.cli", "lint-imports", "--no-cache")


@pytest.mark.slow
def test_the_tests_of_a_renamed_tree_pass(renamed):
    patches = "tests/proof/test_proof.py::test_every_patch_applies_to_the_current_tree"
    names = ("api/test_routes", "api/test_bad_requests", "prediction/test_predictor", "test_problem_free")
    service = [f"tests/serving/{name}.py" for name in names]
    quick = ["tests/test_hygiene.py", "tests/core/test_settings.py", patches, *service]
    printed = run(renamed, "pytest", "-p", "no:cacheprovider", *quick, f"src/{NEW}")
    assert " passed" in printed
