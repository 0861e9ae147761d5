"""A clone that made version 1, a fresh clone, and their remote."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.settings import Settings
from tests.adapters.dvc.damage import silent
from tests.support.clones import make_clone
from tests.toy_problem import write_raw


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
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw data of the toy problem: version 1."""
    folder = tmp_path_factory.mktemp("a smäll clone")
    write_raw(folder)
    return folder


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def author(tmp_path: Path, remote: Path, small: Path) -> Settings:
    """The clone that made version 1 and pushed it."""
    settings = make_clone(tmp_path / "first", remote)
    shutil.copytree(small, tmp_path / "staged")
    dvc_data.add_version(settings, tmp_path / "staged", silent)
    return settings


@pytest.fixture
def clone(tmp_path: Path, remote: Path, author: Settings) -> Settings:
    """A fresh clone: no data/, no cache, the same remote."""
    return make_clone(tmp_path / "clone", remote, author.root / "data.dvc")


@pytest.fixture(params=["one file system", "state on another"])
def spread_clone(request: pytest.FixtureRequest, clone: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The fresh clone; once with .state on a file system of its own, as in a container."""
    if request.param == "one file system":
        yield clone
        return
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm, a file system of its own")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        shutil.rmtree(clone.state_dir, ignore_errors=True)
        clone.state_dir.symlink_to(folder, target_is_directory=True)
        yield clone
