"""Brings data/ to the version that data.dvc names: `python -m pipelines.commands.data`. No Prefect.

`--push` mends the remote from a good data/; `--remote URL` gives the project another; `--first-version`
makes data.dvc itself, once, when this project is turned to another problem.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.dvc.shared_remote import set_remote
from flightline.core.environment import read_settings
from flightline.core.errors import DataVersionError
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command

if TYPE_CHECKING:
    from flightline.core.project import Project


def bring_data(settings: Settings) -> DataVersion:
    """Bring data/ to the version that data.dvc names, and say how long it took."""
    start = time.perf_counter()
    version = dvc_data.find_current(settings) or dvc_data.pull(_open_project(settings))
    print(f"data: {time.perf_counter() - start:.1f} s")
    return version


def _open_project(settings: Settings) -> "Project":
    from flightline.core.project import open_project  # imports pandas, which data that is there does not need

    return open_project(settings)


def make_first_version(project: "Project") -> DataVersion:
    """Write the seed, check it against the contract, and let a new data.dvc name it.

    Raises
    ------
    DataVersionError
        If there is a data.dvc or a data/ already.
    ContractError
        If the seed breaks the contract.
    """
    from flightline.adapters.raw_files import RawFiles
    from flightline.data.contract import check_dataset

    settings = project.settings
    for path in (settings.root / dvc_data.POINTER, settings.data_dir):
        if path.exists():
            raise DataVersionError(
                f"{path} exists: this would not be the first version. Remove it, or use `make ingest`."
            )
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.state_dir) as folder:
        staged = Path(folder) / "data"
        staged.mkdir()
        project.raw_tables.write_seed(staged)
        rows = check_dataset(RawFiles(staged), project.raw_tables.contracts)
        print("seed: " + ", ".join(f"{table} {count:,} rows" for table, count in rows.items()))
        return dvc_data.add_version(settings, staged)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=bring_data.__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--push", action="store_true", help="mend the remote from data/")
    action.add_argument("--first-version", action="store_true", help="make data.dvc and data/ from the seed")
    action.add_argument(
        "--remote", metavar="URL", help="make this the remote, once data/ was pushed to and read from it"
    )
    parser.add_argument("--endpoint", default="", help="with --remote s3://...: a server that is not AWS's")
    chosen = parser.parse_args(arguments)
    if chosen.push:
        return run_command(lambda: dvc_data.push(read_settings()))
    if chosen.remote is not None:
        return run_command(lambda: set_remote(read_settings(), chosen.remote, chosen.endpoint))
    if chosen.first_version:
        return run_command(lambda: make_first_version(_open_project(read_settings())))
    return run_command(lambda: bring_data(read_settings()))


if __name__ == "__main__":
    sys.exit(main())
