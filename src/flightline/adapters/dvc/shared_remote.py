"""Gives the project a DVC remote that other clones reach: tried first, written into .dvc/config last."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from flightline.adapters.dvc import repository as dvc_store
from flightline.adapters.dvc.data_version import (
    POINTER,
    DataVersion,
    Report,
    check_data,
    read_data_version,
    scratch_folder,
)
from flightline.adapters.dvc.remote import check_url, folder_of
from flightline.core.errors import DataVersionError
from flightline.core.settings import Settings

NAME = "shared"
CONFIG = Path(".dvc") / "config"
LOCAL_CONFIG = Path(".dvc") / "config.local"


def set_remote(settings: Settings, url: str, endpoint: str = "", report: Report = print) -> DataVersion:
    """Push the version of data/ to a remote, read it back, and make that remote the project's.

    A clone without data/ only reads. On any error .dvc/config is as it was.

    Parameters
    ----------
    url, endpoint
        See `remote.check_url`.
    report
        Gets a line about what was done.

    Raises
    ------
    DataVersionError
        If the URL is none, data/ is not at data.dvc, or the remote cannot be written and read.
    """
    if settings.dvc_remote_url:
        raise DataVersionError("FLIGHTLINE_DVC_REMOTE_URL is set and goes before .dvc/config: unset it, run this again")
    check_url(settings.root, url, endpoint)
    is_folder = not urlsplit(url).scheme
    options = {"url": str(folder_of(settings.root, url)) if is_folder else url, "verify": "true"}
    if endpoint:
        options["endpointurl"] = endpoint
    version = read_data_version(settings)
    with dvc_store.open_stores(settings), scratch_folder(settings) as scratch:
        done = _try_remote(settings, scratch, options, version)
        is_relative = is_folder and not Path(url).expanduser().is_absolute()
        dvc_store.write_remote(settings.root, NAME, options, is_relative=is_relative)
    report(f"version {version} was {done}; {CONFIG} now names that remote")
    report(f"Commit it: git add {CONFIG} {POINTER} && git commit --message 'Shared data remote' && git push")
    return version


def _try_remote(settings: Settings, scratch: Path, options: dict[str, str], version: DataVersion) -> str:
    """Push and pull in a repository of its own, whose cache is empty; say what was done."""
    (scratch / ".dvc").mkdir()
    for name in (CONFIG, LOCAL_CONFIG):  # the latter may hold credentials
        if (settings.root / name).exists():
            shutil.copy(settings.root / name, scratch / name)
    dvc_store.write_remote(scratch, NAME, options)
    with dvc_store.open_stores(settings.model_copy(update={"root": scratch})) as stores:
        if (stores.place.name, stores.place.url) != (NAME, options["url"]):
            raise DataVersionError(f"{LOCAL_CONFIG} names the remote {stores.place} and goes before {CONFIG}: edit it")
        done = f"found in the remote {stores.place} and read"
        if settings.data_dir.exists():
            check_data(settings)
            content = dvc_store.hash_folder(settings.data_dir)
            if content is not None:
                dvc_store.drop_damaged(stores, content)
                dvc_store.push_folder(stores, settings.data_dir, content)
            done = f"pushed to the remote {stores.place} and read back"
        dvc_store.fetch_files(stores, dvc_store.fetch_list(stores, version.md5))
    return done
