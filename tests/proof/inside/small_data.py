"""Makes the data of a copy, the last months of the project's before its first clock, and a data.dvc that names them.

By the project's own public functions, so that the copy's data, remote and data.dvc agree.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.project import open_project
from tests.proof.planted import write_choices

# Enough to learn from, and few enough for the whole loop to take seconds; less than three months show no drift.
MAX_ROWS, MIN_MONTHS = 100_000, 3
# What was ingested since is not needed: the clock of a copy begins anew.
AFTER_CLOCK = timedelta(days=31)


def months_to_keep(rows: Mapping[str, int], latest: str) -> list[str]:
    """Choose the last months up to the latest, as many as hold few enough rows.

    Examples
    --------
    >>> rows = {"2020-01": 60_000, "2020-02": 30_000, "2020-03": 30_000, "2020-04": 30_000, "2020-05": 1}
    >>> months_to_keep(rows, "2020-04")
    ['2020-02', '2020-03', '2020-04']
    """
    kept: list[str] = []
    for month in sorted((month for month in rows if month <= latest), reverse=True):
        if len(kept) >= MIN_MONTHS and sum(rows[name] for name in (*kept, month)) > MAX_ROWS:
            break
        kept.append(month)
    return sorted(kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/ of the project")
    data = parser.parse_args().data
    project = open_project()
    settings = project.settings
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.state_dir) as scratch:
        staged = shutil.copytree(data, Path(scratch) / "data")
        files = [
            file
            for table, contract in project.raw_tables.contracts.items()
            if contract.is_monthly
            for file in (staged / table).glob("*.csv")
        ]
        rows: Counter[str] = Counter()
        for file in files:
            rows[file.stem] += file.read_bytes().count(b"\n") - 1
        kept = months_to_keep(rows, f"{project.problem.first_clock + AFTER_CLOCK:%Y-%m}")
        for file in files:
            if file.stem not in kept:
                file.unlink()
        if kept and kept[0] > min(rows):
            write_choices(start=datetime.strptime(kept[0], "%Y-%m").replace(tzinfo=UTC).isoformat())
        dvc_data.add_version(settings, staged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
