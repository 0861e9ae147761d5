"""API keys: who may ask for what, and until when, as digests in a file or in the settings.

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
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.errors import StartError
from flightline.core.settings import SCOPES, ApiKey, Settings

PREFIX = "fl_"
CHECK_EVERY_SECONDS = 1.0
USE_EVERY_SECONDS = 60.0
LOG = logging.getLogger("serving")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class StoredKey(ApiKey, frozen=True):
    """A key by its name."""

    name: str
    created: datetime | None = None  # not known of keys in the settings

    def is_valid(self, now: datetime) -> bool:
        """Say whether it has not expired."""
        return self.expires is None or now < self.expires


class _KeyFile(BaseModel, extra="forbid"):
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


def issue_key(
    file: Path,
    name: str,
    expires: datetime | None = None,
    scopes: Collection[str] = SCOPES,
    now: datetime | None = None,
) -> str:
    """Make a key, store its digest and give it: it cannot be had again.

    Parameters
    ----------
    file
        Where digests are kept.
    name
        Who it is for: 1 to 40 of a-z, 0-9, dot, underscore and hyphen.
    expires
        From when on it is refused (UTC-aware); None for never.
    scopes
        What it may ask for: some of `SCOPES`.
    now
        The time of day (UTC-aware), if another than that of this machine.

    Raises
    ------
    StartError
        If the name is not of that form or has a key already, or a key like that could never be used.
    """
    now = now or datetime.now(UTC)
    if not _NAME.fullmatch(name):
        raise StartError(f"got the name {name[:80]!r}, expected 1 to 40 of a-z, 0-9, '.', '_' and '-'")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise StartError(f"got the scopes {','.join(scopes)[:80]!r}, expected some of {','.join(SCOPES)}")
    if expires is not None and expires <= now:
        raise StartError(f"got a key that expires {expires:%Y-%m-%d %H:%M} UTC, expected a moment to come")
    stored = read_keys(file)
    if name in {key.name for key in stored}:
        raise StartError(f"{name!r} has a key already; take another name, or first: make api-key REVOKE={name}")
    key = PREFIX + secrets.token_urlsafe(32)
    chosen = tuple(scope for scope in SCOPES if scope in scopes)
    added = StoredKey(name=name, sha256=digest_of(key), created=now, expires=expires, scopes=chosen)
    _write(file, [*stored, added])
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
    _use_file(file, name).unlink(missing_ok=True)


def _write(file: Path, keys: list[StoredKey]) -> None:
    """Replace the file whole, readable by its owner only."""
    with atomic_write(file, is_durable=True) as unfinished:
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(_KeyFile(keys=keys).model_dump(mode="json"), indent=2), encoding="utf-8")


def last_used(file: Path, name: str) -> datetime | None:
    """Say when a key was last used, to the minute; None if it never was."""
    try:
        return datetime.fromtimestamp(_use_file(file, name).stat().st_mtime, UTC)
    except OSError:
        return None


def _use_file(file: Path, name: str) -> Path:
    """Give the file whose time of change is a key's last use: several workers may touch it at once."""
    return file.with_suffix(".used") / name


class KeyRing:
    """The keys that are valid now, followed while the service runs.

    Parameters
    ----------
    file
        Looked at again at most once a second.
    fixed
        From the settings, by name: a digest, or more.
    """

    def __init__(self, file: Path, fixed: Mapping[str, str | ApiKey]):
        self._file = file
        self._fixed = tuple(
            StoredKey(name=name, **key.model_dump() if isinstance(key, ApiKey) else {"sha256": key})
            for name, key in fixed.items()
        )
        self._known = self._fixed
        self._seen: tuple[int, ...] | None = None
        self._next_poll = 0.0
        self._next_use: dict[str, float] = {}

    @classmethod
    def of(cls, settings: Settings) -> "KeyRing":
        """Make the ring that settings describe."""
        return cls(settings.api_keys_file, settings.serving.api_keys)

    def find(self, key: str) -> StoredKey | None:
        """Give what is known of a valid key, or None; as long for a wrong one as for a right one."""
        if time.monotonic() >= self._next_poll:
            self._poll()
        presented, found = digest_of(key), None
        for known in self._known:
            if hmac.compare_digest(presented, known.sha256):
                found = known
        return found if found is not None and found.is_valid(datetime.now(UTC)) else None

    def note_use(self, name: str) -> None:
        """Keep when a key was last used; once a minute, since it costs a look at the disk."""
        now = time.monotonic()
        if now < self._next_use.get(name, 0.0) or not _NAME.fullmatch(name):
            return
        self._next_use[name] = now + USE_EVERY_SECONDS
        file = _use_file(self._file, name)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
        except OSError as err:  # a full or read-only disk is no reason to refuse anybody
            LOG.warning("the last use of an API key cannot be kept: %s", err.strerror)

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
        self._known = (*self._fixed, *stored)


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
