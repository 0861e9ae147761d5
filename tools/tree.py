"""Which files belong to this project, and copies of them."""

import shutil
from pathlib import Path

from flightline.adapters.provenance import git

# Where there is no git to say what belongs to the project.
NOT_OURS = {
    ".git", ".venv", ".tools", ".state", ".dvcstore", "data", ".dvc/cache", ".dvc/tmp",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
}  # fmt: skip


def project_files(root: Path) -> list[Path]:
    """List the files that belong to the project, relative to its root: tracked, or new and not ignored."""
    try:
        listed = git(root, "ls-files", "-z", "-co", "--exclude-standard")
    except FileNotFoundError:  # no git on this machine
        listed = None
    if listed is not None and listed.returncode == 0 and listed.stdout:
        names = {Path(name) for name in listed.stdout.split("\0") if name}
        return sorted(name for name in names if (root / name).is_file())
    walked = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path for path in walked if _is_ours(path.parts))


def _is_ours(parts: tuple[str, ...]) -> bool:
    return "__pycache__" not in parts and not NOT_OURS & {parts[0], "/".join(parts[:2])}


def copy_tree(root: Path, target: Path) -> None:
    """Copy the project's files into a new folder."""
    for name in project_files(root):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name, follow_symlinks=False)
