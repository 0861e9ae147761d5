"""CHANGE ME for your own problem: where the first copy of data/ comes from.

The counts are cut as text from a file inside the pinned package AutoTS (MIT), which took them
from Wikimedia (public domain, CC0). The package is located by its metadata and never imported:
only the file is wanted. Nothing is parsed into numbers, so no library's formatting can change
a byte.
"""

import csv
import zipfile
from importlib.metadata import distribution
from io import TextIOWrapper
from pathlib import Path

from flightline.core.errors import DataError

PACKAGE = "autots"
ARCHIVE, FILE = "autots/datasets/data/holidays.zip", "holidays.csv"
PAGE_COLUMNS = "wiki_"
NOT_A_PAGE = "wiki_all"  # the views of all pages together
HEADER = "page,day,views"


def write_seed(target: Path) -> None:
    """Write the first data set into an empty folder.

    Parameters
    ----------
    target
        A folder that exists and is empty.
    """
    with zipfile.ZipFile(_package_data()) as archive, archive.open(FILE) as content:
        names, *days = list(csv.reader(TextIOWrapper(content, encoding="utf-8")))
    pages = [
        (place, name.removeprefix(PAGE_COLUMNS))
        for place, name in enumerate(names)
        if name.startswith(PAGE_COLUMNS) and name != NOT_A_PAGE
    ]
    months: dict[str, list[str]] = {}
    for cells in days:
        lines = months.setdefault(cells[0][:7], [HEADER])
        lines += [f"{page},{cells[0]},{cells[place]}" for place, page in pages]
    (target / "views").mkdir()
    for month, lines in months.items():
        (target / "views" / f"{month}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def _package_data() -> Path:
    archive = Path(str(distribution(PACKAGE).locate_file(ARCHIVE)))
    if not archive.is_file():
        raise DataError(f"{PACKAGE} is installed without its file {ARCHIVE}; run `make install` again")
    return archive
