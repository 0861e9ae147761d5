"""Ways to change and damage what DVC keeps."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.settings import Settings
from tests.toy_problem import make_project

MONTH = "sales/2020-01.csv"


def silent(_: str) -> None:
    pass


def pull(settings: Settings, report: Callable[[str], None] = silent) -> dvc_data.DataVersion:
    """Pull for the toy problem, whose seed is the first version."""
    return dvc_data.pull(make_project(settings), report)


def object_of(remote: Path, settings: Settings, path: str) -> Path:
    """Find the remote's object of a file of data/, or of the list of files itself."""
    oid = dvc_data.read_data_version(settings).md5
    if path != ".dir":
        oid = hashlib.md5((settings.data_dir / path).read_bytes(), usedforsecurity=False).hexdigest()
    return remote / "files" / "md5" / oid[:2] / oid[2:]


def edit_same_size_and_time(path: Path) -> None:
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"#")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = {
    "a changed byte, size and time as before": edit_same_size_and_time,
    "half of it": halve,
    "empty": lambda path: os.truncate(path, 0),
}


def stage_changed_month(settings: Settings, tmp_path: Path) -> Path:
    staged = tmp_path / "next"
    shutil.copytree(settings.data_dir, staged)
    with (staged / MONTH).open("a") as file:
        file.write("one more row\n")
    return staged


def add_changed_month(settings: Settings, tmp_path: Path) -> dvc_data.DataVersion:
    return dvc_data.add_version(settings, stage_changed_month(settings, tmp_path), silent)
