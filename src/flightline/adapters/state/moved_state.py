"""Makes the state of a clone that was copied or moved the clone's own.

What this project writes names files by paths below the root. Two tools keep whole paths: MLflow, of its artifacts, and
Prefect, in the results that it caches.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.core.settings import Settings

ROOT_FILE = "root"
CACHES = ("prefect/storage", "simulations/prefect/storage")


def own_state(settings: Settings) -> Path | None:
    """Let the state belong to the settings' root, and note it; give the root it belonged to before, if another."""
    file, root = settings.state_dir / ROOT_FILE, settings.root.resolve()
    before = Path(file.read_text(encoding="utf-8").strip()) if file.is_file() else root
    if before != root:
        replace_root(settings.state_dir / "mlflow" / "mlflow.db", before, root)
        for cache in CACHES:
            shutil.rmtree(settings.state_dir / cache, ignore_errors=True)
    atomic_write_text(file, f"{root}\n")
    return before if before != root else None


def replace_root(database: Path, before: Path, root: Path) -> None:
    """Let the paths and file addresses in a SQLite file that begin with one root begin with another."""
    if not database.is_file():
        return
    # By name: Python 3.12 warns of a sequence for numbered placeholders, and 3.14 refuses it.
    pairs = [
        {"before": f"{before}/", "root": f"{root}/"},
        {"before": f"{before.as_uri()}/", "root": f"{root.as_uri()}/"},
    ]
    with closing(sqlite3.connect(database)) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                name = f'"{column[1]}"'
                rest = f"substr({name}, length(:before) + 1) WHERE substr({name}, 1, length(:before)) = :before"
                connection.executemany(f'UPDATE "{table}" SET {name} = :root || {rest}', pairs)  # noqa: S608  # own names
