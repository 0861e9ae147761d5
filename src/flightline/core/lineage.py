"""What made a model: everything that must be equal to make it again."""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from.

    Parameters
    ----------
    git_commit
        Commit of the code, or "unknown" outside a git checkout.
    git_dirty
        Whether tracked files differed from that commit.
    data_md5
        Hash of the data directory in data.dvc.
    features_sha256
        Hash over the feature declarations in canonical text and the feature code.
    lock_sha256
        Hash of the lock file of the environment.
    feature_views_sha256
        Hash of what the feature service's views mean; the running service compares it with
        those registered where it runs.
    """

    git_commit: str
    git_dirty: bool
    data_md5: str
    feature_service: str
    features_sha256: str
    lock_sha256: str
    seed: int
    feature_views_sha256: str = ""

    def as_tags(self) -> dict[str, str]:
        """Give it as tags, prefixed ``lineage.``."""
        return {f"lineage.{name}": str(value) for name, value in asdict(self).items()}


# Made once: each logged prediction has a digest.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


def canonical_json(value: object) -> str:
    """Write a value so that equal values give equal text."""
    return _CANONICAL.encode(value)


def digest_of(*parts: object) -> str:
    """Hash values in canonical text (sha256, hex).

    Examples
    --------
    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256("\n".join(canonical_json(part) for part in parts).encode()).hexdigest()
