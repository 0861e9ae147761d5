"""What a run left behind, read from the outside: registry, data.dvc and data/.

The registry is read from MLflow's SQLite file itself, so that no code under proof is asked,
and reading costs nothing. The control compares it with what `make status` says.
"""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class State:
    """What a safeguard must keep as it is.

    Parameters
    ----------
    champion
        Version that the alias points at, or None.
    versions
        How many model versions are registered.
    data_version
        Text of data.dvc.
    data
        Hash over data/, or None where there is none.
    """

    champion: str | None
    versions: int
    data_version: str
    data: str | None


def observe(root: Path) -> State:
    """Read the state of a copy."""
    champion, versions = _registry(root / ".state" / "mlflow" / "mlflow.db")
    return State(champion, versions, (root / "data.dvc").read_text(encoding="utf-8"), _hash(root / "data"))


def _registry(database: Path) -> tuple[str | None, int]:
    if not database.is_file():
        return None, 0
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        aliases = connection.execute("SELECT version FROM registered_model_aliases WHERE alias = 'champion'").fetchall()
        ((versions,),) = connection.execute("SELECT count(*) FROM model_versions").fetchall()
    return (str(aliases[0][0]) if aliases else None), int(versions)


def _hash(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
