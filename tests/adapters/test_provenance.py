import subprocess
from pathlib import Path

import pytest

from flightline.adapters.provenance import git, git_state
from flightline.core.errors import TrainingError
from flightline.core.settings import Settings
from pipelines.change_report.report import merge_base


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """A repository with a commit, and a folder in it that is a project of its own."""
    for command in (("init", "-q", "-b", "main"), ("commit", "-q", "--allow-empty", "-m", "x")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    (tmp_path / "unpacked").mkdir()
    return tmp_path


def test_a_commit_is_that_of_the_clone(around):
    commit = git(around, "rev-parse", "HEAD").stdout.strip()
    assert git_state(Settings(root=around)) == (commit, False)


def test_another_projects_repository_is_not_asked(around):
    assert git_state(Settings(root=around / "unpacked")) == ("unknown", True)
    assert git_state(Settings(root=around / "unpacked", commit="c0ffee")) == ("c0ffee", False)
    with pytest.raises(TrainingError, match="is no git repository"):
        merge_base(around / "unpacked", "main")


def test_nor_is_the_one_that_a_hook_names(around, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(around / ".git"))
    assert git_state(Settings(root=around / "unpacked")) == ("unknown", True)
