"""DVC's remote in words: where it may be, and what to do where it cannot be used. DVC itself is not asked here."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flightline.core.errors import DataVersionError

KINDS = "an absolute path of a folder, s3://bucket/prefix or ssh://user@host/path"
_IN_CONFIG_LOCAL = "Credentials belong into the environment, a profile, the ssh agent or .dvc/config.local"
_LOOKED_FOR = {
    "s3": "Credentials are looked for where AWS's tools look (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "AWS_PROFILE, the role of the workflow or machine) and in .dvc/config.local; the bucket must exist.",
    "ssh": "Keys are looked for in the ssh agent, as ~/.ssh/config says and in ~/.ssh/id_*; try `ssh` to that host.",
    "": "The folder must be mounted here, and you must be allowed to read it, and to write it for a new version.",
}


@dataclass(frozen=True)
class Remote:
    """Where the project's DVC keeps versions of data/.

    Parameters
    ----------
    name
        As .dvc/config calls it.
    url
        A folder's absolute path, or a URL.
    """

    name: str
    url: str
    root: Path

    def __str__(self) -> str:
        shown = re.sub("(//[^/@:]*):[^/@]*@", r"\1@", self.url)  # without a password
        return f"'{self.name}' ({shown})"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine's file system."""
        return not urlsplit(self.url).scheme

    @property
    def is_of_clone(self) -> bool:
        """Whether it is a folder of this clone, which no other clone reads."""
        return self.is_folder and is_inside(Path(self.url), self.root)

    @property
    def looked_for(self) -> str:
        """What access is tried with."""
        return _LOOKED_FOR.get(urlsplit(self.url).scheme, "Check its options: dvc remote list")

    @property
    def how_to_get(self) -> str:
        """What to do about a version that it does not hold."""
        if self.is_of_clone:
            return (
                "That remote is a folder of this clone, so a version made in another clone is only there. Run "
                f"`make data-remote URL=...` there ({KINDS}), commit and push .dvc/config; here git pull and make data."
            )
        if self.is_folder and not Path(self.url).is_dir():
            return f"There is no folder {self.url} here: mount it, and run this again."
        return "Run `make data-push` in a clone whose data/ is at this version; then this again."


def is_inside(folder: Path, root: Path) -> bool:
    """Say whether a folder is the root or below it, links followed."""
    return folder.resolve().is_relative_to(root.resolve())


def check_url(root: Path, url: str, endpoint: str = "") -> None:
    """Demand a URL that others can use and that may be committed.

    Parameters
    ----------
    root
        The clone; a relative folder is relative to it.
    url
        A folder, ``s3://bucket/prefix`` or ``ssh://user@host:port/path``.
    endpoint
        For S3 that is not AWS's, such as ``https://s3.example.com``.

    Raises
    ------
    DataVersionError
        Saying what is wrong with it; a secret is not repeated.
    """
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    if ":" in user or (user and parts.scheme != "ssh") or parts.query or "@" in urlsplit(endpoint).netloc:
        raise DataVersionError(
            f"the URL holds a password, a key or a query, and it would be committed. {_IN_CONFIG_LOCAL}"
        )
    if not url or parts.scheme not in _LOOKED_FOR:
        raise DataVersionError(f"a shared remote cannot be at URL={url or '(nothing)'}; expected {KINDS}")
    if endpoint and (parts.scheme != "s3" or urlsplit(endpoint).scheme not in ("http", "https")):
        raise DataVersionError(f"got ENDPOINT={endpoint} for {url}; expected http(s)://host, and only for s3://")
    if parts.scheme and not parts.netloc:
        raise DataVersionError(f"{url} names no bucket or host; expected {KINDS}")
    if not parts.scheme:
        _check_folder(root, folder_of(root, url))


def _check_folder(root: Path, folder: Path) -> None:
    if is_inside(folder, root):
        raise DataVersionError(f"{folder} is inside this clone, where nobody else reads it; expected a folder outside")
    if not folder.is_dir() and not folder.parent.is_dir():
        raise DataVersionError(
            f"there is no folder {folder}, and none above it: mount it or make it, and run this again"
        )


def folder_of(root: Path, url: str) -> Path:
    """Give the absolute path of a remote's folder."""
    return Path(os.path.normpath(root / Path(url).expanduser()))
