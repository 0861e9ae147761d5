"""`python -m pipelines.commands.data` on real clones in a temporary folder."""

import shutil
from pathlib import Path

import pytest

from flightline.core.settings import Settings
from pipelines.commands import data
from tests.support.clones import PROJECT, contents, make_clone

# `dvc add` uses pygtrie in a way that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh clone of this project, with a remote that was never filled."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "no_configuration"))
    settings = make_clone(tmp_path / "clone", tmp_path / "remote", PROJECT / "data.dvc")
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
    assert "27 files, 33.7 MB" in said.out
    assert said.err == ""

    (clone.data_dir / "planes.csv").write_text("damaged")
    assert data.main([]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("DataVersionError: data/ was altered or is incomplete")
    assert "planes.csv: got md5" in said.err

    shutil.rmtree(clone.data_dir)
    assert data.main([]) == 0
    shutil.rmtree(tmp_path / "remote")
    assert data.main(["--push"]) == 0
    assert "28 object(s) were missing or damaged" in capfd.readouterr().out


@pytest.mark.slow
def test_the_first_version_of_another_problem(clone: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    assert data.main(["--first-version"]) == 1
    assert "would not be the first version" in capfd.readouterr().err

    committed = (clone.root / "data.dvc").read_bytes()
    (clone.root / "data.dvc").unlink()
    assert data.main(["--first-version"]) == 0
    assert "flights 336,776 rows" in capfd.readouterr().out
    assert (clone.root / "data.dvc").read_bytes() == committed
    assert len(contents(clone.data_dir)) == 27
