"""DVC's repository, cache and remote: the only file that imports DVC.

Each function does one thing to one store and hashes what it moves; what that means for
data/ is decided in `data_version.py`. DVC is imported inside the functions, so that importing
this file stays cheap.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flightline.adapters.dvc.remote import Remote
from flightline.core.errors import DataVersionError, FlightlineError, RemoteError
from flightline.core.settings import Settings

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.tree import Tree

SHOWN_FILES = 5


@dataclass(frozen=True)
class Content:
    """What a folder holds: DVC's hash of it, each file's hash by path, and the bytes in all."""

    md5: str
    hashes: Mapping[str, str]
    size_bytes: int
    tree: "Tree" = field(repr=False)


@dataclass(frozen=True)
class Stores:
    """DVC's repository, its cache, its remote, and where that is."""

    repo: "Repo"
    cache: "HashFileDB"
    remote: "HashFileDB"
    place: Remote


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open DVC locked, silent, and with all of its state inside the clone.

    Raises
    ------
    DataVersionError
        In place of any error of DVC's own.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.logger import set_loggers_level
    from dvc.repo import Repo, lock_repo

    if not (settings.root / ".dvc").is_dir():  # DVC itself would go up and use another repository
        raise DataVersionError(f"{settings.root} has no .dvc folder; run this at the root of the clone")
    # Without Git DVC edits no .gitignore, stages nothing, and also runs where .git is not.
    dvc_state = settings.state_dir / "dvc"
    dvc_state.mkdir(parents=True, exist_ok=True)  # DVC would make it, and .state, writable by all
    config: dict[str, Any] = {"core": {"site_cache_dir": str(dvc_state), "no_scm": True}}
    if settings.dvc_remote_url:
        config["core"]["remote"] = "settings"
        config["remote"] = {"settings": {"url": settings.dvc_remote_url, "verify": True}}
    try:
        with (
            set_loggers_level(logging.CRITICAL),
            Repo(str(settings.root), config=config) as repo,
            lock_repo(repo),
        ):
            remote = repo.cloud.get_remote_odb()
            name = repo.config["core"]["remote"]
            place = Remote(name, str(repo.config["remote"][name]["url"]), settings.root)
            yield Stores(repo, repo.cache.local, remote, place)
    except LockError as err:
        raise DataVersionError("another DVC command works in this clone; wait until it ends, run this again") from err
    except (DvcException, OSError) as err:
        raise DataVersionError(f"DVC stopped: {type(err).__name__}: {err}") from err


@contextmanager
def _asking_remote(stores: Stores) -> Iterator[None]:
    """Turn whatever a cloud's client raises into a RemoteError that says where it was and with what access."""
    try:
        yield
    except RemoteError as err:
        raise RemoteError(f"{err}\n{stores.place.looked_for}") from err
    except FlightlineError:
        raise
    except Exception as err:  # each cloud's client has errors of its own
        raise RemoteError(
            f"the remote {stores.place} cannot be used: {type(err).__name__}: {err}\n{stores.place.looked_for}"
        ) from err


def write_remote(root: Path, name: str, options: Mapping[str, str], *, is_relative: bool = False) -> None:
    """Let .dvc/config name a remote and use it: `dvc remote add --default --force`.

    Parameters
    ----------
    options
        DVC's options of a remote, with its url.
    is_relative
        Whether to write the url, a folder, relative to .dvc.
    """
    from dvc.config import Config
    from dvc.config_schema import RelPath

    url = RelPath(options["url"]) if is_relative else options["url"]
    with Config(str(root / ".dvc")).edit("repo") as config:
        config["remote"][name] = {**options, "url": url}
        config["core"]["remote"] = name


def read_pointer(pointer: Path) -> dict[str, Any]:
    """Read the one output of a .dvc file.

    Raises
    ------
    ValueError
        If it is not YAML with one output.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import load_yaml

    try:
        (out,) = load_yaml(str(pointer))["outs"]
    except (DvcException, KeyError, TypeError) as err:
        raise ValueError(f"{type(err).__name__}: {err}") from err
    if not isinstance(out, dict):
        raise ValueError(f"an output is a mapping, got {out!r}")
    return out


def write_pointer(stores: Stores, folder: Path) -> None:
    """Let the folder's .dvc file name what the folder holds: `dvc add`."""
    stores.repo.add([str(folder)], relink=False)


def hash_folder(folder: Path) -> Content | None:
    """Hash a folder by DVC's own library, believing no earlier note; None if nothing is in it."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import get_odb

    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    stateless = get_odb(localfs, str(folder), hash_name="md5")  # a dry run does not write to it
    _, meta, tree = build(stateless, str(folder), localfs, "md5", dry_run=True)
    return _content(tree, meta.size or 0)


def _content(tree: Any, size_bytes: int) -> Content:
    return Content(tree.oid, {"/".join(key): oid.value for key, _, oid in tree}, size_bytes, tree)


def is_version_cached(stores: Stores, md5: str) -> bool:
    """Say whether the cache holds a whole version, undamaged."""
    if not _is_sound(stores.cache, md5):
        return False
    return all(_is_sound(stores.cache, oid) for oid in set(_load_list(stores, md5).hashes.values()))


def is_version_in_remote(stores: Stores, md5: str) -> bool:
    """Say whether the remote holds a version's list of files, which is pushed last."""
    with _asking_remote(stores):
        # The store's own `exists` takes a refusal for an absence.
        return bool(stores.remote.fs.exists(stores.remote.oid_to_path(md5)))


def is_remote_unfilled(stores: Stores) -> bool:
    """Say whether the remote has never held a whole version."""
    with _asking_remote(stores):
        return not any(oid.endswith(".dir") for oid in stores.remote.all())


def fetch_list(stores: Stores, md5: str) -> Content:
    """Bring a version's list of files into the cache and read it.

    Raises
    ------
    DataVersionError
        If the remote lacks it or its content is damaged.
    """
    _fetch(stores, {md5: "the list of files"})
    return _load_list(stores, md5)


def fetch_files(stores: Stores, content: Content) -> int:
    """Bring a version's files into the cache; return how many were not there.

    Raises
    ------
    DataVersionError
        Naming the files that the remote lacks or holds damaged.
    """
    return _fetch(stores, {oid: path for path, oid in content.hashes.items()})


def check_out(stores: Stores, content: Content, target: Path) -> None:
    """Write a version's files, all in the cache, into a new folder."""
    from dvc.fs import localfs
    from dvc_data.hashfile.checkout import CheckoutError, LinkError, checkout

    try:
        checkout(str(target), localfs, content.tree, stores.cache)
    except (CheckoutError, LinkError) as err:
        raise DataVersionError(f"DVC's cache could not be checked out to {target}: {err}; is the disk full?") from err


def store_folder(stores: Stores, folder: Path, content: Content) -> None:
    """Put a folder's objects into the remote, then into the cache; each list of files last.

    Raises
    ------
    DataVersionError
        Naming the files that could not be stored.
    """
    push_folder(stores, folder, content)
    _store(stores.cache, folder, content, error=DataVersionError)


def push_folder(stores: Stores, folder: Path, content: Content) -> None:
    """Put a folder's objects into the remote, the list of files last.

    Raises
    ------
    RemoteError
        Naming the files that could not be stored.
    """
    with _asking_remote(stores):
        _store(stores.remote, folder, content, error=RemoteError)


def drop_damaged(stores: Stores, content: Content) -> int:
    """Delete a version's damaged objects from the remote; return how many are missing now."""
    with _asking_remote(stores):
        return sum(not _is_sound(stores.remote, oid) for oid in {content.md5, *content.hashes.values()})


def _load_list(stores: Stores, md5: str) -> Content:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    return _content(Tree.load(stores.cache, HashInfo("md5", md5)), 0)


def _is_sound(store: "HashFileDB", oid: str) -> bool:
    """Say whether a store holds an object with the right content; a damaged one is deleted."""
    if not store.exists(oid):
        return False
    if _hash_object(store, oid) == oid.removesuffix(".dir"):
        return True
    store.delete(oid)
    return False


def _hash_object(store: "HashFileDB", oid: str) -> str:
    from dvc_data.hashfile.hash import hash_file

    # Without state: DVC would believe its note, or the read-only bit, instead of the content.
    _, actual = hash_file(store.oid_to_path(oid), store.fs, "md5")
    return str(actual.value)


def _fetch(stores: Stores, paths: Mapping[str, str]) -> int:
    absent = [oid for oid in paths if not _is_sound(stores.cache, oid)]
    if not absent:
        return 0
    causes: dict[str, BaseException] = {}
    with _asking_remote(stores):
        sources = [stores.remote.oid_to_path(oid) for oid in absent]
        # verify: a damaged object is dropped again, without a word; hence the look afterwards.
        stores.cache.add(sources, stores.remote.fs, absent, verify=True, on_error=causes.__setitem__)
        failed = [oid for oid in absent if not stores.cache.exists(oid)]
        if failed:
            did_not_answer = any(not isinstance(cause, FileNotFoundError) for cause in causes.values())
            error = RemoteError if did_not_answer else DataVersionError
            raise error(_describe_failed(stores, {oid: paths[oid] for oid in failed}, causes))
    return len(absent)


def _describe_failed(stores: Stores, failed: Mapping[str, str], causes: Mapping[str, BaseException]) -> str:
    lines = [f"{len(failed)} object(s) could not be taken from the remote {stores.place}:"]
    for oid, path in list(failed.items())[:SHOWN_FILES]:
        if not stores.remote.exists(oid):
            got = "nothing"
        elif (actual := _hash_object(stores.remote, oid)) != oid.removesuffix(".dir"):
            got = f"{actual} in {stores.remote.fs.unstrip_protocol(stores.remote.oid_to_path(oid))}"
        else:
            got = repr(causes.get(oid, "a damaged copy"))
        lines.append(f"  {path}: expected md5 {oid}, got {got}")
    if len(failed) > SHOWN_FILES:
        lines.append(f"  ... and {len(failed) - SHOWN_FILES} more")
    return "\n".join(lines)


def _store(store: "HashFileDB", folder: Path, content: Content, error: type[DataVersionError]) -> None:
    from dvc.fs import localfs

    held = set(store.oids_exist(list({content.md5, *content.hashes.values()})))
    new = {oid: path for path, oid in content.hashes.items() if oid not in held}
    causes: dict[str, BaseException] = {}
    if new:
        sources = [str(folder / path) for path in new.values()]
        store.add(sources, localfs, list(new), verify=False, on_error=causes.__setitem__)
    if causes:
        first = "; ".join(f"{new[oid]}: {err}" for oid, err in list(causes.items())[:SHOWN_FILES])
        place = store.fs.unstrip_protocol(store.path)
        raise error(f"{len(causes)} of {len(new)} new file(s) could not be put into {place}: {first}")
    if content.md5 not in held:
        store.add([content.tree.path], content.tree.fs, [content.md5], verify=False)
