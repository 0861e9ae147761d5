"""What the running code is: git commit and lock file, for lineage."""

import hashlib
import subprocess

from flightline.core.settings import Settings

LOCK_FILE = "locks/all.txt"


def git_state(settings: Settings) -> tuple[str, bool]:
    """Tell the commit of the clone, and whether tracked files differ from it.

    Returns
    -------
    tuple
        Where there is no git, no repository or no commit: what the settings say, or ("unknown", True).
    """
    try:
        commit = _git(settings, "rev-parse", "--verify", "HEAD").strip()
        return commit, bool(_git(settings, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.CalledProcessError):
        commit, dirty = settings.commit.removesuffix("-dirty"), settings.commit.endswith("-dirty")
        return (commit, dirty) if commit else ("unknown", True)


def _git(settings: Settings, *arguments: str) -> str:
    command = ["git", "-C", str(settings.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def lock_digest(settings: Settings) -> str:
    """Hash the lock file (sha256, hex), or say "unknown" where it is not shipped."""
    file = settings.root / LOCK_FILE
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "unknown"
