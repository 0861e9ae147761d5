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
    pull,
    silent,
    stage_changed_month,
)
from tests.support.clones import contents

# --- push -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_push_mends_a_damaged_remote(
    path: str, mode: int, clone: Settings, author: Settings, remote: Path, small: Path
) -> None:
    broken = object_of(remote, author, path)
    halve(broken)
    broken.chmod(mode)
    said: list[str] = []
    dvc_data.push(author, said.append)
    assert "1 object(s) were missing or damaged" in said[0]
    pull(clone)
    assert contents(clone.data_dir) == contents(small)


def test_push_refuses_altered_data(author: Settings, remote: Path) -> None:
    before = contents(remote)
    edit_same_size_and_time(author.data_dir / MONTH)
    with pytest.raises(DataVersionError, match="Run `make data` first"):
        dvc_data.push(author, silent)
    assert contents(remote) == before


# --- add_version ----------------------------------------------------------------------


def test_a_new_version_reaches_another_clone(clone: Settings, author: Settings, tmp_path: Path, remote: Path) -> None:
    former = dvc_data.read_data_version(author)
    objects = len(contents(remote))
    version = add_changed_month(author, tmp_path)
    assert version == dvc_data.read_data_version(author) != former
    assert len(contents(remote)) == objects + 2  # the month and the list of files
    shutil.copy(author.root / "data.dvc", clone.root)
    pull(clone)
    assert contents(clone.data_dir) == contents(author.data_dir)
    assert pull(author) == version


def test_a_version_that_was_staged_under_state_is_added(spread_clone: Settings) -> None:
    pull(spread_clone)
    version = add_changed_month(spread_clone, spread_clone.state_dir)
    assert version == dvc_data.check_data(spread_clone)


def test_adding_puts_back_what_the_remote_lost(clone: Settings, author: Settings, tmp_path: Path, remote: Path) -> None:
    object_of(remote, author, "shops.csv").unlink()
    add_changed_month(author, tmp_path)
    shutil.copy(author.root / "data.dvc", clone.root)
    pull(clone)
    assert contents(clone.data_dir) == contents(author.data_dir)


def _break_remote(author: Settings, remote: Path) -> None:
    shutil.rmtree(remote)
    remote.write_text("a file where the remote was")


def _break_dvc_add(author: Settings, remote: Path) -> None:
    (author.root / "other.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  size: 1\n  hash: md5\n  path: data/{MONTH}\n")


def _break_data(author: Settings, remote: Path) -> None:
    edit_same_size_and_time(author.data_dir / "shops.csv")


@pytest.mark.parametrize(
    ("break_it", "error"),
    [(_break_remote, RemoteError), (_break_dvc_add, DataVersionError), (_break_data, DataVersionError)],
)
def test_a_failed_addition_leaves_data_and_data_dvc(
    break_it, error: type[DataVersionError], author: Settings, remote: Path, tmp_path: Path
) -> None:
    staged = stage_changed_month(author, tmp_path)
    break_it(author, remote)
    data, pointer = contents(author.data_dir), (author.root / "data.dvc").read_bytes()
    with pytest.raises(error):
        dvc_data.add_version(author, staged, silent)
    assert contents(author.data_dir) == data
    assert (author.root / "data.dvc").read_bytes() == pointer


def test_killed_between_data_and_data_dvc_goes_back(
    clone: Settings, author: Settings, tmp_path: Path, small: Path
) -> None:
    former = (author.root / "data.dvc").read_bytes()
    add_changed_month(author, tmp_path)
    (author.root / "data.dvc").write_bytes(former)  # data/ was switched, data.dvc not yet written
    pull(author)
    assert contents(author.data_dir) == contents(small)


def test_an_empty_version_is_refused(author: Settings, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataVersionError, match="is empty"):
        dvc_data.add_version(author, tmp_path / "nothing", silent)
