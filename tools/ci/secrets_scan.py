"""Looks for secrets in the project's files and in its whole history: `make secrets-scan`.

What is no secret though it looks like one is listed in .gitleaks.toml, each with its reason.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.provenance import git
from tools.tree import copy_tree, project_files

ROOT = Path(__file__).parents[2]
ALLOWED = ".gitleaks.toml"
FOUND, FAILED = 1, 2


class ScanError(Exception):
    """The scan itself failed, so nothing is known."""


def scan(gitleaks: Path, root: Path, folder: Path, *command: str) -> list[dict[str, Any]]:
    """Run gitleaks in a folder, with the project's list of what is no secret; gives what it found, redacted.

    Raises
    ------
    ScanError
        With gitleaks' own words.
    """
    with tempfile.TemporaryDirectory(prefix="secrets-") as reports:
        report = Path(reports) / "report.json"
        options = ["--config", str(root / ALLOWED), "--no-banner", "--no-color", "--log-level", "error", "--redact"]
        written = ["--report-format", "json", "--report-path", str(report), "--exit-code", "0"]
        # gitleaks runs git: no variable of an outer repository may lead it elsewhere.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            [str(gitleaks), *command, *options, *written],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not report.is_file():
            raise ScanError(f"gitleaks {command[0]} failed with {done.returncode}:\n{done.stderr[-2000:]}")
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8")) or []
        return found


def in_files(gitleaks: Path, root: Path) -> tuple[int, list[dict[str, Any]]]:
    """Scan the files that belong to the project, committed or not; gives their number, and what was found."""
    with tempfile.TemporaryDirectory(prefix="secrets-tree-") as folder:
        copy_tree(root, Path(folder))
        return len(project_files(root)), scan(gitleaks, root, Path(folder), "dir", ".")


def in_history(gitleaks: Path, root: Path) -> tuple[int, list[dict[str, Any]]]:
    """Scan every commit of every branch; gives their number, and what was found.

    Raises
    ------
    ScanError
        If there is no history, or a part of it only.
    """
    counted = git(root, "rev-list", "--count", "--all")
    if counted.returncode:
        raise ScanError(f"{root} is no git repository, so its history cannot be looked at: {counted.stderr.strip()}")
    if git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        raise ScanError(
            "this clone is shallow: fetch the whole history (git fetch --unshallow; checkout: fetch-depth: 0)"
        )
    return int(counted.stdout), scan(gitleaks, root, root, "git", "--log-opts=--all", ".")


def main(arguments: list[str] | None = None) -> int:
    """Scan both and print what was found; 1 if anything was, 2 if a scan failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gitleaks", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=ROOT)
    given = parser.parse_args(arguments)
    root, program = given.root.resolve(), given.gitleaks.resolve()
    try:
        files, in_tree = in_files(program, root)
        commits, in_commits = in_history(program, root)
    except ScanError as err:
        print(f"secrets-scan: FAILED, nothing is known: {err}", file=sys.stderr)
        return FAILED
    for each in in_tree:
        print(f"  {each['File']}:{each['StartLine']}: {each['Description']} ({each['RuleID']})")
    for each in in_commits:
        place = f"commit {each['Commit'][:10]}, {each['File']}:{each['StartLine']}"
        print(f"  {place}: {each['Description']} ({each['RuleID']})")
    if in_tree or in_commits:
        print("secrets-scan: FOUND. Revoke the secret first: rewriting a history that was pushed takes nothing back.")
        print(f"  If it is none, say so in {ALLOWED}, with the reason.")
        return FOUND
    print(f"secrets-scan: no secret in {files} files and {commits} commits")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
