"""How a running canary reaches the workers: the challenger and its setting in a folder beside the champion's.

The folder is laid out as the champion's is, so `served_model.py` writes and reads it; the
setting is one more file. The model sync writes it, workers read it.
"""

from pathlib import Path

from pydantic import ValidationError

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.core.settings import Settings
from flightline.promotion.canary import CanarySetting

SETTING_FILE = "setting.json"


def canary_folder(settings: Settings) -> Path:
    """Say where the challenger lies for the workers."""
    return settings.serving_models_dir / "canary"


def write_setting(folder: Path, setting: CanarySetting | None) -> None:
    """Put a setting where workers look, whole or not at all; None ends the canary."""
    file = folder / SETTING_FILE
    if setting is None:
        file.unlink(missing_ok=True)
        return
    atomic_write_text(file, setting.model_dump_json() + "\n")


def read_setting(folder: Path) -> CanarySetting | None:
    """Read the setting; None if there is none, or none that can be understood."""
    try:
        return CanarySetting.model_validate_json((folder / SETTING_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def setting_stamp(folder: Path) -> tuple[int, int] | None:
    """Look cheaply whether the setting may have changed."""
    try:
        found = (folder / SETTING_FILE).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
