"""Where exported days go on from this machine's disk: S3, or whatever else pyarrow reaches by a URL."""

import hashlib
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from flightline.core.errors import LogError


class RemoteFolder:
    """A folder of files that are written whole and read back.

    https://arrow.apache.org/docs/python/filesystems.html

    Parameters
    ----------
    url
        Such as s3://bucket/folder, or file:///folder.

    Raises
    ------
    LogError
        If it is no URL of a kind that pyarrow knows.
    """

    def __init__(self, url: str):
        try:
            self._system, self._path = fs.FileSystem.from_uri(url)
        except (pa.ArrowInvalid, OSError) as err:
            raise LogError(
                f"prediction_log.export_url cannot be used ({type(err).__name__}); expected s3://bucket/folder, and "
                "the rights to it"
            ) from err

    def fetch(self, file: Path) -> None:
        """Bring the file of that name; if there is none, the one on this disk, which nobody keeps, goes too."""
        file.unlink(missing_ok=True)
        if self._system.get_file_info(self._of(file)).type == fs.FileType.File:
            fs.copy_files(self._of(file), str(file), source_filesystem=self._system, destination_filesystem=_LOCAL)

    def store(self, file: Path) -> None:
        """Put a file there and read it back.

        Raises
        ------
        LogError
            If what is there then is not that file.
        """
        fs.copy_files(str(file), self._of(file), source_filesystem=_LOCAL, destination_filesystem=self._system)
        with file.open("rb") as here, self._system.open_input_stream(self._of(file)) as there:
            if _digest(here) != _digest(there):
                raise LogError(f"{file.name} reads back changed from prediction_log.export_url; nothing was deleted")

    def _of(self, file: Path) -> str:
        return f"{self._path}/{file.name}"


_LOCAL = fs.LocalFileSystem()


def _digest(stream: IO[bytes] | Any) -> str:
    digest = hashlib.sha256()
    while part := stream.read(1_048_576):
        digest.update(part)
    return digest.hexdigest()
