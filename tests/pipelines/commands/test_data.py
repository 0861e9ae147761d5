"""`python -m pipelines.commands.data` on real clones in a temporary folder."""

import shutil
from pathlib import Path

import pytest

from flightline.adapters.dvc.data_version import read_data_version
from flightline.core.settings import Settings
from pipelines.commands import data
from tests.support.clones import contents, make_clone
from tests.toy_problem import DAYS, SHOPS

# `dvc add` uses pygtrie in a way that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
FILES = 8  # shops, and sales of January to July


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A clone without data, whose problem has never had any, and a remote that was never filled."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "no_configuration"))
    settings = make_clone(tmp_path / "first", tmp_path / "first_remote")
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    return settings


@pytest.fixture
def clone(
    empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Settings:
    """A fresh clone with a data.dvc, and a remote that was never filled."""
    assert data.main(["--first-version"]) == 0
    capfd.readouterr()
    settings = make_clone(tmp_path / "clone", tmp_path / "remote", empty.root / "data.dvc")
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    return settings


def test_a_fresh_clone_seeds_itself_and_then_stops_at_damage(
    clone: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert data.main([]) == 0
    assert data.main([]) == 0
    said = capfd.readouterr()
    assert "made from the seed" in said.out
    assert "nothing to do" in said.out
    assert f"{FILES} files" in said.out
    assert said.err == ""

    (clone.data_dir / "shops.csv").write_text("damaged")
    assert data.main([]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("DataVersionError: data/ was altered or is incomplete")
    assert "shops.csv: got md5" in said.err

    shutil.rmtree(clone.data_dir)
    assert data.main([]) == 0
    shutil.rmtree(tmp_path / "remote")
    assert data.main(["--push"]) == 0
    assert f"{FILES + 1} object(s) were missing or damaged" in capfd.readouterr().out


def test_the_first_version_of_another_problem(empty: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    assert data.main(["--first-version"]) == 0
    assert f"sales {SHOPS * DAYS:,} rows" in capfd.readouterr().out
    assert read_data_version(empty).files == len(contents(empty.data_dir)) == FILES
    assert data.main(["--first-version"]) == 1
    assert "would not be the first version" in capfd.readouterr().err


def test_a_remote_is_set_from_the_command_line(
    clone: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert data.main([]) == 0
    assert data.main(["--remote", ""]) == 1
    assert data.main(["--remote", str(tmp_path / "share"), "--endpoint", "https://s3.example.com"]) == 1
    said = capfd.readouterr()
    assert "expected an absolute path of a folder, s3://bucket/prefix" in said.err
    assert "only for s3://" in said.err
    assert data.main(["--remote", str(tmp_path / "share")]) == 0
    assert "pushed to the remote 'shared'" in capfd.readouterr().out
    assert (tmp_path / "share" / "files" / "md5").is_dir()
