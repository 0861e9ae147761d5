"""Lays a problem of template/examples over a copy of this project: `make example NAME=... TO=...`.

Only the files that begin with "CHANGE ME" may change, data.dvc and what is in tests/problem/,
which the example replaces as a whole. If that is not enough for another problem, the code around
them knows this one, which is a bug.
"""

import argparse
import shutil
import sys
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from tools.tree import copy_tree, project_files

ROOT = Path(__file__).parents[1]
MARK = "CHANGE ME"
POINTER = Path("data.dvc")
TESTS = Path("tests/problem")
ABOUT = Path("README.md")  # about the example; it replaces nothing


class ExampleError(Exception):
    """An example cannot be laid over a copy; says what to do."""


def cloner_files(root: Path) -> set[Path]:
    """Find the files that are changed for another problem: their first line says so."""
    code = [name for name in project_files(root) if name.suffix == ".py" and name.parts[0] != "template"]
    return {name for name in code if MARK in (root / name).read_text(encoding="utf-8").split("\n", 1)[0]}


def overlay_files(example: Path) -> set[Path]:
    """List the files of an example that replace files of the project."""
    found = {file.relative_to(example) for file in example.rglob("*") if file.is_file()}
    return {name for name in found if "__pycache__" not in name.parts} - {ABOUT}


def lay_over(root: Path, name: str, target: Path) -> list[Path]:
    """Copy the project to a new folder and lay an example's files over it; give the files that differ.

    Raises
    ------
    ExampleError
        If there is no such example, the folder is taken, or other files than those marked
        would differ.
    """
    example = root / "template" / "examples" / name
    known = sorted(folder.name for folder in (root / "template" / "examples").iterdir() if folder.is_dir())
    if name not in known:
        raise ExampleError(f"got NAME={name}, expected one of: {', '.join(known)}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExampleError(f"{target} is not empty; give another folder: make example NAME={name} TO=...")
    if target.resolve().is_relative_to(root.resolve()):
        raise ExampleError(f"{target} lies inside this project; give a folder outside: make example NAME={name} TO=...")
    copy_tree(root, target)
    shutil.rmtree(target / TESTS, ignore_errors=True)
    for file in overlay_files(example):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(example / file, target / file)
    changed = differences(root, target)
    beside_tests = {file for file in changed if not file.is_relative_to(TESTS)}
    wanted = cloner_files(root) | {POINTER}
    if beside_tests != wanted:
        more, less = (sorted(map(str, files)) for files in (beside_tests - wanted, wanted - beside_tests))
        raise ExampleError(
            f"template/examples/{name} must change every marked file and no other; others: {more}, same: {less}"
        )
    return changed


def differences(root: Path, copy: Path) -> list[Path]:
    """List the files of which a copy has another content, has none, or has and the project has not."""
    names = {*project_files(root), *(file.relative_to(copy) for file in copy.rglob("*") if file.is_file())}
    return sorted(name for name in names if _content(root / name) != _content(copy / name))


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, lay the example over a copy, and say what to do next."""
    parser = argparse.ArgumentParser(description="Lay a problem of template/examples over a copy of this project.")
    parser.add_argument("--name", required=True, help="a folder of template/examples")
    parser.add_argument("--to", default="", help="folder for the copy; default: beside this one")
    options = parser.parse_args(arguments)
    target = Path(options.to).absolute() if options.to else ROOT.parent / f"{ROOT.name}-{options.name}"
    try:
        changed = lay_over(ROOT, options.name, target)
    except ExampleError as err:
        print(f"example: {err}", file=sys.stderr)
        return 1
    print(f"{target} is this project with the problem of template/examples/{options.name}. Changed, and nothing else:")
    print(*(f"  {name}" for name in changed), sep="\n")
    print(
        f"Next: cd {target} && git init && git add -A && git commit -m Start, then make train, make serve, make predict"
    )
    print(f"What it predicts is in {ROOT / 'template' / 'examples' / options.name / ABOUT}")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
