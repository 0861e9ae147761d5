"""Where exported days go on from this machine's disk: S3, or whatever else pyarrow reaches by a URL."""

import hashlib
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from flightline.adapters.files.atomic_write import sync
from flightline.core.errors import LogError


class RemoteFolder:
    """A folder of files that are written whole and read back.

    https://arrow.apache.org/docs/python/filesystems.html

    Parameters
    ----------
    url
        Such as s3://bucket/folder, or file:///folder.
    apart_from
        A folder of this disk, which it must not be.

    Raises
    ------
    LogError
        If it is no URL of a kind that pyarrow knows, or names that folder.
    """

    def __init__(self, url: str, apart_from: Path):
        try:
            self._system, self._path = fs.FileSystem.from_uri(url)
        except (pa.ArrowInvalid, OSError) as err:
            raise LogError(
                f"prediction_log.export_url cannot be used ({type(err).__name__}); expected s3://bucket/folder, and "
                "the rights to it"
            ) from err
        self._is_local = isinstance(self._system, fs.LocalFileSystem)
        if self._is_local and Path(self._path).is_dir() and apart_from.samefile(self._path):
            raise LogError(
                "prediction_log.export_url names the folder where files lie before they go on; expected another: "
                "leave it empty, and they stay there"
            )

    def fetch(self, file: Path) -> None:
        """Bring the file of that name, if there is one."""
        if self._system.get_file_info(self._of(file)).type == fs.FileType.File:
            fs.copy_files(self._of(file), str(file), source_filesystem=self._system, destination_filesystem=_LOCAL)

    def store(self, file: Path) -> None:
        """Put a file there and read it back; until then the one of that name, if there is one, stays in its place.

        An object store shows a file when all of it is there; in a folder it is written beside its place.

        Raises
        ------
        LogError
            If what is there then is not that file.
        """
        target = self._of(file)
        written = f"{target}.unfinished" if self._is_local else target
        fs.copy_files(str(file), written, source_filesystem=_LOCAL, destination_filesystem=self._system)
        with file.open("rb") as here, self._system.open_input_stream(written) as there:
            if _digest(here) != _digest(there):
                raise LogError(f"{file.name} reads back changed from prediction_log.export_url; nothing was deleted")
        if self._is_local:
            sync(Path(written))
            Path(written).replace(target)
            sync(Path(self._path))

    def _of(self, file: Path) -> str:
        return f"{self._path}/{file.name}"


_LOCAL = fs.LocalFileSystem()


def _digest(stream: IO[bytes] | Any) -> str:
    digest = hashlib.sha256()
    while part := stream.read(1_048_576):
        digest.update(part)
    return digest.hexdigest()
