"""Which version of data/ is there, how it gets there, and how a new one is made.

DVC by itself takes a damaged object for good, removes data/ when a checkout fails half-way,
and believes its own notes about what a remote holds. So here every byte that enters data/
is hashed, and data/ is only ever replaced as a whole, by a rename. What touches DVC itself
is in `repository.py`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flightline.adapters.dvc import repository as dvc_store
from flightline.adapters.dvc.remote import Remote
from flightline.adapters.dvc.repository import SHOWN_FILES, Content, Stores
from flightline.core.errors import DataError, DataVersionError, RemoteError
from flightline.core.settings import Settings

if TYPE_CHECKING:
    from flightline.core.project import Project

POINTER = "data.dvc"
Report = Callable[[str], None]


@dataclass(frozen=True)
class DataVersion:
    """One version of data/, as data.dvc names it.

    Parameters
    ----------
    md5
        DVC's hash of the list of files and their hashes; ends with ``.dir``.
    """

    md5: str
    files: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.md5} ({self.files} files, {self.size_bytes / 1e6:.1f} MB)"


def read_data_version(settings: Settings) -> DataVersion:
    """Read which version data.dvc names.

    Raises
    ------
    DataVersionError
        If data.dvc is missing or is not what `dvc add data` writes.
    """
    pointer = settings.root / POINTER
    restore = f"Restore it: git checkout {POINTER}"
    if not pointer.is_file():
        raise DataVersionError(f"{pointer} is missing, so no version of data/ is known. {restore}")
    try:
        out = dvc_store.read_pointer(pointer)
        version = DataVersion(str(out["md5"]), int(out["nfiles"]), int(out["size"]))
    except (KeyError, TypeError, ValueError) as err:
        expected = "expected one output with md5, nfiles, size"
        raise DataVersionError(f"{pointer} is unreadable ({err!r}); {expected}. {restore}") from err
    if not version.md5.endswith(".dir"):
        expected = "expected the hash of a folder, which ends in .dir"
        raise DataVersionError(f"{pointer} names {version.md5}; {expected}. {restore}")
    return version


def check_data(settings: Settings) -> DataVersion:
    """Demand that data/ holds exactly what data.dvc names; every byte is read.

    Raises
    ------
    DataVersionError
        If it does not.
    """
    wanted = read_data_version(settings)
    found = dvc_store.hash_folder(settings.data_dir)
    if found is None or found.md5 != wanted.md5:
        got = "is empty" if found is None else f"holds {_version_of(found)}"
        raise DataVersionError(f"data/ {got}; {POINTER} names {wanted}. Run `make data` first.")
    return wanted


def find_current(settings: Settings, report: Report = print) -> DataVersion | None:
    """Give the version that data.dvc names, if data/ holds exactly that: every byte is read."""
    wanted = read_data_version(settings)
    if not _is_at(settings.data_dir, wanted):
        return None
    report(f"data/ is at version {wanted}, as {POINTER} says: nothing to do")
    return wanted


def pull(project: "Project", report: Report = print) -> DataVersion:
    """Bring data/ to the version that data.dvc names.

    If the remote does not hold it, it is made from the seed, where that is the one; an empty remote gets it.
    On any error data.dvc, data/ and the good objects are as they were.

    Parameters
    ----------
    project
        Says where data/ and data.dvc are, the remote's name, and how the seed is written.
    report
        Gets a line about what was done.

    Raises
    ------
    DataVersionError
        If data/, data.dvc and the remote do not agree.
    """
    settings = project.settings
    if (current := find_current(settings, report)) is not None:
        return current
    wanted = read_data_version(settings)
    with dvc_store.open_stores(settings) as stores, scratch_folder(settings) as scratch:
        if _is_at(settings.data_dir, wanted):
            report(f"data/ is at version {wanted}: another process has just brought it")
            return wanted
        try:
            _refuse_unknown_content(settings, stores, wanted)
            done = _stage(stores, wanted, scratch / "data", project)
        except RemoteError as err:
            raise RemoteError(f"version {wanted}, which {POINTER} names, is not in this clone, and {err}") from err
        _replace_folder(settings.data_dir, scratch / "data", scratch / "before")
    report(f"data/ is now at version {wanted}: {done}")
    return wanted


def push(settings: Settings, report: Report = print) -> DataVersion:
    """Mend the remote: put there every object of data/ that it lacks or holds damaged.

    Raises
    ------
    DataVersionError
        If data/ is not at data.dvc, or the remote cannot be used.
    """
    version = check_data(settings)
    with dvc_store.open_stores(settings) as stores:
        content = _demand(dvc_store.hash_folder(settings.data_dir), version, "data/")
        missing = dvc_store.drop_damaged(stores, content)
        dvc_store.store_folder(stores, settings.data_dir, content)
    report(f"the remote {stores.place} holds version {version}; {missing} object(s) were missing or damaged")
    return version


def add_version(
    settings: Settings, staged: Path, report: Report = print, *, before: DataVersion | None = None
) -> DataVersion:
    """Make a staged folder the new data/, push it, and let data.dvc name it.

    The remote is filled first and data.dvc is written last, so that data.dvc never names
    what the remote does not hold. With neither data/ nor data.dvc there, it is the first.

    Parameters
    ----------
    settings
        Where data/ and data.dvc are, and the remote's name.
    staged
        A complete data set in data/'s layout. It is moved away.
    report
        Gets a line about what was done.
    before
        The version that the staged folder was laid over: a later one would lose what it has more. None: any.

    Raises
    ------
    DataVersionError
        If data/ was not at data.dvc or at `before`, or anything failed; then both are as they were.
    """
    with dvc_store.open_stores(settings) as stores, scratch_folder(settings) as scratch:
        if settings.data_dir.exists() or (settings.root / POINTER).exists():
            current = check_data(settings)
            if before not in (None, current):
                raise DataVersionError(
                    f"data/ has become version {current} since this was laid over {before}: run it again"
                )
        content = dvc_store.hash_folder(staged)
        if content is None:
            raise DataVersionError(f"the staged data set {staged} is empty; expected all files of a version")
        dvc_store.store_folder(stores, staged, content)
        version = _version_of(content)
        if staged.stat().st_dev != settings.root.stat().st_dev:  # a rename takes it no further
            staged = Path(shutil.move(staged, scratch / "staged"))
        _switch(settings, stores, staged, scratch / "before", version)
    report(f"version {version} is in data/, in {POINTER} and in the remote {stores.place}")
    return version


def read_remote(settings: Settings) -> Remote:
    """Read where this clone's versions of data/ go."""
    with dvc_store.open_stores(settings) as stores:
        return stores.place


def _version_of(content: Content) -> DataVersion:
    return DataVersion(content.md5, len(content.hashes), content.size_bytes)


def _is_at(folder: Path, wanted: DataVersion) -> bool:
    found = dvc_store.hash_folder(folder)
    return found is not None and found.md5 == wanted.md5


def _demand(found: Content | None, wanted: DataVersion, what: str) -> Content:
    if found is None or found.md5 != wanted.md5:
        got = "nothing" if found is None else _version_of(found)
        raise DataVersionError(f"{what} holds {got}; {POINTER} names {wanted}")
    return found


def _refuse_unknown_content(settings: Settings, stores: Stores, wanted: DataVersion) -> None:
    """Stop if replacing data/ would lose something: what it holds is no version DVC has."""
    found = dvc_store.hash_folder(settings.data_dir)
    if found is None or _is_held(stores, found.md5):
        return
    try:
        lines = _differences(found.hashes, dvc_store.fetch_list(stores, wanted.md5).hashes)
    except DataVersionError as err:
        lines = [f"which files differ cannot be told: {err}"]
    first = f"data/ was altered or is incomplete: it holds {_version_of(found)}, {POINTER} names {wanted}"
    raise DataVersionError(
        "\n  ".join([first, *lines])
        + "\nNothing was changed. If the change is meant, put those files into a folder of their own and run "
        "`make ingest FOLDER=...`; to have the version back, move data/ away and run `make data`."
    )


def _is_held(stores: Stores, md5: str) -> bool:
    return dvc_store.is_version_cached(stores, md5) or dvc_store.is_version_in_remote(stores, md5)


def _differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    lines = [f"{path}: missing, expected md5 {wanted[path]}" for path in sorted(wanted.keys() - found.keys())]
    lines += [f"{path}: not in that version" for path in sorted(found.keys() - wanted.keys())]
    lines += [
        f"{path}: got md5 {found[path]}, expected {wanted[path]}"
        for path in sorted(found.keys() & wanted.keys())
        if found[path] != wanted[path]
    ]
    more = [] if len(lines) <= SHOWN_FILES else [f"... and {len(lines) - SHOWN_FILES} more"]
    return lines[:SHOWN_FILES] + more


def _stage(stores: Stores, wanted: DataVersion, staged: Path, project: "Project") -> str:
    """Write the wanted version into a new folder; say where it came from."""
    if not _is_held(stores, wanted.md5):
        return _stage_seed(stores, wanted, staged, project)
    try:
        content = dvc_store.fetch_list(stores, wanted.md5)
        fetched = dvc_store.fetch_files(stores, content)
    except RemoteError:
        raise
    except DataVersionError as err:
        raise _missing(stores, wanted, str(err)) from err
    dvc_store.check_out(stores, content, staged)
    _demand(dvc_store.hash_folder(staged), wanted, "what was checked out of DVC's cache")
    return f"{fetched} file(s) from the remote {stores.place}, {len(content.hashes) - fetched} from the cache"


def _stage_seed(stores: Stores, wanted: DataVersion, staged: Path, project: "Project") -> str:
    """Make the first version, if it is the wanted one; a remote without any version gets it."""
    staged.mkdir()
    try:
        project.raw_tables.write_seed(staged)
    except DataError as err:  # a problem without a seed raises it
        raise _missing(stores, wanted, f"The remote does not hold it, and there is no seed: {err}") from err
    content = dvc_store.hash_folder(staged)
    if content is None or content.md5 != wanted.md5:
        got = "nothing" if content is None else _version_of(content)
        raise _missing(stores, wanted, f"The remote does not hold it, and the seed is another version: {got}.")
    if not dvc_store.is_remote_unfilled(stores):
        return f"made from the seed, since the remote {stores.place} holds later versions only"
    dvc_store.store_folder(stores, staged, content)
    return f"made from the seed, and pushed to the remote {stores.place}, which was empty"


def _missing(stores: Stores, wanted: DataVersion, why: str) -> DataVersionError:
    return DataVersionError(
        f"version {wanted}, which {POINTER} names, cannot be had from the remote {stores.place}. {why}\n"
        f"Nothing was changed. {stores.place.how_to_get}\n"
        f"If {POINTER} was edited: git checkout {POINTER}. If it names the seed: make install, for the lock's packages."
    )


def _switch(settings: Settings, stores: Stores, staged: Path, before: Path, version: DataVersion) -> None:
    """Put the staged folder in data/'s place and name it in data.dvc; undo both on any failure."""
    pointer = settings.root / POINTER
    former = pointer.read_bytes() if pointer.exists() else None
    _replace_folder(settings.data_dir, staged, before)
    try:
        dvc_store.write_pointer(stores, settings.data_dir)
        if read_data_version(settings) != version:
            got = read_data_version(settings)
            raise DataVersionError(f"DVC wrote {got}, expected {version}: data/ was changed meanwhile")
    except BaseException:  # also an interrupt
        settings.data_dir.rename(staged)
        if before.exists():
            before.rename(settings.data_dir)
        pointer.unlink(missing_ok=True)
        if former is not None:
            pointer.write_bytes(former)
        raise


def _replace_folder(target: Path, staged: Path, before: Path) -> None:
    """Rename the staged folder to the target; what was there goes to `before`."""
    if target.exists():
        target.rename(before)
    try:
        staged.rename(target)
    except OSError:
        if before.exists():
            before.rename(target)
        raise


@contextmanager
def scratch_folder(settings: Settings) -> Iterator[Path]:
    """Give a folder on data/'s file system; what a killed run left is swept away."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    parent = settings.state_dir / "dvc_scratch"
    if settings.state_dir.stat().st_dev != settings.root.stat().st_dev:
        # In a container .state is a volume.
        parent = settings.root / ".dvc" / "tmp" / "scratch"
    shutil.rmtree(parent, ignore_errors=True)  # DVC's lock is held, so nobody works there
    parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        yield Path(scratch)
