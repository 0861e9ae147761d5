"""Ingest on a small clone with real DVC; one real run of the flow at the end."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.event_clock import set_clock
from flightline.adapters.raw_files import FileChanges
from flightline.core.errors import ContractError, DataVersionError
from flightline.core.settings import Settings
from pipelines import ingest
from tests.support.clones import contents, make_clone
from tests.toy_problem import SHOPS, load_raw_tables, sale, write_raw

# `dvc add` uses pygtrie in a way that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
KNOWN, NEW = "sales/2020-01.csv", "sales/2020-02.csv"
ROWS = 40
RAW = load_raw_tables()


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of a few rows."""
    folder = tmp_path_factory.mktemp("the mönths")
    sales = [
        sale(f"2020-{month:02d}-{day:02d}T06:00:00Z", shop=f"S{shop:02d}")
        for month in (1, 2)
        for day in range(1, ROWS // 2 + 1)
        for shop in (1, 2)
    ]
    write_raw(folder, {"sales": sales})
    return folder


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
    """February, new; January, corrected; the shops as they are."""
    target = tmp_path / "incoming"
    (target / "sales").mkdir(parents=True)
    for name in (NEW, KNOWN, "shops.csv"):
        shutil.copy(months / name, target / name)
    _replace(target / KNOWN, ",80\n", ",79\n")
    return target


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_verify_refuses_altered_data(settings: Settings) -> None:
    assert ingest.verify.fn(settings) == dvc_data.read_data_version(settings)
    _replace(settings.data_dir / KNOWN, ",80\n", ",79\n")
    with pytest.raises(DataVersionError, match="make data"):
        ingest.verify.fn(settings)


def test_staged_files_are_told_apart_and_added(
    settings: Settings, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dvc_data.read_data_version(settings)
    staged = tmp_path / "staged"
    changes = ingest.stage_files.fn(settings, folder, staged)
    rows = ingest.validate.fn(staged, RAW)
    after = ingest.add_version.fn(settings, staged, before)
    assert changes == FileChanges((NEW,), (KNOWN,), ("shops.csv",))
    assert rows == {"shops": SHOPS, "sales": 2 * ROWS}
    assert (after.files, dvc_data.read_data_version(settings)) == (before.files + 1, after)
    assert {name: contents(settings.data_dir)[name] for name in contents(folder)} == contents(folder)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", "validate", "add"]
    assert f"1 new ({NEW}), 1 corrected ({KNOWN}), 1 identical (shops.csv)" in lines[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (NEW, "S01,", "X01,", rf"{NEW}:\d+: shop='X01' breaks"),
        (KNOWN, "S01,", "S99,", rf"{KNOWN}:\d+: shop='S99' breaks: shop is found in shops"),
        ("shops.csv", "S01,", "S99,", rf"{KNOWN}:\d+: shop='S01' breaks: shop is found in shops"),
        (NEW, "2020-02-", "2020-03-", rf"{NEW}:\d+: .* breaks"),
        (NEW, ",100,", ",", rf"{NEW}:\d+: .*a row has 5 cells"),
    ],
)
def test_a_file_that_breaks_the_whole(
    name: str, old: str, new: str, says: str, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    data = contents(settings.data_dir)
    _replace(folder / name, old, new)
    ingest.stage_files.fn(settings, folder, tmp_path / "staged")
    with pytest.raises(ContractError, match=says):
        ingest.validate.fn(tmp_path / "staged", RAW)
    assert contents(settings.data_dir) == data


def test_a_folder_in_another_layout(settings: Settings, folder: Path, tmp_path: Path) -> None:
    ingest.stage_files.fn(settings, folder / "sales", tmp_path / "staged")
    with pytest.raises(ContractError, match="a file belongs to one of"):
        ingest.validate.fn(tmp_path / "staged", RAW)


def test_an_ingest_that_another_has_overtaken_loses_nothing_of_it(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    before = ingest.verify.fn(settings)
    other = tmp_path / "shops alone"
    other.mkdir()
    shutil.copy(settings.data_dir / "shops.csv", other)
    _replace(other / "shops.csv", "S02,", "S00,")
    for source, staged in ((folder, tmp_path / "first"), (other, tmp_path / "second")):
        ingest.stage_files.fn(settings, source, staged)  # both of what data/ is now
    after = ingest.add_version.fn(settings, tmp_path / "first", before)
    with pytest.raises(DataVersionError, match=f"data/ has become version {after.md5}.*run it again"):
        ingest.add_version.fn(settings, tmp_path / "second", before)
    assert (dvc_data.read_data_version(settings), (settings.data_dir / NEW).exists()) == (after, True)


@pytest.mark.slow
def test_the_flow_from_the_command_line(
    settings: Settings, folder: Path, server: None, capfd: pytest.CaptureFixture[str]
) -> None:
    before, data = dvc_data.read_data_version(settings), contents(settings.data_dir)
    set_clock(settings, datetime(2020, 1, 31, 12, tzinfo=UTC))

    _replace(folder / NEW, "S01,", "X01,")
    assert ingest.main(["--folder", str(folder)]) == 1
    said = capfd.readouterr()
    assert said.err.startswith("ContractError: 1 violation(s)")
    assert "Traceback" not in said.out + said.err
    assert (dvc_data.read_data_version(settings), contents(settings.data_dir)) == (before, data)

    _replace(folder / NEW, "X01,", "S01,")
    assert ingest.main(["--folder", str(folder)]) == 0
    after = dvc_data.read_data_version(settings)
    said = capfd.readouterr()
    assert f"Old version {before}\nNew version {after}\nOthers get it from the remote 'local'" in said.out
    commands = f"git add data.dvc && git commit --message 'Data version {after.md5[:8]}' && git push"
    assert f"as soon as you commit and push:\n  {commands}\ndata/ holds 2020-02, of which the event clock" in said.out
    assert contents(settings.data_dir).items() >= contents(folder).items()

    assert ingest.main(["--folder", str(folder)]) == 0
    assert f"identical to the one in data/: still version {after}" in capfd.readouterr().out
    assert dvc_data.read_data_version(settings) == after
    assert [path.name for path in settings.state_dir.iterdir() if path.name.startswith("ingest-")] == []
