"""`make secrets-scan` finds a planted secret, in a file and in a commit that was taken back, and shows it to nobody."""

import shutil
import subprocess
import sys
import tomllib

import pytest

from flightline.adapters.provenance import git
from template.tests.workflows.local_github.act import PROJECT
from tools.ci.secrets_scan import ALLOWED

GITLEAKS = PROJECT / ".tools" / "scans" / "bin" / "gitleaks"
# Put together here, so that this file holds none.
SECRET = "ghp_" + "x7Kq2mWn9LpR4tVb6YzD8cF1gHjS3aQeUiOk"


@pytest.fixture
def clone(tmp_path):
    """A repository with one commit and the project's own list of what is no secret."""
    root = tmp_path / "clone"
    root.mkdir()
    shutil.copy(PROJECT / ALLOWED, root)
    (root / "settings.py").write_text("TOKEN = None\n")
    git(root, "init", "--quiet")
    commit(root)
    return root


def commit(root):
    git(root, "add", "--all")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    assert git(root, *identity, "commit", "--quiet", "--message", "x").returncode == 0


def scan(root):
    command = [sys.executable, "-m", "tools.ci.secrets_scan", "--gitleaks", str(GITLEAKS), "--root", str(root)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def plant(root):
    (root / "settings.py").write_text(f'TOKEN = "{SECRET}"\n')


def test_clean(clone):
    done = scan(clone)
    assert (done.returncode, done.stdout) == (0, "secrets-scan: no secret in 2 files and 1 commits\n"), done.stderr


def test_a_secret_in_a_file_that_is_not_committed_yet(clone):
    plant(clone)
    done = scan(clone)
    assert done.returncode == 1
    assert "  settings.py:1: " in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_secret_in_a_commit_that_was_taken_back(clone):
    plant(clone)
    commit(clone)
    (clone / "settings.py").write_text("TOKEN = None\n")
    commit(clone)
    done = scan(clone)
    assert done.returncode == 1
    assert "  commit " in done.stdout
    assert "  settings.py" not in done.stdout
    assert "Revoke the secret first" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_secret_on_another_branch(clone):
    git(clone, "checkout", "--quiet", "-b", "other")
    plant(clone)
    commit(clone)
    git(clone, "checkout", "--quiet", "-")
    assert scan(clone).returncode == 1


def test_an_ignored_file_is_no_part_of_the_project(clone):
    (clone / ".gitignore").write_text("settings.local\n")
    (clone / "settings.local").write_text(f'TOKEN = "{SECRET}"\n')
    assert scan(clone).returncode == 0


@pytest.mark.parametrize("broken", ["shallow", "no git", "list"])
def test_a_scan_that_did_not_happen_is_no_clean_one(clone, tmp_path, broken):
    if broken == "shallow":
        plant(clone)
        commit(clone)
        subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", f"file://{clone}", "shallow"], cwd=tmp_path, check=True
        )
        clone = tmp_path / "shallow"
        (clone / "settings.py").write_text("TOKEN = None\n")
    elif broken == "no git":
        shutil.rmtree(clone / ".git")
    else:
        (clone / ALLOWED).write_text("allowlists = 3")
    done = scan(clone)
    assert done.returncode == 2
    assert "FAILED, nothing is known" in done.stderr


def test_each_exception_is_narrow_and_has_its_reason():
    entries = tomllib.loads((PROJECT / ALLOWED).read_text())["allowlists"]
    assert entries
    for entry in entries:
        assert len(entry["description"].split()) > 5
        assert entry["condition"] == "AND"
        assert all(entry[bound] for bound in ("targetRules", "paths", "regexes"))
