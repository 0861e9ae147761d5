"""Each way in which data/, data.dvc and the remote can disagree is brought about for real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zc.lockfile

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.errors import DataVersionError
from flightline.core.settings import Settings
from tests.adapters.dvc.damage import (
    DAMAGES,
    MONTH,
    add_changed_month,
    edit_same_size_and_time,
    halve,
    object_of,
    pull,
)
from tests.support.clones import contents, make_clone

pytestmark = pytest.mark.slow

# --- pull: what works -----------------------------------------------------------------


def test_a_fresh_clone_gets_the_same_bytes(clone: Settings, small: Path) -> None:
    version = pull(clone)
    assert version == dvc_data.read_data_version(clone)
    assert version.files == len(contents(small))
    assert contents(clone.data_dir) == contents(small)


def test_a_remote_of_the_settings_goes_before_that_of_the_clone(clone: Settings, remote: Path) -> None:
    moved = remote.rename(remote.with_name("elsewhere"))
    named = clone.model_copy(update={"dvc_remote_url": str(moved)})
    assert pull(named) == dvc_data.read_data_version(clone)
    assert not remote.exists()


def test_equal_data_needs_no_remote(author: Settings, remote: Path) -> None:
    shutil.rmtree(remote)
    said: list[str] = []
    pull(author, said.append)
    assert "nothing to do" in said[0]


def test_data_comes_back_from_the_cache_without_a_remote(author: Settings, remote: Path, small: Path) -> None:
    shutil.rmtree(remote)
    shutil.rmtree(author.data_dir)
    pull(author)
    assert contents(author.data_dir) == contents(small)


def test_an_earlier_version_is_replaced_both_ways(spread_clone: Settings, author: Settings, tmp_path: Path) -> None:
    clone = spread_clone
    pull(clone)
    first = contents(clone.data_dir)
    add_changed_month(author, tmp_path)
    pointers = [clone.root / "data.dvc", author.root / "data.dvc"]
    former = pointers[0].read_bytes()
    shutil.copy(pointers[1], pointers[0])  # what `git pull` does
    pull(clone)
    assert contents(clone.data_dir) == contents(author.data_dir) != first
    pointers[0].write_bytes(former)  # what `git checkout` of an earlier commit does
    pull(clone)
    assert contents(clone.data_dir) == first


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_object_in_the_cache_is_fetched_again(damage, mode: int, author: Settings, small: Path) -> None:
    cached = object_of(author.root / ".dvc" / "cache", author, MONTH)
    damage(cached)
    cached.chmod(mode)  # DVC believes whatever is read-only
    shutil.rmtree(author.data_dir)
    pull(author)
    assert contents(author.data_dir) == contents(small)


def test_what_a_killed_pull_left_is_not_taken_for_good(clone: Settings, small: Path) -> None:
    left = clone.state_dir / "dvc_scratch" / "killed" / "data"
    shutil.copytree(small, left)
    (left / MONTH).unlink()
    pull(clone)
    assert contents(clone.data_dir) == contents(small)
    assert not list((clone.state_dir / "dvc_scratch").iterdir())


def test_only_reports_are_printed_and_all_state_is_in_the_clone(
    clone: Settings, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pull(clone, print)
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1
    assert err == ""
    assert not list(home.iterdir())
    assert (clone.state_dir / "dvc" / "repo").is_dir()


# --- pull: the seed -------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A remote that nobody has pushed to."""
    return tmp_path / "empty"


def test_a_first_version_is_made_from_the_seed(tmp_path: Path, empty: Path, author: Settings) -> None:
    first = make_clone(tmp_path / "one", empty, author.root / "data.dvc")
    said: list[str] = []
    pull(first, said.append)
    assert "made from the seed" in said[0]
    assert contents(first.data_dir) == contents(author.data_dir)

    second = make_clone(tmp_path / "two", empty, author.root / "data.dvc")
    pull(second, said.append)
    assert "from the remote" in said[1]
    assert contents(second.data_dir) == contents(first.data_dir)


def test_a_seed_push_that_was_killed_is_completed(tmp_path: Path, empty: Path, author: Settings) -> None:
    for name in ("killed", "again"):
        settings = make_clone(tmp_path / name, empty, author.root / "data.dvc")
        pull(settings)
        if name == "killed":
            object_of(empty, settings, ".dir").unlink()  # it is pushed last
            object_of(empty, settings, MONTH).unlink()
    assert object_of(empty, settings, ".dir").is_file()
    assert object_of(empty, settings, MONTH).is_file()


def test_a_seed_that_data_dvc_does_not_name_is_refused(tmp_path: Path, empty: Path, author: Settings) -> None:
    wanted = add_changed_month(author, tmp_path)
    settings = make_clone(tmp_path / "later", empty, author.root / "data.dvc")
    with pytest.raises(DataVersionError, match=rf"{wanted.md5} .*cannot be had.*seed is another version"):
        pull(settings)
    assert not settings.data_dir.exists()
    assert not empty.exists()
    assert dvc_data.read_data_version(settings) == wanted


def test_the_first_version_is_made_where_the_remote_has_later_ones(
    author: Settings, remote: Path, tmp_path: Path
) -> None:
    first = make_clone(tmp_path / "earlier", remote, author.root / "data.dvc")
    later = add_changed_month(author, tmp_path)
    object_of(remote, first, ".dir").unlink()  # as in a shared remote that was set after the first version
    before = contents(remote)
    said: list[str] = []
    assert pull(first, said.append) != later
    assert "made from the seed" in said[0]
    assert contents(remote) == before


# --- pull: what must stop -------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_a_damaged_object_in_the_remote(
    path: str, damage, mode: int, clone: Settings, author: Settings, remote: Path
) -> None:
    pointer = (clone.root / "data.dvc").read_bytes()
    broken = object_of(remote, author, path)
    damage(broken)
    broken.chmod(mode)
    before = contents(remote)
    with pytest.raises(DataVersionError) as stopped:
        pull(clone)
    message = str(stopped.value)
    assert ("the list of files" if path == ".dir" else MONTH) in message
    assert f"expected md5 {broken.parent.name}{broken.name}, got " in message
    assert "got nothing" not in message
    assert not clone.data_dir.exists()
    assert contents(remote) == before
    assert (clone.root / "data.dvc").read_bytes() == pointer


@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_a_missing_object_in_the_remote(
    path: str, clone: Settings, author: Settings, remote: Path, tmp_path: Path
) -> None:
    pull(clone)
    held = contents(clone.data_dir)
    add_changed_month(author, tmp_path)
    shutil.copy(author.root / "data.dvc", clone.root)
    object_of(remote, author, path).unlink()
    why = "seed is another version" if path == ".dir" else "expected md5 .*, got nothing"
    with pytest.raises(DataVersionError, match=rf"{why}[\s\S]*make data-push"):
        pull(clone)
    assert contents(clone.data_dir) == held


def test_dvc_itself_says_nothing_about_a_failure(clone: Settings, author: Settings, remote: Path) -> None:
    object_of(remote, author, MONTH).unlink()
    run = "import sys; from pipelines.commands.data import main; sys.exit(main([]))"
    environment = os.environ | {"FLIGHTLINE_ROOT": str(clone.root), "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("DataVersionError: ")
    assert len(ended.stderr.splitlines()) == 4


def test_a_hash_in_data_dvc_that_no_one_knows(clone: Settings, small: Path) -> None:
    pull(clone)
    pointer = clone.root / "data.dvc"
    unknown = "0" * 32 + ".dir"
    edited = pointer.read_text().replace(dvc_data.read_data_version(clone).md5, unknown)
    pointer.write_text(edited)
    with pytest.raises(DataVersionError, match=rf"{unknown}.*cannot be had[\s\S]*git checkout data.dvc"):
        pull(clone)
    assert pointer.read_text() == edited
    assert contents(clone.data_dir) == contents(small)


ALTERATIONS = {
    "a byte": (lambda data: edit_same_size_and_time(data / MONTH), rf"{MONTH}: got md5 \w+, expected \w+"),
    "half a file": (lambda data: halve(data / MONTH), rf"{MONTH}: got md5 \w+, expected \w+"),
    "a missing file": (lambda data: (data / MONTH).unlink(), rf"{MONTH}: missing, expected md5 \w+"),
    "an extra file": (lambda data: (data / "new.csv").write_text("a"), "new.csv: not in that version"),
    "one file only": (lambda data: shutil.rmtree(data / "sales"), rf"{MONTH}: missing"),
}


@pytest.mark.parametrize(("alter", "says"), ALTERATIONS.values(), ids=ALTERATIONS)
@pytest.mark.parametrize("has_cache", [True, False])
def test_altered_data(alter, says: str, has_cache: bool, clone: Settings) -> None:
    for _ in range(2):  # the second time DVC could note the hashes of data/
        pull(clone)
    pointer = (clone.root / "data.dvc").read_bytes()
    if not has_cache:
        shutil.rmtree(clone.root / ".dvc" / "cache")
    alter(clone.data_dir)
    altered = contents(clone.data_dir)
    with pytest.raises(DataVersionError, match=rf"altered or is incomplete[\s\S]*{says}[\s\S]*make ingest"):
        pull(clone)
    assert contents(clone.data_dir) == altered
    assert (clone.root / "data.dvc").read_bytes() == pointer


def test_another_dvc_command_at_work(clone: Settings) -> None:
    (clone.root / ".dvc" / "tmp").mkdir()
    lock = zc.lockfile.LockFile(str(clone.root / ".dvc" / "tmp" / "lock"))
    try:
        with pytest.raises(DataVersionError, match="another DVC command"):
            pull(clone)
    finally:
        lock.close()


def test_a_remote_that_is_not_configured(clone: Settings) -> None:
    config = clone.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("remote = local", "remote = elsewhere"))
    with pytest.raises(DataVersionError, match="elsewhere"):
        pull(clone)


def test_a_folder_inside_another_dvc_repository(clone: Settings) -> None:
    inner = clone.root / "inner"
    inner.mkdir()
    shutil.copy(clone.root / "data.dvc", inner)
    with pytest.raises(DataVersionError, match=r"no \.dvc folder"):
        pull(Settings(root=inner))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is missing"),
        ("outs: [", "unreadable"),
        ("", "unreadable"),
        ("outs: []", "unreadable"),
        ("outs: [data]", "unreadable"),
        ("outs:\n- path: data", "unreadable"),
        ("outs:\n- md5: 0123\n  size: 1\n  nfiles: 1\n  path: data", "ends in .dir"),
        ("<<<<<<< HEAD\nouts:\n- md5: 0123.dir\n", "unreadable"),
    ],
)
def test_a_data_dvc_that_names_no_version(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "data.dvc").write_text(text)
    with pytest.raises(DataVersionError, match=rf"{says}.*git checkout data.dvc"):
        dvc_data.read_data_version(Settings(root=tmp_path))
