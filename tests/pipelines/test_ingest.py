"""Ingest on a small clone with real rows and real DVC; one real run of the flow at the end."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.raw_files import FileChanges
from flightline.core.errors import ContractError, DataVersionError
from flightline.core.settings import Settings
from pipelines import ingest
from tests.support.clones import contents, cut_seed, make_clone

# `dvc add` uses pygtrie in a way that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
KNOWN, NEW = "flights/2013-01.csv", "flights/2013-02.csv"


@pytest.fixture(scope="module")
def months(seed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of real rows."""
    return cut_seed(seed_dir, tmp_path_factory.mktemp("months"), rows=200)


@pytest.fixture
def settings(tmp_path: Path, months: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A clone whose data/ has January only."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "no_configuration"))
    settings = make_clone(tmp_path / "clone", tmp_path / "remote")
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    staged = tmp_path / "january"
    shutil.copytree(months, staged)
    (staged / NEW).unlink()
    dvc_data.add_version(settings, staged, lambda _: None)
    return settings


@pytest.fixture
def folder(tmp_path: Path, months: Path) -> Path:
    """February, new; January, corrected; the airlines as they are."""
    target = tmp_path / "incoming"
    (target / "flights").mkdir(parents=True)
    for name in (NEW, KNOWN, "airlines.csv"):
        shutil.copy(months / name, target / name)
    _replace(target / KNOWN, ",N14228,", ",N14229,")
    return target


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_verify_refuses_altered_data(settings: Settings) -> None:
    assert ingest.verify.fn(settings) == dvc_data.read_data_version(settings)
    _replace(settings.data_dir / KNOWN, ",N14228,", ",N14229,")
    with pytest.raises(DataVersionError, match="make data"):
        ingest.verify.fn(settings)


def test_staged_files_are_told_apart_and_added(
    settings: Settings, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dvc_data.read_data_version(settings)
    staged = tmp_path / "staged"
    changes = ingest.stage_files.fn(settings, folder, staged)
    rows = ingest.validate.fn(staged)
    after = ingest.add_version.fn(settings, staged)
    assert changes == FileChanges((NEW,), (KNOWN,), ("airlines.csv",))
    assert (rows["flights"], rows["weather"]) == (400, 400)
    assert (after.files, dvc_data.read_data_version(settings)) == (before.files + 1, after)
    assert {name: contents(settings.data_dir)[name] for name in contents(folder)} == contents(folder)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", "validate", "add"]
    assert f"1 new ({NEW}), 1 corrected ({KNOWN}), 1 identical (airlines.csv)" in lines[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (NEW, ",EWR,", ",BOS,", rf"{NEW}:\d+: origin='BOS' breaks"),
        (KNOWN, ",UA,", ",ZZ,", rf"{KNOWN}:\d+: carrier='ZZ' breaks: carrier is found in airlines"),
        ("airlines.csv", "UA,", "U1,", rf"{KNOWN}:\d+: carrier='UA' breaks: carrier is found in airlines"),
        (NEW, ",2,1,", ",3,1,", rf"{NEW}:\d+: .* breaks"),
        (NEW, ",EWR,", ",", rf"{NEW}:\d+: .*a row has 19 cells"),
    ],
)
def test_a_file_that_breaks_the_whole(
    name: str, old: str, new: str, says: str, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    data = contents(settings.data_dir)
    _replace(folder / name, old, new)
    ingest.stage_files.fn(settings, folder, tmp_path / "staged")
    with pytest.raises(ContractError, match=says):
        ingest.validate.fn(tmp_path / "staged")
    assert contents(settings.data_dir) == data


def test_a_folder_in_another_layout(settings: Settings, folder: Path, tmp_path: Path) -> None:
    ingest.stage_files.fn(settings, folder / "flights", tmp_path / "staged")
    with pytest.raises(ContractError, match="a file belongs to one of"):
        ingest.validate.fn(tmp_path / "staged")


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.slow
def test_the_flow_from_the_command_line(
    settings: Settings, folder: Path, prefect_server: None, capfd: pytest.CaptureFixture[str]
) -> None:
    before, data = dvc_data.read_data_version(settings), contents(settings.data_dir)

    _replace(folder / NEW, ",EWR,", ",BOS,")
    assert ingest.main(["--folder", str(folder)]) == 1
    said = capfd.readouterr()
    assert said.err.startswith("ContractError: 1 violation(s)")
    assert "Traceback" not in said.out + said.err
    assert (dvc_data.read_data_version(settings), contents(settings.data_dir)) == (before, data)

    _replace(folder / NEW, ",BOS,", ",EWR,")
    assert ingest.main(["--folder", str(folder)]) == 0
    after = dvc_data.read_data_version(settings)
    said = capfd.readouterr()
    assert f"Old version {before}\nNew version {after}\nCommit it: git add data.dvc && git commit\n" in said.out
    assert contents(settings.data_dir).items() >= contents(folder).items()

    assert ingest.main(["--folder", str(folder)]) == 0
    assert f"identical to the one in data/: still version {after}" in capfd.readouterr().out
    assert dvc_data.read_data_version(settings) == after
    assert [path.name for path in settings.state_dir.iterdir() if path.name.startswith("ingest-")] == []
