"""What the running code is: git commit and lock file, for lineage."""

import hashlib
import os
import subprocess
from pathlib import Path

from flightline.core.settings import Settings

LOCK_FILE = "locks/all.txt"


def git_state(settings: Settings) -> tuple[str, bool]:
    """Tell the commit of the clone, and whether tracked files differ from it.

    Returns
    -------
    tuple
        Where there is no git, no repository of its own or no commit: what the settings say, or ("unknown", True).
    """
    try:
        found = git(settings.root, "rev-parse", "--verify", "HEAD")
        found.check_returncode()
        changed = git(settings.root, "status", "--porcelain", "--untracked-files=no")
        changed.check_returncode()
        return found.stdout.strip(), bool(changed.stdout.strip())
    except (OSError, subprocess.CalledProcessError):
        commit, dirty = settings.commit.removesuffix("-dirty"), settings.commit.endswith("-dirty")
        return (commit, dirty) if commit else ("unknown", True)


def git(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run git on the repository whose top folder is `root`, and on no other.

    A download without history may lie inside another project's repository, and a git hook names its own in GIT_DIR.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(root.resolve().parent)
    return subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False)


def lock_digest(settings: Settings) -> str:
    """Hash the lock file (sha256, hex), or say "unknown" where it is not shipped."""
    file = settings.root / LOCK_FILE
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "unknown"
