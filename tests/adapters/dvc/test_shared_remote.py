"""A shared remote is set once data/ was pushed to it and read back; whatever is refused leaves the configuration."""

import shutil
from pathlib import Path

import pytest

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.dvc.remote import Remote, check_url
from flightline.adapters.dvc.shared_remote import set_remote
from flightline.core.errors import DataVersionError
from flightline.core.settings import Settings
from tests.adapters.dvc.damage import MONTH, add_changed_month, edit_same_size_and_time, halve, object_of, pull, silent
from tests.support.clones import contents, make_clone

SECRET = "hunter2"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return tmp_path / "share"


def take_configuration(author: Settings, clone: Settings) -> None:
    """Do what `git pull` does."""
    shutil.copy(author.root / ".dvc" / "config", clone.root / ".dvc" / "config")


@pytest.mark.parametrize("url", ["{}", "../share"])
def test_another_clone_gets_data_from_it(
    url: str, author: Settings, clone: Settings, remote: Path, share: Path, small: Path
) -> None:
    said: list[str] = []
    set_remote(author, url.format(share), report=said.append)
    assert f"pushed to the remote 'shared' ({share}) and read back" in said[0]
    assert said[1].startswith("Commit it: git add .dvc/config data.dvc && git commit")
    shutil.rmtree(remote)
    take_configuration(author, clone)
    pull(clone)
    assert contents(clone.data_dir) == contents(small)
    assert dvc_data.read_remote(clone) == Remote("shared", str(share), clone.root)


def test_a_clone_without_data_takes_what_is_there(
    author: Settings, clone: Settings, share: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataVersionError, match="got nothing"):
        set_remote(clone, str(share))
    set_remote(author, str(share), report=silent)
    said: list[str] = []
    set_remote(clone, str(share), report=said.append)
    assert "was found in the remote 'shared'" in said[0]
    set_remote(author, str(tmp_path / "moved"), report=silent)
    assert dvc_data.read_remote(author).url == str(tmp_path / "moved")


def test_a_damaged_object_there_is_mended(author: Settings, clone: Settings, share: Path) -> None:
    set_remote(author, str(share), report=silent)
    halve(object_of(share, author, MONTH))
    set_remote(author, str(share), report=silent)
    take_configuration(author, clone)
    pull(clone)


REFUSED = {
    "nothing": ("", "", r"URL=\(nothing\); expected an absolute path"),
    "another kind": ("gs://bucket/data", "", "URL=gs://bucket/data; expected"),
    "a kind by mistake": ("nas:/export", "", "URL=nas:/export; expected"),
    "a password": (f"ssh://ada:{SECRET}@host/data", "", "would be committed.*config.local"),
    "a key": (f"s3://key:{SECRET}@bucket/data", "", "would be committed"),
    "a signed URL": (f"s3://bucket/data?X-Amz-Signature={SECRET}", "", "would be committed"),
    "a password of the endpoint": ("s3://bucket/data", f"https://ada:{SECRET}@host", "would be committed"),
    "no bucket": ("s3:///data", "", "names no bucket"),
    "an endpoint of a folder": ("/mnt", "https://s3.example.com", r"ENDPOINT=.*only for s3://"),
    "an endpoint without a scheme": ("s3://bucket", "s3.example.com", r"expected http\(s\)://host"),
    "inside the clone": (".dvcstore", "", "inside this clone"),
    "not mounted": ("/nowhere/at/all", "", "mount it or make it"),
    "not writable": ("/proc/data", "", r"'shared' \(/proc/data\) cannot be used[\s\S]*allowed to read it"),
}


@pytest.mark.parametrize(("url", "endpoint", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_the_configuration(url: str, endpoint: str, says: str, author: Settings) -> None:
    before = (author.root / ".dvc" / "config").read_bytes()
    with pytest.raises(DataVersionError, match=says) as refused:
        set_remote(author, url, endpoint)
    assert SECRET not in str(refused.value)
    assert (author.root / ".dvc" / "config").read_bytes() == before


def test_a_link_into_the_clone_is_inside_it(author: Settings, share: Path) -> None:
    share.symlink_to(author.root, target_is_directory=True)
    with pytest.raises(DataVersionError, match="inside this clone"):
        check_url(author.root, str(share / "store"))


def test_altered_data_is_not_shared(author: Settings, share: Path) -> None:
    edit_same_size_and_time(author.data_dir / MONTH)
    with pytest.raises(DataVersionError, match="Run `make data` first"):
        set_remote(author, str(share))
    assert dvc_data.read_remote(author).name == "local"


def test_what_goes_before_the_configuration_is_named(author: Settings, share: Path) -> None:
    named = author.model_copy(update={"dvc_remote_url": "s3://bucket/data"})
    with pytest.raises(DataVersionError, match="FLIGHTLINE_DVC_REMOTE_URL is set"):
        set_remote(named, str(share))
    (author.root / ".dvc" / "config.local").write_text("[core]\n    remote = local\n")
    with pytest.raises(DataVersionError, match=r"config.local names the remote 'local'"):
        set_remote(author, str(share))


def test_a_folder_that_is_not_mounted_is_named(author: Settings, share: Path, tmp_path: Path) -> None:
    set_remote(author, str(share), report=silent)
    version = add_changed_month(author, tmp_path)
    share.rename(tmp_path / "away")
    clone = make_clone(tmp_path / "later", tmp_path / "unused", author.root / "data.dvc")
    take_configuration(author, clone)
    with pytest.raises(DataVersionError, match=rf"{version.md5}[\s\S]*There is no folder {share} here: mount it"):
        pull(clone)


def test_messages_leave_out_a_password(tmp_path: Path) -> None:
    shown = str(Remote("shared", f"ssh://ada:{SECRET}@host/data", tmp_path))
    assert shown == "'shared' (ssh://ada@host/data)"
