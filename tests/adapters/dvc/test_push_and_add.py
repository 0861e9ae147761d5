"""Pushing a version and making a new one: all of it or nothing."""

import shutil
from pathlib import Path

import pytest

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.errors import DataVersionError, RemoteError
from flightline.core.settings import Settings
from tests.adapters.dvc.damage import (
    MONTH,
    add_changed_month,
    edit_same_size_and_time,
    halve,
    object_of,
    silent,
    stage_changed_month,
)
from tests.support.clones import contents

# --- push -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_push_mends_a_damaged_remote(
    path: str, mode: int, clone: Settings, origin: Settings, remote: Path, small: Path
) -> None:
    broken = object_of(remote, origin, path)
    halve(broken)
    broken.chmod(mode)
    said: list[str] = []
    dvc_data.push(origin, said.append)
    assert "1 object(s) were missing or damaged" in said[0]
    dvc_data.pull(clone, silent)
    assert contents(clone.data_dir) == contents(small)


def test_push_refuses_altered_data(origin: Settings, remote: Path) -> None:
    before = contents(remote)
    edit_same_size_and_time(origin.data_dir / MONTH)
    with pytest.raises(DataVersionError, match="Run `make data` first"):
        dvc_data.push(origin, silent)
    assert contents(remote) == before


# --- add_version ----------------------------------------------------------------------


def test_a_new_version_reaches_another_clone(clone: Settings, origin: Settings, tmp_path: Path, remote: Path) -> None:
    former = dvc_data.read_data_version(origin)
    objects = len(contents(remote))
    version = add_changed_month(origin, tmp_path)
    assert version == dvc_data.read_data_version(origin) != former
    assert len(contents(remote)) == objects + 2  # the month and the list of files
    shutil.copy(origin.root / "data.dvc", clone.root)
    dvc_data.pull(clone, silent)
    assert contents(clone.data_dir) == contents(origin.data_dir)
    assert dvc_data.pull(origin, silent) == version


def test_adding_puts_back_what_the_remote_lost(clone: Settings, origin: Settings, tmp_path: Path, remote: Path) -> None:
    object_of(remote, origin, "planes.csv").unlink()
    add_changed_month(origin, tmp_path)
    shutil.copy(origin.root / "data.dvc", clone.root)
    dvc_data.pull(clone, silent)
    assert contents(clone.data_dir) == contents(origin.data_dir)


def _break_remote(origin: Settings, remote: Path) -> None:
    shutil.rmtree(remote)
    remote.write_text("a file where the remote was")


def _break_dvc_add(origin: Settings, remote: Path) -> None:
    (origin.root / "other.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  size: 1\n  hash: md5\n  path: data/{MONTH}\n")


def _break_data(origin: Settings, remote: Path) -> None:
    edit_same_size_and_time(origin.data_dir / "planes.csv")


@pytest.mark.parametrize(
    ("break_it", "error"),
    [(_break_remote, RemoteError), (_break_dvc_add, DataVersionError), (_break_data, DataVersionError)],
)
def test_a_failed_addition_leaves_data_and_data_dvc(
    break_it, error: type[DataVersionError], origin: Settings, remote: Path, tmp_path: Path
) -> None:
    staged = stage_changed_month(origin, tmp_path)
    break_it(origin, remote)
    data, pointer = contents(origin.data_dir), (origin.root / "data.dvc").read_bytes()
    with pytest.raises(error):
        dvc_data.add_version(origin, staged, silent)
    assert contents(origin.data_dir) == data
    assert (origin.root / "data.dvc").read_bytes() == pointer


def test_killed_between_data_and_data_dvc_goes_back(
    clone: Settings, origin: Settings, tmp_path: Path, small: Path
) -> None:
    former = (origin.root / "data.dvc").read_bytes()
    add_changed_month(origin, tmp_path)
    (origin.root / "data.dvc").write_bytes(former)  # data/ was switched, data.dvc not yet written
    dvc_data.pull(origin, silent)
    assert contents(origin.data_dir) == contents(small)


def test_an_empty_version_is_refused(origin: Settings, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataVersionError, match="is empty"):
        dvc_data.add_version(origin, tmp_path / "nothing", silent)
