"""API keys: who may ask, as digests in a file or in the settings.

A key is 256 random bits, so nobody guesses it from its digest however fast the hash: sha256
is right here, where for passwords, which people choose, only a slow hash would be. It costs a
microsecond a request.
"""

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flightline.adapters.atomic_write import atomic_write
from flightline.core.errors import StartError
from flightline.core.settings import Settings, Sha256

PREFIX = "fl_"
CHECK_EVERY_SECONDS = 1.0
LOG = logging.getLogger("serving")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class StoredKey(BaseModel):
    """What is kept of a key: never the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: Sha256
    created: datetime


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[StoredKey] = []


def digest_of(key: str) -> str:
    """Give the sha256 of a key, in hex.

    Examples
    --------
    >>> digest_of("fl_x")[:8]
    '6e07c352'
    """
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(file: Path) -> list[StoredKey]:
    """Read the keys in a file; none if there is no file.

    Raises
    ------
    StartError
        If it is not a file of keys.
    """
    try:
        return _KeyFile.model_validate_json(file.read_bytes()).keys
    except FileNotFoundError:
        return []
    except (ValidationError, OSError) as err:
        raise StartError(
            f"{file.name} is not a readable file of API keys ({type(err).__name__}); "
            "move it away and issue new ones: make api-key NAME=team"
        ) from err


def issue_key(file: Path, name: str) -> str:
    """Make a key, store its digest and give it: it cannot be had again.

    Parameters
    ----------
    file
        Where digests are kept.
    name
        Who it is for: 1 to 40 of a-z, 0-9, dot, underscore and hyphen.

    Raises
    ------
    StartError
        If the name is not of that form or has a key already.
    """
    if not _NAME.fullmatch(name):
        raise StartError(f"got the name {name[:80]!r}, expected 1 to 40 of a-z, 0-9, '.', '_' and '-'")
    stored = read_keys(file)
    if name in {key.name for key in stored}:
        raise StartError(f"{name!r} has a key already; take another name, or first: make api-key REVOKE={name}")
    key = PREFIX + secrets.token_urlsafe(32)
    _write(file, [*stored, StoredKey(name=name, sha256=digest_of(key), created=datetime.now(UTC))])
    return key


def revoke_key(file: Path, name: str) -> None:
    """Forget a key; running services refuse it within seconds.

    Raises
    ------
    StartError
        If there is none of that name.
    """
    stored = read_keys(file)
    kept = [key for key in stored if key.name != name]
    if len(kept) == len(stored):
        names = ", ".join(key.name for key in stored) or "none"
        raise StartError(f"got {name[:80]!r}, expected the name of a stored key: {names}")
    _write(file, kept)


def _write(file: Path, keys: list[StoredKey]) -> None:
    """Replace the file whole, readable by its owner only."""
    with atomic_write(file, is_durable=True) as unfinished:
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(_KeyFile(keys=keys).model_dump(mode="json"), indent=2), encoding="utf-8")


class KeyRing:
    """The keys that are valid now, followed while the service runs.

    Parameters
    ----------
    file
        Looked at again at most once a second.
    fixed
        Name to digest, from the settings.
    """

    def __init__(self, file: Path, fixed: Mapping[str, str]):
        self._file = file
        self._fixed = tuple(fixed.items())
        self._known = self._fixed
        self._seen: tuple[int, ...] | None = None
        self._next_poll = 0.0

    @classmethod
    def of(cls, settings: Settings) -> "KeyRing":
        """Make the ring that settings describe."""
        return cls(settings.api_keys_file, settings.serving.api_keys)

    def names(self) -> list[str]:
        """Give the names of the valid keys."""
        self._poll()
        return [name for name, _ in self._known]

    def find(self, key: str) -> str | None:
        """Give the name of a key, or None; as long for a wrong one as for a right one."""
        if time.monotonic() >= self._next_poll:
            self._poll()
        presented, found = digest_of(key), None
        for name, digest in self._known:
            if hmac.compare_digest(presented, digest):
                found = name
        return found

    def _poll(self) -> None:
        self._next_poll = time.monotonic() + CHECK_EVERY_SECONDS
        seen = _stamp(self._file)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            stored = read_keys(self._file)
        except StartError as err:
            # Which keys were revoked cannot be known, so none of them is taken.
            LOG.error("no key of the file is valid: %s", err)
            stored = []
        self._known = (*self._fixed, *((key.name, key.sha256) for key in stored))


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
