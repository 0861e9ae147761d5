"""A folder that is copied to where it outlives this machine's disk: S3, or whatever else pyarrow reaches by a URL."""

from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from flightline.core.errors import StartError


def publish(folder: Path, url: str) -> None:
    """Copy every file of a folder; one of the same name is replaced, others there stay.

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
        if isinstance(system, fs.LocalFileSystem):
            system.create_dir(path, recursive=True)
        fs.copy_files(str(folder), path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=system)
    except (pa.ArrowInvalid, OSError) as err:
        raise StartError(
            f"FLIGHTLINE_MONITORING_URL={url!r} cannot be written to ({type(err).__name__}: {err}); expected a URL "
            "such as s3://bucket/monitoring, and the rights to it"
        ) from err
