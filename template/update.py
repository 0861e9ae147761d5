"""Brings a project that `make start` made up to this template: `make update FROM=...` in the project.

It runs in a clone of the newer template. Both trees of the template, the one that the project has
and the newer one, become projects of its name by the code of `make start`; git applies the
difference to the project, as `git cherry-pick` does, and leaves the result staged. No branch is
needed for it, so a history that was squashed or begun anew is no hindrance. What is the project's
own is in neither tree, so no difference touches it.
"""

import argparse
import re
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.provenance import git
from template.renaming import Spelling, StartError, find_config, read_names, replace, replacements
from template.start import CHANGELOG, NOTE, check_clean, convert, read_version, tidy, write_changelog, write_note

ROOT = Path(__file__).parents[1]
MIGRATION = Path("MIGRATION.md")
NOBODY = ("-c", "user.name=template", "-c", "user.email=template@localhost", "-c", "commit.gpgsign=false")
# Its folders are the same on both sides; a file that the project added to one must stay where it is.
MERGING = ("-c", "merge.renameLimit=10000", "-c", "merge.directoryRenames=false")


@dataclass(frozen=True)
class Updated:
    """What an update did: versions and commits of the template, and what is left to do."""

    before: str
    after: str
    staged: int
    own_changes: list[str]
    migration: str
    replaced_locks: list[str]
    conflicts: list[str]


def update(template: Path, project: Path, base: str = "") -> Updated | None:
    """Bring a project up to what is checked out in a clone of the template; None if it has this tree already.

    Parameters
    ----------
    base
        The commit of the template that the project has, where .template does not say it.

    Raises
    ------
    StartError
        If the project is not clean, or it cannot be known what it has; nothing is changed then.
    """
    check_clean(project)
    name = _name_of(project, template)
    note = _read_note(project)
    before = _commit_before(template, project, note, base)
    is_from_table = bool(note.get("from_table"))
    tree = _run(template, "rev-parse", "HEAD^{tree}")
    if tree == _run(template, "rev-parse", f"{before}^{{tree}}"):
        return None
    made = _run(template, *NOBODY, "commit-tree", "-m", "before", _made(template, before, name, is_from_table))
    newer = _made(template, "HEAD", name, is_from_table)
    made = _run(template, *NOBODY, "commit-tree", "-m", "after", "-p", made, newer)
    _run(template, "branch", "--force", "made-for-update", made)
    _run(project, "fetch", "--quiet", "--no-tags", str(template), "made-for-update")
    locks = ("--", "locks/*.txt")
    both = _changed(project, f"{made}^", "HEAD", *locks) & _changed(project, f"{made}^", made, *locks)
    _apply(project, made)
    # A lock merged by lines would be no lock.
    _take(project, made, both)
    write_note(project, read_version(template), tree, is_from_table)
    if not (project / CHANGELOG).exists():  # started by a template that had none
        write_changelog(project, name, read_version(project))
    _run(project, "add", str(NOTE), str(CHANGELOG))
    return Updated(
        _called(template, before),
        _called(template, "HEAD"),
        len(_changed(project, "HEAD")),
        _own_changes(template, before, name),
        _new_sections(template, before, name),
        sorted(both),
        _conflicts(project),
    )


def problem_files(package: str) -> tuple[str, ...]:
    """Name what is about the problem, and so the project's own, as git's pathspecs.

    Its `problem/__init__.py`, which hands the other files to the machine, is the template's.
    """
    folder = f"src/{package}/problem"
    return (folder, f":!{folder}/__init__.py", "tests/problem", "feature_repo/definitions.py", "data.dvc")


def _name_of(project: Path, template: Path) -> Spelling:
    name = Spelling.of(find_config(project).parents[1].name)
    if name == read_names(template).package:
        raise StartError(
            f"{project} has the template's own name: git pull brings it up; this is for projects started from it"
        )
    return name


def _read_note(project: Path) -> dict[str, Any]:
    note = project / NOTE
    return tomllib.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}


def _commit_before(template: Path, project: Path, note: dict[str, Any], base: str) -> str:
    """Find the commit of the template that a project has: the one that is given, or one with the noted tree."""
    if base:
        found = git(template, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
        if found.returncode:
            raise StartError(f"got BASE={base}, which is no commit of the template; git log there lists them")
        return found.stdout.strip()
    wanted = "BASE=... : the newest commit of the template that the project has (git log there lists them)"
    if not note:
        raise StartError(f"{project / NOTE} is missing, so what it was started from is unknown; add {wanted}")
    tree = note["tree"]
    for line in _run(template, "log", "--all", "--format=%H %T").splitlines():
        commit, its_tree = line.split()
        if its_tree == tree:
            return commit
    raise StartError(f"{project / NOTE} names the tree {tree[:12]}, which no commit of the template has; add {wanted}")


def _made(template: Path, commit: str, name: Spelling, is_from_table: bool) -> str:
    """Make a commit of the template a project, and give git's hash of the tree without what is the project's own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "made"
        _run(template, "worktree", "add", "--quiet", "--detach", str(root), commit)
        try:
            convert(root, name, is_from_table)
            tidy(root)
            _run(root, "add", "--all")
            own = (*problem_files(name.package), str(CHANGELOG))
            _run(root, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", *own)
            return _run(root, "write-tree")
        finally:
            _run(template, "worktree", "remove", "--force", str(root))


def _apply(project: Path, made: str) -> None:
    """Apply the difference; conflicts stay as git marks them, and any other failure changes nothing."""
    done = git(project, *NOBODY, *MERGING, "cherry-pick", "--no-commit", made)
    if done.returncode and not _conflicts(project):
        _run(project, "reset", "--quiet", "--hard", "HEAD")
        raise StartError(f"git could not apply the difference, and nothing is changed: {done.stderr.strip()}")


def _take(project: Path, made: str, files: set[str]) -> None:
    kept = {file for file in files if git(project, "cat-file", "-e", f"{made}:{file}").returncode == 0}
    if kept:
        _run(project, "checkout", made, "--", *sorted(kept))
    if files - kept:
        _run(project, "rm", "--quiet", "--force", "--", *sorted(files - kept))


def _own_changes(template: Path, before: str, name: Spelling) -> list[str]:
    """List what became of the template's own problem files, such as "M src/churn/problem/config.py"."""
    old = read_names(template).package.package
    lines = _run(template, "diff", "--name-status", "--no-renames", before, "HEAD", "--", *problem_files(old))
    return lines.replace(f"src/{old}/", f"src/{name.package}/").replace("\t", " ").splitlines()


def _new_sections(template: Path, before: str, name: Spelling) -> str:
    """Give the sections of MIGRATION.md, each below a heading "## ...", that were not there before or differ."""
    texts = [git(template, "show", f"{commit}:{MIGRATION}").stdout for commit in (before, "HEAD")]
    old, new = (re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:] for text in texts)
    return replace("".join(section for section in new if section not in old), replacements(read_names(template), name))


def _called(template: Path, commit: str) -> str:
    version = re.search(r'^version = "(.+)"$', _run(template, "show", f"{commit}:pyproject.toml"), re.MULTILINE)
    return f"{version[1] if version else 'no version'} ({_run(template, 'rev-parse', '--short', commit)})"


def _changed(root: Path, *arguments: str) -> set[str]:
    return set(_run(root, "diff", "--name-only", "--no-renames", *arguments).splitlines())


def _conflicts(project: Path) -> list[str]:
    return sorted(_run(project, "diff", "--name-only", "--diff-filter=U").splitlines())


def _run(root: Path, *arguments: str) -> str:
    done = git(root, *arguments)
    if done.returncode:
        raise StartError(f"git {' '.join(arguments[:3])} in {root} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def report(updated: Updated) -> None:
    """Print what was done, what the project's own files must change, and what to do next."""
    print(f"the template went from {updated.before} to {updated.after}; {updated.staged} files changed here, staged")
    if updated.replaced_locks:
        print(f"the template's locks took the place of yours, {', '.join(updated.replaced_locks)}: run make lock")
    if updated.own_changes:
        print("your own files were left as they are; what changed in the template's, whose machine this is now:")
        print(*(f"  {line}" for line in updated.own_changes), sep="\n")
    if updated.migration:
        print("what yours must change, from the template's MIGRATION.md:\n")
        print(updated.migration.strip(), end="\n\n")
    if updated.conflicts:
        print(
            f"conflicts in {len(updated.conflicts)} files: git has marked both sides in each, or kept the side that has"
        )
        print("the file where the other removed it; correct each and git add it:")
        print(*(f"  {file}" for file in updated.conflicts), sep="\n")
    print("Next: git diff --cached --stat, make lint test, git commit -m Update; or back: git reset --hard")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, update the project, and print what to do next; 1 if something is left to resolve."""
    parser = argparse.ArgumentParser(description="Bring a project that make start made up to this template.")
    parser.add_argument("--project", required=True, type=Path, help="its folder")
    parser.add_argument("--base", default="", help="the commit of the template that it has, if it does not say so")
    options = parser.parse_args(arguments)
    try:
        updated = update(ROOT, options.project.resolve(), options.base)
    except StartError as err:
        print(f"update: {err}", file=sys.stderr)
        return 1
    if updated is None:
        print("the project has this tree of the template already")
        return 0
    report(updated)
    return 1 if updated.conflicts else 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
