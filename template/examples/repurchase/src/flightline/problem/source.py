"""CHANGE ME for your own problem: where the first copy of data/ comes from.

The purchases are cut as text from a file inside the pinned package Lifetimes (MIT). The package is
located by its metadata and never imported: only the file is wanted. Nothing is parsed into
numbers, so no library's formatting can change a byte.
"""

from collections import Counter
from importlib.metadata import distribution
from pathlib import Path

from flightline.core.errors import DataError

PACKAGE = "lifetimes"
FILE = "lifetimes/datasets/CDNOW_sample.txt"
HEADER = "customer,day,number,cds,amount"


def write_seed(target: Path) -> None:
    """Write the first data set into an empty folder.

    Parameters
    ----------
    target
        A folder that exists and is empty.
    """
    months: dict[str, list[tuple[str, int, str]]] = {}
    purchases: Counter[tuple[str, str]] = Counter()
    for line in _package_data().read_text(encoding="ascii").splitlines():
        # The customer among all 23,570 (00004) and in the sample (0001), 19970118, CDs, US dollars.
        full, _, date, cds, amount = line.split()
        customer, day = full.lstrip("0"), f"{date[:4]}-{date[4:6]}-{date[6:]}"
        purchases[customer, day] += 1
        row = f"{customer},{day},{purchases[customer, day]},{cds},{amount}"
        months.setdefault(day[:7], []).append((day, int(customer), row))
    (target / "purchases").mkdir()
    for month, rows in months.items():
        lines = [HEADER, *(row for _, _, row in sorted(rows, key=lambda row: row[:2]))]
        (target / "purchases" / f"{month}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def _package_data() -> Path:
    file = Path(str(distribution(PACKAGE).locate_file(FILE)))
    if not file.is_file():
        raise DataError(f"{PACKAGE} is installed without its file {FILE}; run `make install` again")
    return file
