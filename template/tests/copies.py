"""Runs make and Python in a copy of the project, with this project's environment and the copy's code."""

import subprocess
import sys
from pathlib import Path

from flightline.adapters.provenance import git
from tests.proof.execution.commands import clean_environment

PROJECT = Path(__file__).parents[2]
# Made once for this project, and good for every copy with the same locks.
INSTALLED = (
    ".venv/.installed",
    ".tools/bin/uv",
    *(f".tools/{name}/.installed" for name in ("sbom", "scans", "checkov", "workflows")),
)


def commit_all(root: Path) -> None:
    """Make a repository of a copy, with one commit."""
    assert git(root, "init", "--quiet").returncode == 0
    # Links, where .gitignore names folders.
    (root / ".git" / "info" / "exclude").write_text("/.venv\n/.tools\n")
    commit_changes(root, "Start")


def commit_changes(root: Path, message: str) -> None:
    """Commit all that was changed, in a name of nobody."""
    assert git(root, "add", "--all").returncode == 0
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    assert git(root, *identity, "commit", "--quiet", "--message", message).returncode == 0


def linked_to_environment(root: Path) -> Path:
    """Give a copy this project's environment and tools, and make a repository of it."""
    for name in (".venv", ".tools"):
        (root / name).symlink_to(PROJECT / name)
    commit_all(root)
    return root


def run_python(root: Path, *arguments: str) -> str:
    """Run Python in a copy, demand that it ends well, and give what it printed."""
    return _run(root, sys.executable, *arguments)


def run_make(root: Path, *arguments: str) -> str:
    """Run make in a copy, demand that it ends well, and give what it printed."""
    return _run(root, *make_command(root, *arguments))


def make_command(root: Path, *arguments: str) -> tuple[str, ...]:
    """Give the command that runs make in a copy; on its line, for make takes no PYTHONPATH from the shell."""
    own = ("make", f"PYTHONPATH={_path_of(root)}")
    return (*own, *(part for name in INSTALLED for part in ("-o", name)), *arguments)


def _path_of(root: Path) -> str:
    return f"{root / 'src'}:{root}"


def _run(root: Path, *command: str) -> str:
    environment = {**clean_environment(), "PYTHONPATH": _path_of(root), "MYPYPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
