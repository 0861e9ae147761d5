"""What tells two states of files apart without reading them: size, time and inode."""

from contextlib import suppress
from pathlib import Path

from flightline.core.lineage import digest_of
from flightline.core.settings import Settings


def stamps(place: Path) -> list[tuple[str, int, int, int]]:
    """Give name, size, time and inode of a file, or of files and links in a folder, but for empty journals.

    A file that goes while they are looked at, as SQLite's journals do, is one that is not there.
    """
    found = place.rglob("*") if place.is_dir() else [place]
    stamped = []
    for file in sorted(each for each in found if each.is_file() or each.is_symlink()):
        with suppress(FileNotFoundError):
            stat = file.lstat() if file.is_dir() else file.stat()
            if not _is_idle(file, stat.st_size):
                stamped.append((str(file), stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return stamped


def registry_state(settings: Settings) -> str | None:
    """Hash the state of the registry of models, without MLflow; None if it is not in files of this clone."""
    return None if settings.mlflow_tracking_uri else digest_of(stamps(settings.state_dir / "mlflow"))


def _is_idle(file: Path, size: int) -> bool:
    """Say whether a file decides nothing: SQLite's index of a journal, an empty one, MLflow's note of a download."""
    return file.name.endswith(("-shm", "registered_model_meta")) or (file.name.endswith("-wal") and not size)
