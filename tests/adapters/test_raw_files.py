from pathlib import Path

import pytest

from flightline.adapters.raw_files import FileChanges, RawFiles, stage_files
from flightline.core.errors import ContractError
from flightline.data.contract import check_dataset
from tests.support.clones import contents


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def test_cells_are_text_and_na_is_missing(tmp_path: Path) -> None:
    raw = b'id,name,n\n007,"Doe, J",NA\nNA,,1.50\nnan,null,-\n'
    frame = RawFiles(_write(tmp_path, {"trips.csv": raw}))["trips.csv"]
    assert list(frame.columns) == ["id", "name", "n"]
    assert frame.to_numpy().tolist() == [["007", "Doe, J", None], [None, "", "1.50"], ["nan", "null", "-"]]
    assert list(frame.index) == [0, 1, 2]
    assert frame.dtypes.astype(str).tolist() == ["object"] * 3


def test_files_come_by_relative_path_in_order(tmp_path: Path) -> None:
    _write(tmp_path, {"zones.csv": b"a\n1\n", "trips/2020-02.csv": b"a\n1\n", "trips/2020-01.csv": b"a\n1\n"})
    assert list(RawFiles(tmp_path)) == ["trips/2020-01.csv", "trips/2020-02.csv", "zones.csv"]


def test_only_the_named_files_are_read(tmp_path: Path) -> None:
    _write(tmp_path, {"a.csv": b"a\n1\n", "broken.csv": b"", "note.txt": b""})
    assert list(RawFiles(tmp_path, ["a.csv"])) == ["a.csv"]


@pytest.mark.parametrize(
    "raw", [b"a,b\n1,2\n3,4\n", b"a,b\n1,2\n3,4", b"a,b\r\n1,2\r\n3,4\r\n", b'"a","b"\n1,2\n"3",4\n']
)
def test_line_ends_and_quotes_do_not_matter(raw: bytes, tmp_path: Path) -> None:
    frame = RawFiles(_write(tmp_path, {"x.csv": raw}))["x.csv"]
    assert frame.to_numpy().tolist() == [["1", "2"], ["3", "4"]]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    frame = RawFiles(_write(tmp_path, {"x.csv": b"a,b\n"}))["x.csv"]
    assert list(frame.columns) == ["a", "b"]
    assert frame.empty


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("x.csv", b"a,b\n1,2\n3\n", r"x\.csv:3: row='3' breaks: a row has 2 cells, like the header; this has 1"),
        ("x.csv", b"a,b\n1,2,3\n1,2\n", r"x\.csv:2: row='1,2,3' .*; this has 3"),
        ("x.csv", b"a,b\n1,2\n\n3,4\n", r"x\.csv:3: .*; this has 1"),
        ("x.csv", b'a,b\n"1",2\n3\n', r"x\.csv:3: .*; this has 1"),
        ("x.csv", b'a,b\n"1\n1",2\n', r"x\.csv:2: .*on one line"),
        ("x.csv", b'a,b\n1,2\n"3,4\n', r"x\.csv:3: breaks: is CSV"),
        ("x.csv", b"a\n1\n1\r2\n", r"x\.csv:3: breaks: text has no control characters; got U\+000D"),
        ("x.csv", b"a\n1\r\n2\r\r\n", r"x\.csv:3: breaks: text has no control characters; got U\+000D"),
        ("x.csv", b"a\n1\x002\n", r"x\.csv:2: breaks: text has no control characters; got U\+0000"),
        ("x.csv", b"a\n\x1b[31m\n", r"x\.csv:2: breaks: text has no control characters; got U\+001B"),
        ("x.csv", "a\nb\u2028c\n".encode(), r"x\.csv:2: breaks: text has no control characters; got U\+2028"),
        ("x.csv", "\ufeffa\n1\n".encode(), r"x\.csv:1: breaks: text has no byte order mark \(save it as UTF-8 without"),
        ("x.csv", "a\n1\n\ufeff2\n".encode(), r"x\.csv:3: breaks: text has no byte order mark"),
        ("x.csv", b"", r"x\.csv: breaks: .*it is empty"),
        ("x.csv", b"\n \n", r"x\.csv: breaks: .*it is empty"),
        ("x.csv", b"a,b\n1,2\n1,\xe9\n", r"x\.csv:3: breaks: text is UTF-8; got byte 0xe9"),
        (
            "x.csv",
            b"a\n1\n" + b"2" * 500_001,
            r"x\.csv:3: breaks: a row has at most 500,000 characters; this has 500,001",
        ),
        ("x/2020-01.csv", b"a,b\n1\n", r"x/2020-01\.csv:2: "),
        ("note.txt", b"hello", r"note\.txt: breaks: only \.csv files"),
        ("x.csv.gz", b"\x1f\x8b", r"x\.csv\.gz: breaks: only \.csv files"),
        (".DS_Store", b"", r"\.DS_Store: breaks: only \.csv files"),
    ],
)
def test_a_broken_file_is_named_with_its_line(name: str, raw: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=says):
        RawFiles(_write(tmp_path, {name: raw, "good.csv": b"a\n1\n"}))[name]


def test_every_broken_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path, {"x.csv": b"", "y.csv": b"a,b\n1\n", "z.txt": b""})
    with pytest.raises(ContractError, match=r"3 violation\(s\)[\s\S]*x\.csv[\s\S]*y\.csv:2[\s\S]*z\.txt"):
        check_dataset(RawFiles(tmp_path), {})


def test_an_absent_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"trips\.csv: breaks: the file exists"):
        RawFiles(tmp_path, ["trips.csv"])["trips.csv"]
    with pytest.raises(ContractError, match="nowhere"):
        RawFiles(tmp_path / "nowhere")


DATA = {"zones.csv": b"z\n1\n", "trips/2020-01.csv": b"t\n1\n", "trips/2020-02.csv": b"t\n2\n"}


def test_files_are_laid_over_the_data_set(tmp_path: Path) -> None:
    data = _write(tmp_path / "data", DATA)
    folder = _write(
        tmp_path / "new", {"trips/2020-01.csv": b"t\n9\n", "trips/2020-03.csv": b"t\n3\n", "zones.csv": b"z\n1\n"}
    )
    changes = stage_files(data, folder, tmp_path / "staged")
    assert changes == FileChanges(("trips/2020-03.csv",), ("trips/2020-01.csv",), ("zones.csv",))
    assert contents(tmp_path / "staged") == {
        **DATA,
        "trips/2020-01.csv": b"t\n9\n",
        "trips/2020-03.csv": b"t\n3\n",
    }
    assert contents(data) == DATA


@pytest.mark.parametrize("folder", ["empty", "absent", "data/zones.csv"])
def test_nothing_to_stage(folder: str, tmp_path: Path) -> None:
    data = _write(tmp_path / "data", DATA)
    (tmp_path / "empty" / "trips").mkdir(parents=True)
    with pytest.raises(ContractError, match=f"{folder}, which holds no file"):
        stage_files(data, tmp_path / folder, tmp_path / "staged")
