"""Each way in which data/, data.dvc and the remote can disagree is brought about for real."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zc.lockfile

from flightline.adapters import dvc_data
from flightline.adapters.dvc_store import RemoteError
from flightline.errors import DataVersionError
from flightline.settings import Settings
from tests.clones import PROJECT, contents, cut_seed, make_clone

# `dvc add` uses pygtrie in a way that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
MONTH = "flights/2013-01.csv"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the developer's own DVC configuration and folders out."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    return folder


@pytest.fixture(scope="module")
def small(seed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_seed(seed_dir, tmp_path_factory.mktemp("small"), rows=200)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def origin(tmp_path: Path, remote: Path, small: Path) -> Settings:
    """The clone that made version 1 and pushed it."""
    settings = make_clone(tmp_path / "origin", remote)
    shutil.copytree(small, tmp_path / "staged")
    dvc_data.add_version(settings, tmp_path / "staged", _silent)
    return settings


@pytest.fixture
def clone(tmp_path: Path, remote: Path, origin: Settings) -> Settings:
    """A fresh clone: no data/, no cache, the same remote."""
    return make_clone(tmp_path / "clone", remote, origin.root / "data.dvc")


def _silent(_: str) -> None:
    pass


def _object(remote: Path, settings: Settings, path: str) -> Path:
    """Find the remote's object of a file of data/, or of the list of files itself."""
    oid = dvc_data.read_data_version(settings).md5
    if path != ".dir":
        oid = hashlib.md5((settings.data_dir / path).read_bytes(), usedforsecurity=False).hexdigest()
    return remote / "files" / "md5" / oid[:2] / oid[2:]


def _edit_same_size_and_time(path: Path) -> None:
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"#")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = {
    "a changed byte, size and time as before": _edit_same_size_and_time,
    "half of it": _halve,
    "empty": lambda path: os.truncate(path, 0),
}


# --- pull: what works -----------------------------------------------------------------


def test_a_fresh_clone_gets_the_same_bytes(clone: Settings, small: Path) -> None:
    version = dvc_data.pull(clone, _silent)
    assert version == dvc_data.read_data_version(clone)
    assert version.files == len(contents(small))
    assert contents(clone.data_dir) == contents(small)


def test_equal_data_needs_no_remote(origin: Settings, remote: Path) -> None:
    shutil.rmtree(remote)
    said: list[str] = []
    dvc_data.pull(origin, said.append)
    assert "nothing to do" in said[0]


def test_data_comes_back_from_the_cache_without_a_remote(origin: Settings, remote: Path, small: Path) -> None:
    shutil.rmtree(remote)
    shutil.rmtree(origin.data_dir)
    dvc_data.pull(origin, _silent)
    assert contents(origin.data_dir) == contents(small)


def test_an_earlier_version_is_replaced_both_ways(clone: Settings, origin: Settings, tmp_path: Path) -> None:
    dvc_data.pull(clone, _silent)
    first = contents(clone.data_dir)
    _add_changed_month(origin, tmp_path)
    pointers = [clone.root / "data.dvc", origin.root / "data.dvc"]
    former = pointers[0].read_bytes()
    shutil.copy(pointers[1], pointers[0])  # what `git pull` does
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == contents(origin.data_dir) != first
    pointers[0].write_bytes(former)  # what `git checkout` of an earlier commit does
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == first


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_object_in_the_cache_is_fetched_again(damage, mode: int, origin: Settings, small: Path) -> None:
    cached = _object(origin.root / ".dvc" / "cache", origin, MONTH)
    damage(cached)
    cached.chmod(mode)  # DVC believes whatever is read-only
    shutil.rmtree(origin.data_dir)
    dvc_data.pull(origin, _silent)
    assert contents(origin.data_dir) == contents(small)


def test_what_a_killed_pull_left_is_not_taken_for_good(clone: Settings, small: Path) -> None:
    left = clone.state_dir / "dvc_scratch" / "killed" / "data"
    shutil.copytree(small, left)
    (left / MONTH).unlink()
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == contents(small)
    assert not list((clone.state_dir / "dvc_scratch").iterdir())


def test_nothing_but_reports_is_printed_and_all_state_lies_in_the_clone(
    clone: Settings, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dvc_data.pull(clone)
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1
    assert err == ""
    assert not list(home.iterdir())
    assert (clone.state_dir / "dvc" / "repo").is_dir()


# --- pull: the seed -------------------------------------------------------------------


def test_the_committed_version_is_the_seed(tmp_path: Path, remote: Path, seed_dir: Path) -> None:
    first = make_clone(tmp_path / "first", remote, PROJECT / "data.dvc")
    said: list[str] = []
    dvc_data.pull(first, said.append)
    assert "made from the seed" in said[0]
    assert contents(first.data_dir) == contents(seed_dir)

    second = make_clone(tmp_path / "second", remote, PROJECT / "data.dvc")
    dvc_data.pull(second, said.append)
    assert "from the remote" in said[1]
    assert contents(second.data_dir) == contents(first.data_dir)


def test_a_seed_push_that_was_killed_is_completed(tmp_path: Path, remote: Path) -> None:
    for name in ("killed", "again"):
        settings = make_clone(tmp_path / name, remote, PROJECT / "data.dvc")
        dvc_data.pull(settings, _silent)
        if name == "killed":
            _object(remote, settings, ".dir").unlink()  # it is pushed last
            _object(remote, settings, MONTH).unlink()
    assert _object(remote, settings, ".dir").is_file()
    assert _object(remote, settings, MONTH).is_file()


def test_a_seed_that_data_dvc_does_not_name_is_refused(tmp_path: Path, remote: Path, origin: Settings) -> None:
    wanted = dvc_data.read_data_version(origin)
    empty = tmp_path / "empty"
    settings = make_clone(tmp_path / "clone", empty, origin.root / "data.dvc")
    with pytest.raises(DataVersionError, match=f"seed is not the version.*expected {wanted.md5}"):
        dvc_data.pull(settings, _silent)
    assert not settings.data_dir.exists()
    assert not empty.exists()
    assert dvc_data.read_data_version(settings) == wanted


# --- pull: what must stop -------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_a_damaged_object_in_the_remote(
    path: str, damage, mode: int, clone: Settings, origin: Settings, remote: Path
) -> None:
    pointer = (clone.root / "data.dvc").read_bytes()
    broken = _object(remote, origin, path)
    damage(broken)
    broken.chmod(mode)
    before = contents(remote)
    with pytest.raises(DataVersionError) as stopped:
        dvc_data.pull(clone, _silent)
    message = str(stopped.value)
    assert ("the list of files" if path == ".dir" else MONTH) in message
    assert f"expected md5 {broken.parent.name}{broken.name}, got " in message
    assert "got nothing" not in message
    assert not clone.data_dir.exists()
    assert contents(remote) == before
    assert (clone.root / "data.dvc").read_bytes() == pointer


@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_a_missing_object_in_the_remote(
    path: str, clone: Settings, origin: Settings, remote: Path, tmp_path: Path
) -> None:
    dvc_data.pull(clone, _silent)
    held = contents(clone.data_dir)
    _add_changed_month(origin, tmp_path)
    shutil.copy(origin.root / "data.dvc", clone.root)
    _object(remote, origin, path).unlink()
    with pytest.raises(DataVersionError, match=r"expected md5 .*, got nothing[\s\S]*--push"):
        dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == held


def test_dvc_itself_says_nothing_about_a_failure(clone: Settings, origin: Settings, remote: Path) -> None:
    _object(remote, origin, MONTH).unlink()
    run = "import sys; from pipelines.data import main; sys.exit(main([]))"
    environment = os.environ | {"FLIGHTLINE_ROOT": str(clone.root), "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("DataVersionError: ")
    assert len(ended.stderr.splitlines()) == 3


def test_a_hash_in_data_dvc_that_no_one_knows(clone: Settings, small: Path) -> None:
    dvc_data.pull(clone, _silent)
    pointer = clone.root / "data.dvc"
    unknown = "0" * 32 + ".dir"
    edited = pointer.read_text().replace(dvc_data.read_data_version(clone).md5, unknown)
    pointer.write_text(edited)
    with pytest.raises(DataVersionError, match=rf"{unknown}.*cannot be had[\s\S]*git checkout data.dvc"):
        dvc_data.pull(clone, _silent)
    assert pointer.read_text() == edited
    assert contents(clone.data_dir) == contents(small)


ALTERATIONS = {
    "a byte": (lambda data: _edit_same_size_and_time(data / MONTH), rf"{MONTH}: got md5 \w+, expected \w+"),
    "half a file": (lambda data: _halve(data / MONTH), rf"{MONTH}: got md5 \w+, expected \w+"),
    "a missing file": (lambda data: (data / MONTH).unlink(), rf"{MONTH}: missing, expected md5 \w+"),
    "an extra file": (lambda data: (data / "new.csv").write_text("a"), "new.csv: not in that version"),
    "one file only": (lambda data: [shutil.rmtree(data / d) for d in ("flights", "weather")], rf"{MONTH}: missing"),
}


@pytest.mark.parametrize(("alter", "says"), ALTERATIONS.values(), ids=ALTERATIONS)
@pytest.mark.parametrize("has_cache", [True, False])
def test_altered_data(alter, says: str, has_cache: bool, clone: Settings) -> None:
    for _ in range(2):  # the second time DVC could note the hashes of data/
        dvc_data.pull(clone, _silent)
    pointer = (clone.root / "data.dvc").read_bytes()
    if not has_cache:
        shutil.rmtree(clone.root / ".dvc" / "cache")
    alter(clone.data_dir)
    altered = contents(clone.data_dir)
    with pytest.raises(DataVersionError, match=rf"altered or is incomplete[\s\S]*{says}[\s\S]*make ingest"):
        dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == altered
    assert (clone.root / "data.dvc").read_bytes() == pointer


def test_another_dvc_command_at_work(clone: Settings) -> None:
    (clone.root / ".dvc" / "tmp").mkdir()
    lock = zc.lockfile.LockFile(str(clone.root / ".dvc" / "tmp" / "lock"))
    try:
        with pytest.raises(DataVersionError, match="another DVC command"):
            dvc_data.pull(clone, _silent)
    finally:
        lock.close()


def test_a_remote_that_is_not_configured(clone: Settings) -> None:
    with pytest.raises(DataVersionError, match="elsewhere"):
        dvc_data.pull(Settings(root=clone.root, dvc_remote="elsewhere"), _silent)


def test_a_folder_inside_another_dvc_repository(clone: Settings) -> None:
    inner = clone.root / "inner"
    inner.mkdir()
    shutil.copy(clone.root / "data.dvc", inner)
    with pytest.raises(DataVersionError, match=r"no \.dvc folder"):
        dvc_data.pull(Settings(root=inner), _silent)


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


# --- push -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("path", [MONTH, ".dir"])
def test_push_mends_a_damaged_remote(
    path: str, mode: int, clone: Settings, origin: Settings, remote: Path, small: Path
) -> None:
    broken = _object(remote, origin, path)
    _halve(broken)
    broken.chmod(mode)
    said: list[str] = []
    dvc_data.push(origin, said.append)
    assert "1 object(s) were missing or damaged" in said[0]
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == contents(small)


def test_push_refuses_altered_data(origin: Settings, remote: Path) -> None:
    before = contents(remote)
    _edit_same_size_and_time(origin.data_dir / MONTH)
    with pytest.raises(DataVersionError, match="Run `make data` first"):
        dvc_data.push(origin, _silent)
    assert contents(remote) == before


# --- add_version ----------------------------------------------------------------------


def _stage_changed_month(settings: Settings, tmp_path: Path) -> Path:
    staged = tmp_path / "next"
    shutil.copytree(settings.data_dir, staged)
    with (staged / MONTH).open("a") as file:
        file.write("one more row\n")
    return staged


def _add_changed_month(settings: Settings, tmp_path: Path) -> dvc_data.DataVersion:
    return dvc_data.add_version(settings, _stage_changed_month(settings, tmp_path), _silent)


def test_a_new_version_reaches_another_clone(clone: Settings, origin: Settings, tmp_path: Path, remote: Path) -> None:
    former = dvc_data.read_data_version(origin)
    objects = len(contents(remote))
    version = _add_changed_month(origin, tmp_path)
    assert version == dvc_data.read_data_version(origin) != former
    assert len(contents(remote)) == objects + 2  # the month and the list of files
    shutil.copy(origin.root / "data.dvc", clone.root)
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == contents(origin.data_dir)
    assert dvc_data.pull(origin, _silent) == version


def test_adding_puts_back_what_the_remote_lost(clone: Settings, origin: Settings, tmp_path: Path, remote: Path) -> None:
    _object(remote, origin, "planes.csv").unlink()
    _add_changed_month(origin, tmp_path)
    shutil.copy(origin.root / "data.dvc", clone.root)
    dvc_data.pull(clone, _silent)
    assert contents(clone.data_dir) == contents(origin.data_dir)


def _break_remote(origin: Settings, remote: Path) -> None:
    shutil.rmtree(remote)
    remote.write_text("a file where the remote was")


def _break_dvc_add(origin: Settings, remote: Path) -> None:
    (origin.root / "other.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  size: 1\n  hash: md5\n  path: data/{MONTH}\n")


def _break_data(origin: Settings, remote: Path) -> None:
    _edit_same_size_and_time(origin.data_dir / "planes.csv")


@pytest.mark.parametrize(
    ("break_it", "error"),
    [(_break_remote, RemoteError), (_break_dvc_add, DataVersionError), (_break_data, DataVersionError)],
)
def test_a_failed_addition_leaves_data_and_data_dvc(
    break_it, error: type[DataVersionError], origin: Settings, remote: Path, tmp_path: Path
) -> None:
    staged = _stage_changed_month(origin, tmp_path)
    break_it(origin, remote)
    data, pointer = contents(origin.data_dir), (origin.root / "data.dvc").read_bytes()
    with pytest.raises(error):
        dvc_data.add_version(origin, staged, _silent)
    assert contents(origin.data_dir) == data
    assert (origin.root / "data.dvc").read_bytes() == pointer


def test_killed_between_data_and_data_dvc_goes_back(
    clone: Settings, origin: Settings, tmp_path: Path, small: Path
) -> None:
    former = (origin.root / "data.dvc").read_bytes()
    _add_changed_month(origin, tmp_path)
    (origin.root / "data.dvc").write_bytes(former)  # data/ was switched, data.dvc not yet written
    dvc_data.pull(origin, _silent)
    assert contents(origin.data_dir) == contents(small)


def test_an_empty_version_is_refused(origin: Settings, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataVersionError, match="is empty"):
        dvc_data.add_version(origin, tmp_path / "nothing", _silent)
