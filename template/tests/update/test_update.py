"""`make update`: a project that was started takes what its template has become, and keeps what is its own."""

from pathlib import Path

import pytest

from flightline.adapters.provenance import git
from template.renaming import StartError
from template.tests.copies import commit_changes, linked_to_environment, run_make, run_python
from template.tests.update import small_template as small
from template.tests.update.small_template import NAME, change, second_commit, started_project, third_commit
from template.update import Updated, main, report, update

PROJECT = Path(__file__).parents[3]
GATE = f"src/{NAME}/gate.py"
# A commit of this repository that has `make start`, and no `make update`.
LONG_BEFORE = "a7f6b79"
# The first that has it, and one of some two hundred commits later.
WITH_UPDATE = ("06744ce", "7c53dc6")
CONFIG = f"src/{NAME}/problem/config.py"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return small.small_template(tmp_path / "template")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return started_project(template, tmp_path / "project")


def updated(template: Path, project: Path, base: str = "") -> Updated | None:
    """Update in a clone of the template, as make does."""
    clone = project.parent / "clone"
    assert git(template, "clone", "--quiet", ".", str(clone)).returncode == 0
    try:
        return update(clone, project, base)
    finally:
        assert git(project.parent, "-C", str(clone), "worktree", "list").stdout.count("\n") == 1
        clone.rename(project.parent / f"clone-{len(list(project.parent.iterdir()))}")


def refused(template: Path, project: Path, reason: str, base: str = "") -> None:
    """Demand a refusal that changes nothing."""
    before = git(project, "rev-parse", "HEAD").stdout, git(project, "status", "--porcelain").stdout
    with pytest.raises(StartError, match=reason):
        updated(template, project, base)
    assert (git(project, "rev-parse", "HEAD").stdout, git(project, "status", "--porcelain").stdout) == before


def test_a_local_change_of_the_machine_stays_beside_the_template_s(template, project):
    change(project, GATE, "return 1.5", "return 1.7  # ours")
    commit_changes(project, "Our ceiling")
    second_commit(template)
    done = updated(template, project)
    assert done.conflicts == []
    assert "return 0.6" in (project / GATE).read_text()
    assert "return 1.7  # ours" in (project / GATE).read_text()
    assert (project / "src" / NAME / "canary.py").read_text() == 'WHO = "churn"\n'
    assert git(project, "diff", "--name-only").stdout == ""  # all is staged


def test_what_is_the_project_s_own_stays(template, project):
    own = (f"src/{NAME}/problem/config.py", "tests", "feature_repo", "data.dvc", "CHANGELOG.md", "pyproject.toml")
    before = git(project, "rev-parse", *(f"HEAD:{name}" for name in own)).stdout
    second_commit(template)
    updated(template, project)
    commit_changes(project, "Update")
    assert git(project, "rev-parse", *(f"HEAD:{name}" for name in own)).stdout == before
    assert not (project / "MIGRATION.md").exists()
    assert not (project / "template").exists()


def test_a_project_of_a_table_gets_nothing_of_the_old_problem(template, tmp_path):
    project = started_project(template, tmp_path / "project", without_problem=True)
    assert "Rides" not in (project / "README.md").read_text()
    second_commit(template)
    assert updated(template, project).conflicts == []
    assert "Rides" not in (project / "README.md").read_text()
    assert "return 0.6" in (project / GATE).read_text()
    assert "from_table = true" in (project / ".template").read_text()


def test_a_changed_contract_of_the_problem_is_told(template, project, capsys):
    second_commit(template)
    done = updated(template, project)
    assert done.own_changes == ["M data.dvc", f"M src/{NAME}/problem/config.py"]
    assert (project / "src" / NAME / "problem" / "__init__.py").read_text().startswith("from churn.problem.config")
    report(done)
    printed = capsys.readouterr().out
    assert "## 2\n\n- `src/churn/problem/config.py` has the label of a ride.\n" in printed
    assert "Nothing." not in printed  # a section that the project has seen
    assert "the template went from 1 (" in printed


def test_a_second_update_goes_on_from_the_first(template, project):
    second_commit(template)
    updated(template, project)
    commit_changes(project, "Update")
    change(project, GATE, "return 0.6", "return 0.7  # ours")
    commit_changes(project, "Our floor")
    third_commit(template)
    done = updated(template, project)
    assert (done.conflicts, done.own_changes, done.migration) == ([], [], "")
    assert "return 0.7  # ours" in (project / GATE).read_text()
    assert "return 1.6" in (project / GATE).read_text()
    commit_changes(project, "Update")
    assert updated(template, project) is None


def test_a_conflict_is_git_s_and_one_command_undoes_it(template, project, capsys):
    change(project, GATE, "return 0.5", "return 0.55")
    commit_changes(project, "Our floor")
    second_commit(template)
    done = updated(template, project)
    assert done.conflicts == [GATE]
    assert "<<<<<<<" in (project / GATE).read_text()
    report(done)
    printed = capsys.readouterr().out
    assert "conflicts in 1 files: git has marked both sides in each" in printed
    assert f"  {GATE}\n" in printed
    assert git(project, "reset", "--hard").returncode == 0
    assert git(project, "status", "--porcelain").stdout == ""
    assert "return 0.55" in (project / GATE).read_text()


def test_a_lock_that_both_changed_is_the_template_s(template, project):
    change(project, "locks/all.txt", "b==1", "b==1\nours==1")
    commit_changes(project, "Our dependency")
    second_commit(template)
    done = updated(template, project)
    assert (done.replaced_locks, done.conflicts) == (["locks/all.txt"], [])
    assert (project / "locks" / "all.txt").read_text() == "a==2\n\nb==1\n"


def test_a_lock_that_only_the_project_changed_stays(template, project):
    change(project, "locks/all.txt", "b==1", "b==1\nours==1")
    commit_changes(project, "Our dependency")
    third_commit(template)
    assert updated(template, project).replaced_locks == []
    assert "ours==1" in (project / "locks" / "all.txt").read_text()


@pytest.mark.parametrize("name", ["README.md", "new.txt"])
def test_a_tree_with_changes_is_refused(template, project, name):
    (project / name).write_text("changed")
    second_commit(template)
    refused(template, project, rf"uncommitted changes \({name}\)")


def test_a_project_from_before_updates_names_its_base(template, project):
    first = git(template, "rev-parse", "HEAD").stdout.strip()
    assert git(project, "rm", "--quiet", ".template", "CHANGELOG.md").returncode == 0
    commit_changes(project, "As it was before there was make update")
    second_commit(template)
    refused(template, project, r"\.template is missing.*add BASE=")
    refused(template, project, "BASE=nothing, which is no commit", base="nothing")
    done = updated(template, project, base=first)
    assert done.conflicts == []
    assert (project / "CHANGELOG.md").read_text() == "# What changed in Churn\n\n## 7\n\n- Started.\n"
    assert (project / ".template").read_text().count(git(template, "rev-parse", "HEAD^{tree}").stdout.strip()) == 1


def test_a_template_without_the_history_of_its_like_is_found_by_its_tree(template, project, tmp_path):
    """GitHub's "use this template" and a squash make other commits of the same tree."""
    assert git(template, "checkout", "--quiet", "--orphan", "fresh").returncode == 0
    commit_changes(template, "One commit")
    assert git(template, "branch", "--delete", "--force", "main").returncode == 0
    second_commit(template)
    assert updated(template, project).conflicts == []


def test_a_template_that_never_had_the_tree_is_refused(template, project):
    assert git(template, "checkout", "--quiet", "--orphan", "fresh").returncode == 0
    small.write(template, {"README.md": "# Acme\n\nAnother.\n"})
    commit_changes(template, "Another history")
    assert git(template, "branch", "--delete", "--force", "main").returncode == 0
    refused(template, project, "which no commit of the template has; add BASE=")


def test_the_template_itself_is_refused(template, tmp_path):
    assert git(template, "clone", "--quiet", ".", str(tmp_path / "copy")).returncode == 0
    refused(template, tmp_path / "copy", "has the template's own name: git pull")


def test_what_git_cannot_apply_changes_nothing(template, project):
    second_commit(template)
    # A lock of git's own, as another program holds it.
    (project / ".git" / "index.lock").write_text("")
    with pytest.raises(StartError, match=r"index\.lock"):
        updated(template, project)
    (project / ".git" / "index.lock").unlink()
    assert git(project, "status", "--porcelain").stdout == ""


def test_the_command_ends_with_one_line(project, capsys):
    (project / "README.md").write_text("changed")
    assert main(["--project", str(project)]) == 1
    assert capsys.readouterr().err.startswith("update: the tree has uncommitted changes (README.md)")


def started_at(commit: str, root: Path) -> Path:
    """Start a project of a commit of this repository, and change its problem and its Makefile."""
    if git(PROJECT, "cat-file", "-e", commit).returncode:
        pytest.skip("needs the repository's history: a full clone")
    assert git(PROJECT, "clone", "--quiet", str(PROJECT), str(root)).returncode == 0
    assert git(root, "checkout", "--quiet", commit).returncode == 0
    run_python(root, "-m", "template.start", "--name", NAME)
    linked_to_environment(root)
    change(root, CONFIG, '"roc_auc": 0.70', '"roc_auc": 0.71')
    change(root, "Makefile", "SEED ?= 0", "SEED ?= 7")
    commit_changes(root, "Ours")
    return root


def check_updated(root: Path, printed: str) -> None:
    """Demand that both changes are there, that the problem fits the new machine, and that nothing is left to take."""
    assert f"  M {CONFIG}\n" in printed
    assert "SEED ?= 7" in (root / "Makefile").read_text()
    assert '"roc_auc": 0.71' in (root / CONFIG).read_text()
    run_python(root, "-m", "ruff", "check", "--quiet", ".")
    tests = ("tests/test_hygiene.py", "tests/problem/test_config.py")
    assert " passed" in run_python(root, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-o", "addopts=")
    assert run_make(root, "update", f"FROM={PROJECT}") == "the project has this tree of the template already\n"


@pytest.mark.slow
def test_a_project_of_long_ago_is_brought_up_by_make_and_the_migration(tmp_path):
    root = started_at(LONG_BEFORE, tmp_path / "project")
    # It has no target of that name yet.
    with pytest.raises(AssertionError, match=r"No rule to make target 'update'"):
        run_make(root, "update")
    printed = run_make(root, "-f", str(PROJECT / "Makefile"), "update", f"FROM={PROJECT}", f"BASE={LONG_BEFORE}")
    # What MIGRATION.md says of the version.
    assert "`Interval` and `Windows` come from `core/windows.py`" in printed
    old = f"from {NAME}.core.problem_spec import Interval, Problem, Thresholds, Windows\n"
    new = (
        f"from {NAME}.core.problem_spec import Problem, Thresholds\nfrom {NAME}.core.windows import Interval, Windows\n"
    )
    change(root, CONFIG, old, new)
    commit_changes(root, "Update")
    check_updated(root, printed)


@pytest.mark.slow
@pytest.mark.parametrize("commit", WITH_UPDATE)
def test_a_project_of_a_past_commit_is_brought_up_by_its_own_make(tmp_path, commit):
    root = started_at(commit, tmp_path / "project")
    printed = run_make(root, "update", f"FROM={PROJECT}")
    commit_changes(root, "Update")
    check_updated(root, printed)
