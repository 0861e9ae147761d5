"""Runs inside a copy: makes its data, the first months of the seed, and a data.dvc that names them.

By the project's own public functions, so that the copy's data, remote and data.dvc agree.
"""

import sys
import tempfile
from pathlib import Path

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.settings import Settings
from flightline.problem.raw_tables import CONTRACTS
from flightline.problem.source import write_seed

MONTHS = ("2013-01", "2013-02", "2013-03")


def main() -> int:
    settings = Settings()
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.state_dir) as scratch:
        staged = Path(scratch) / "data"
        staged.mkdir()
        write_seed(staged)
        for table in (name for name, contract in CONTRACTS.items() if contract.is_monthly):
            for file in (staged / table).glob("*.csv"):
                if file.stem not in MONTHS:
                    file.unlink()
        dvc_data.add_version(settings, staged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
