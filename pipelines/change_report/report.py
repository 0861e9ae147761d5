"""Trains this tree and the one it came from, and reports the difference: `python -m pipelines.change_report.report`.

For pull requests: it needs git and the data, no secret and no server, registers nothing and
promotes nothing. The report is .state/train_report/report.md, with page.html and report.png beside it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from flightline.adapters.dvc.data_version import read_remote
from flightline.adapters.event_clock import read_clock
from flightline.adapters.plots.evaluation_plots import draw_comparisons
from flightline.adapters.provenance import git
from flightline.core.errors import ClockError, TrainingError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.promotion.change_report import Compared, Side, compare
from flightline.training.zoo import ZOO
from pipelines.change_report.page import as_html, as_markdown
from pipelines.change_report.side import FACTS_FILE, ROWS_FILE
from pipelines.common.command_line import run_command

SIDE = Path(__file__).parent / "side.py"
FOLDER, BASE_TREE = "train_report", "train_report_base"
REPORT_FILE, PAGE_FILE, PICTURE_FILE = "report.md", "page.html", "report.png"
WHERE_IT_RUNS = "import flightline, pipelines; print(flightline.__file__, pipelines.__file__)"


def merge_base(root: Path, base: str) -> str:
    """Find the commit in which this tree and a branch had last been the same.

    Raises
    ------
    TrainingError
        If this is no git repository, does not know the branch, or its history does not reach so far.
    """
    if git(root, "rev-parse", "--verify", "HEAD").returncode:
        raise TrainingError(f"{root} is no git repository with a commit, so there is nothing to compare with")
    if git(root, "rev-parse", "--verify", f"{base}^{{commit}}").returncode:
        raise TrainingError(
            f"git knows no {base!r} here; fetch it (in a workflow: fetch-depth: 0), or name another: BASE=main"
        )
    found = git(root, "merge-base", "HEAD", base)
    if found.returncode or not found.stdout.strip():
        is_shallow = git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        why = "the history of this clone was cut off" if is_shallow else "they have no commit in common"
        raise TrainingError(
            f"HEAD and {base} do not meet: {why}; git fetch --unshallow (in a workflow: fetch-depth: 0)"
        )
    return found.stdout.strip()


@contextmanager
def base_tree(settings: Settings, commit: str) -> Iterator[Path]:
    """Give a worktree of a commit, in place of one that was left behind; it is removed afterwards."""
    tree = settings.state_dir / BASE_TREE
    _remove_tree(settings.root, tree)
    made = git(settings.root, "worktree", "add", "--detach", str(tree), commit)
    if made.returncode:
        raise TrainingError(f"git could not make a worktree of {commit[:12]}: {made.stderr.strip()[-500:]}")
    try:
        yield tree
    finally:
        _remove_tree(settings.root, tree)


def _remove_tree(root: Path, tree: Path) -> None:
    git(root, "worktree", "remove", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)
    git(root, "worktree", "prune")


def train_in(settings: Settings, tree: Path, arguments: list[str], to: Path) -> Side:
    """Train a tree with its own code, in a process and a root of its own, on this tree's remote.

    Raises
    ------
    TrainingError
        If its code cannot be run, or its training fails.
    """
    environment = _environment(settings, tree)
    if tree != settings.root:
        for name in ("config", "config.local"):  # data comes from this tree's remote, with its options
            if (settings.root / ".dvc" / name).exists():
                shutil.copy(settings.root / ".dvc" / name, tree / ".dvc" / name)
    where = subprocess.run([sys.executable, "-P", "-c", WHERE_IT_RUNS], env=environment, capture_output=True, text=True)
    if where.returncode or where.stdout.count(f"{tree}{os.sep}") != 2:
        raise TrainingError(f"the code of {tree.name} cannot be run from there: {(where.stdout + where.stderr)[-500:]}")
    done = subprocess.run([sys.executable, "-P", str(SIDE), *arguments, "--to", str(to)], cwd=tree, env=environment)
    if done.returncode:
        raise TrainingError(
            f"the training of {tree.name} failed with {done.returncode}, see above; where the base itself cannot be "
            "trained, or is older than this report, there is nothing to compare with"
        )
    return read_side(to)


def _environment(settings: Settings, tree: Path) -> dict[str, str]:
    state = tree / ".state"
    (state / "prefect").mkdir(parents=True, exist_ok=True)
    remote = read_remote(settings)
    return os.environ | {
        "FLIGHTLINE_ROOT": str(tree),
        "FLIGHTLINE_DVC_REMOTE_URL": remote.url if settings.dvc_remote_url or remote.is_folder else "",
        "PREFECT_HOME": str(state / "prefect"),
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        "MPLCONFIGDIR": str(state / "matplotlib"),
        "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree)]),
    }


def read_side(folder: Path) -> Side:
    """Read what a training has written down."""
    return Side(json.loads((folder / FACTS_FILE).read_text(encoding="utf-8")), pd.read_parquet(folder / ROWS_FILE))


def write_report(problem: Problem, base: Side, new: Side, folder: Path) -> Compared:
    """Compare, and write the report, its page and its picture into a folder."""
    compared = compare(problem, base, new)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(as_markdown(problem, base.facts, new.facts, compared), encoding="utf-8")
    picture = folder / PICTURE_FILE if compared.verdict.comparisons else None
    (folder / PICTURE_FILE).unlink(missing_ok=True)
    if picture:
        draw_comparisons(picture, compared.verdict, problem.thresholds)
    (folder / PAGE_FILE).write_text(as_html(problem, base.facts, new.facts, compared, picture), encoding="utf-8")
    return compared


def report(project: Project, base: str, model: str, seed: int) -> None:
    """Tell the story: train both, compare, write."""
    started = time.monotonic()
    commit = merge_base(project.settings.root, base)
    arguments = ["--model", model, "--seed", str(seed), "--clock", _clock(project)]
    work = project.settings.state_dir / f"{FOLDER}_sides"
    print(f"train-report: this tree, then {commit[:12]}, where it left {base}", flush=True)
    new = train_in(project.settings, project.settings.root, arguments, work / "new")
    with base_tree(project.settings, commit) as tree:
        old = train_in(project.settings, tree, arguments, work / "base")
    folder = project.settings.state_dir / FOLDER
    compared = write_report(project.problem, old, new, folder)
    why = "nothing changed" if compared.is_same else "; ".join(compared.verdict.reasons)
    print(f"train-report: {compared.verdict.decision}: {why}")
    print(f"train-report: {folder / REPORT_FILE}, and {PAGE_FILE} beside it ({time.monotonic() - started:.0f} s)")


def _clock(project: Project) -> str:
    """Say where this tree's event clock stands, or will: both trees know as much."""
    try:
        return read_clock(project.settings).isoformat()
    except ClockError:
        return project.problem.first_clock.isoformat()


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and report."""
    return run_command(lambda: _report(arguments))


def _report(arguments: list[str] | None) -> None:
    project = open_project()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="the branch that the change goes to")
    parser.add_argument("--model", default="hist_gradient_boosting", choices=list(ZOO[project.problem.task]))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    report(project, options.base, options.model, options.seed)


if __name__ == "__main__":
    sys.exit(main())
