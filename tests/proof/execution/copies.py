"""Copies of this tree: one clean base with a part of the data, and from it one copy a fault."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from flightline.adapters.provenance import git
from flightline.adapters.state.moved_state import replace_root
from tests.proof.execution.commands import Processes, environment_of
from tools.tree import copy_tree

PROJECT = Path(__file__).parents[3]
PATCHES = Path(__file__).parents[1] / "patches"


class ProofError(Exception):
    """The proof itself cannot be run as it is; says what to mend."""


def make_base(processes: Processes, target: Path, api_url: str) -> None:
    """Make the clean copy that every other is made of: a fresh clone whose remote holds a part of the data.

    Raises
    ------
    ProofError
        If its data cannot be made.
    """
    _bring_data(processes)
    copy_tree(PROJECT, target)
    (target / "data.dvc").unlink(missing_ok=True)
    make = ("-m", "tests.proof.inside.small_data", "--data", str(PROJECT / "data"))
    result = processes.run(make, target, environment_of(target, api_url))
    if result.exit_code:
        raise ProofError(f"the data of the copies could not be made:\n{result.output}")
    for left in ("data", ".state", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(target / left, ignore_errors=True)
    (target / ".state" / "prefect").mkdir(parents=True)


def _bring_data(processes: Processes) -> None:
    """Bring data/ of this tree to its version, as `make data` does: no copy has to reach its source."""
    own = {"FLIGHTLINE_ROOT": str(PROJECT), "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])}
    command = ("-m", "pipelines.commands.data")
    process = processes.start(command, PROJECT, {**os.environ, **own}, subprocess.PIPE)
    output, _ = process.communicate()
    processes.end(process)
    if process.returncode:
        raise ProofError(f"the data of this tree could not be brought:\n{output}")


def forget_models(copy: Path) -> None:
    """Let no model be registered in a copy, while all that was built for one stays."""
    with closing(sqlite3.connect(copy / ".state" / "mlflow" / "mlflow.db")) as database, database:
        for table in ("registered_model_aliases", "model_version_tags", "model_versions"):
            database.execute(f"DELETE FROM {table}")


def copy_copy(source: Path, target: Path) -> None:
    """Copy a copy with its state, and let its registry point at the new one's own files."""
    shutil.copytree(source, target, symlinks=True)
    (target / ".state").mkdir(exist_ok=True)
    replace_root(target / ".state" / "mlflow" / "mlflow.db", source, target)


def check_own_code(processes: Processes, copy: Path, api_url: str) -> None:
    """Demand that commands in a copy run the copy's code, not that of the installed tree.

    Raises
    ------
    ProofError
        If they do not: every verdict would then be about the wrong code.
    """
    question = "import flightline, pipelines, tests; [print(m.__file__) for m in (flightline, pipelines, tests)]"
    result = processes.run(("-c", question), copy, environment_of(copy, api_url))
    foreign = [line for line in result.output.splitlines() if not Path(line).resolve().is_relative_to(copy.resolve())]
    if result.exit_code or foreign:
        raise ProofError(f"commands in {copy} would run other code than that copy's:\n{result.output}")


def apply_patch(copy: Path, name: str, *, check_only: bool = False) -> None:
    """Plant a fault of tests/proof/patches in a copy.

    Raises
    ------
    ProofError
        If the code has changed so that the patch no longer fits.
    """
    patch = PATCHES / f"{name}.patch"
    files = patched_files(patch)
    before = {file: (copy / file).read_bytes() if (copy / file).is_file() else b"" for file in files}
    applied = git(copy, "apply", *(["--check"] if check_only else []), str(patch))
    is_changed = check_only or all((copy / file).read_bytes() != content for file, content in before.items())
    if applied.returncode or not files or not is_changed:
        raise ProofError(
            f"tests/proof/patches/{patch.name} no longer fits the code it alters; the fault must be updated "
            f"(make the change by hand in a clean tree, and keep `git diff -U1`).\n{applied.stderr}"
        )


def patched_files(patch: Path) -> list[str]:
    """Name the files a patch alters."""
    lines = patch.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("+++ b/") for line in lines if line.startswith("+++ b/")]
