"""Files and folders that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path


@contextmanager
def atomic_write(target: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Give a path to write a file, a folder or a link to; it takes the target's place when the block ends well.

    Readers see the former target or the new one; of a folder, for the moment between two renames, none.
    After an error the former one stays and nothing is left beside it. Two writers at once do not disturb
    each other: the last one stays.

    Parameters
    ----------
    target
        Its folder is made if it is not there.
    is_durable
        Whether a file's bytes are on the disk before it is renamed, and the name after it: a
        power cut then undoes nothing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # One level down, so that it has the target's own name; only its owner can look in.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".unfinished", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        yield unfinished
        if is_durable:
            sync(unfinished)
        _put(unfinished, target, folder)
        if is_durable:
            sync(target.parent)


def atomic_write_text(target: Path, text: str) -> None:
    """Write a small file of UTF-8 text, whole or not at all."""
    with atomic_write(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _put(unfinished: Path, target: Path, folder: str) -> None:
    """Rename; what a rename cannot replace, a folder that holds something, is moved into `folder`, and goes with it."""
    while True:
        try:
            unfinished.replace(target)
            return
        except OSError as err:
            if err.errno not in (ENOTEMPTY, EEXIST):
                raise
        with suppress(FileNotFoundError):  # another writer's was put aside by a third
            target.replace(tempfile.mkdtemp(dir=folder))


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
