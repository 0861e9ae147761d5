"""Takes new or corrected files into data/ as a new version: `python -m pipelines.ingest --folder PATH`.

With `--from` they are written first, from a table elsewhere, by `write_files` of `problem/source.py`.

Nothing changes unless the whole data set with those files in it keeps the contract.
"""

import argparse
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flightline.adapters import raw_files
from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.dvc.remote import KINDS, Remote
from flightline.adapters.event_clock import read_clock
from flightline.adapters.raw_files import FileChanges
from flightline.adapters.source_tables import keep_other_rows
from flightline.core.environment import read_settings
from flightline.core.errors import ClockError, DataError
from flightline.core.project import RawTables, open_project
from flightline.core.settings import Settings
from flightline.data.contract import check_dataset
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import is_remote_error
from pipelines.common.servers.by_hand import by_hand
from pipelines.steps.behind import months_beyond


@dataclass(frozen=True)
class IngestResult:
    """What an ingest changed; `before` equals `after` if every file was identical."""

    before: DataVersion
    after: DataVersion
    changes: FileChanges

    @property
    def is_new_version(self) -> bool:
        """Whether data.dvc changed and wants a commit."""
        return self.before != self.after


@task(cache_policy=NO_CACHE)
def verify(settings: Settings) -> DataVersion:
    """Demand that data/ is what data.dvc names."""
    with stage("verify") as progress:
        version = dvc_data.check_data(settings)
        progress.say(f"data/ is at version {version}")
    return version


@task(cache_policy=NO_CACHE)
def stage_files(settings: Settings, folder: Path, staged: Path) -> FileChanges:
    """Lay the folder's files over a copy of data/."""
    with stage("stage") as progress:
        changes = raw_files.stage_files(settings.data_dir, folder, staged)
        for kind, files in (("new", changes.new), ("corrected", changes.corrected), ("identical", changes.identical)):
            progress.say(f"{len(files)} {kind}" + (f" ({', '.join(files)})" if files else ""))
    return changes


@task(cache_policy=NO_CACHE)
def validate(staged: Path, raw: RawTables) -> dict[str, int]:
    """Check the whole staged data set against the contract."""
    with stage("validate") as progress:
        rows = check_dataset(raw_files.RawFiles(staged), raw.contracts)
        counts = ", ".join(f"{table} {count:,}" for table, count in rows.items())
        progress.say(f"{sum(rows.values()):,} rows keep the contract: {counts}")
    return rows


@task(cache_policy=NO_CACHE)
def read_source(settings: Settings, raw: RawTables, source: str, folder: Path) -> Path:
    """Write what a source holds in data/'s layout; a row of a known month stays unless one has its key.

    Raises
    ------
    DataError
        If the problem has no `write_files`, or the source cannot be read as that table.
    """
    with stage("read") as progress:
        if raw.write_files is None:
            raise DataError(
                "src/flightline/problem/source.py has no write_files(source, target), which reads a source into "
                "data/'s layout; write it, or give files in that layout: make ingest FOLDER=path"
            )
        folder.mkdir()
        raw.write_files(source, folder)
        keep_other_rows(folder, settings.data_dir, raw.contracts)
        progress.say(f"{sum(1 for file in folder.rglob('*') if file.is_file())} file(s) from {source}")
    return folder


@task(cache_policy=NO_CACHE, retries=3, retry_delay_seconds=[2, 10, 30], retry_condition_fn=is_remote_error)
def add_version(settings: Settings, staged: Path, before: DataVersion) -> DataVersion:
    """Push the data set that was staged over a version, and let data.dvc name it."""
    with stage("add") as progress:
        return dvc_data.add_version(settings, staged, progress.say, before=before)


@flow(name="ingest", validate_parameters=False)
def ingest(folder: Path | None = None, source: str = "") -> IngestResult:
    """Take a folder of new or corrected files, in data/'s layout, or a source that gives such, into data/.

    Parameters
    ----------
    folder
        For example one with ``<table>/2014-01.csv`` in it.
    source
        What `write_files` of `problem/source.py` reads, if there is no folder.

    Raises
    ------
    ContractError
        If the data set would break its contract with these files; nothing is changed.
    DataVersionError
        If data/ is not at data.dvc, another ingest came between, or the remote cannot be filled; nothing is changed.
    """
    project = open_project()
    settings = project.settings
    before = verify(settings)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=settings.state_dir) as scratch:
        staged = Path(scratch) / "data"
        if folder is None:
            folder = read_source(settings, project.raw_tables, source, Path(scratch) / "read")
        changes = stage_files(settings, Path(folder).resolve(), staged)
        if not (changes.new or changes.corrected):
            return IngestResult(before, before, changes)
        validate(staged, project.raw_tables)
        return IngestResult(before, add_version(settings, staged, before), changes)


def print_result(result: IngestResult, remote: Remote) -> None:
    """Print the old and the new version, whether others can have it, and what is left to do."""
    if not result.is_new_version:
        print(f"Every file is identical to the one in data/: still version {result.before}")
        return
    print(f"Old version {result.before}\nNew version {result.after}")
    message = f"Data version {result.after.md5[:8]}"
    commands = f"git add {dvc_data.POINTER} && git commit --message '{message}' && git push"
    if remote.is_of_clone:
        print(f"Only this clone has it: the remote {remote} is a folder of it. Before you push, set one others reach:")
        print(f"  make data-remote URL=...    ({KINDS})")
        commands = commands.replace(dvc_data.POINTER, f"{dvc_data.POINTER} .dvc/config")
    else:
        print(f"Others get it from the remote {remote} as soon as you commit and push:")
    print(f"  {commands}")


def tell(settings: Settings, result: IngestResult) -> None:
    """Print what an ingest came to, and months that the event clock, if there is one, has not reached."""
    print_result(result, dvc_data.read_remote(settings))
    with suppress(ClockError):
        if beyond := months_beyond(settings, read_clock(settings)):
            print(beyond)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    parser = argparse.ArgumentParser(description="Take new or corrected files into data/ as a new version.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--folder", type=Path, help="files in data/'s layout, e.g. <table>/2014-01.csv")
    which.add_argument("--from", dest="source", default="", help="a table that problem/source.py reads")
    chosen = parser.parse_args(arguments)
    return run_command(lambda: tell(read_settings(), by_hand(ingest)(folder=chosen.folder, source=chosen.source)))


if __name__ == "__main__":
    sys.exit(main())
