"""Files of a folder, copied to where they outlive this machine's disk: S3, or what else pyarrow reaches by a URL."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from flightline.core.errors import StartError


def publish(folder: Path, files: Iterable[Path], url: str) -> None:
    """Copy files by their paths in a folder; one of the same path is replaced, others there stay.

    https://arrow.apache.org/docs/python/filesystems.html

    Parameters
    ----------
    url
        Such as s3://bucket/monitoring, or file:///folder.

    Raises
    ------
    StartError
        If it is no URL that pyarrow knows, or cannot be written to.
    """
    try:
        system, path = fs.FileSystem.from_uri(url)
        for file in files:
            target = PurePosixPath(path) / file.relative_to(folder).as_posix()
            if isinstance(system, fs.LocalFileSystem):
                system.create_dir(str(target.parent), recursive=True)
            fs.copy_files(str(file), str(target), source_filesystem=fs.LocalFileSystem(), destination_filesystem=system)
    except (pa.ArrowInvalid, OSError) as err:
        raise StartError(
            f"FLIGHTLINE_MONITORING_URL={url!r} cannot be written to ({type(err).__name__}: {err}); expected a URL "
            "such as s3://bucket/monitoring, and the rights to it"
        ) from err
