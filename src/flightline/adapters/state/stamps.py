"""What tells two states of files apart without reading them: size, time and inode."""

from pathlib import Path

from flightline.core.lineage import digest_of
from flightline.core.settings import Settings


def stamps(place: Path) -> list[tuple[str, int, int, int]]:
    """Give name, size, time and inode of a file, or of files and links in a folder, but for empty journals."""
    found = (
        [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file() or each.is_symlink())
    )
    stats = ((str(each), each.lstat() if each.is_dir() else each.stat()) for each in found if not _is_idle(each))
    return [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]


def registry_state(settings: Settings) -> str | None:
    """Name the state that the registry of models is in, without MLflow; None if it is not in files of this clone."""
    return None if settings.mlflow_tracking_uri else digest_of(stamps(settings.state_dir / "mlflow"))


def _is_idle(file: Path) -> bool:
    """Say whether a file decides nothing: SQLite's index of a journal, an empty one, MLflow's note of a download."""
    return file.name.endswith(("-shm", "registered_model_meta")) or (
        file.name.endswith("-wal") and not file.stat().st_size
    )
