"""Reads the settings from the environment, and says in one sentence which variable makes no sense."""

from pydantic import ValidationError

from flightline.core.errors import SettingsError
from flightline.core.settings import Settings


def read_settings() -> Settings:
    """Read the settings where the environment says them.

    Raises
    ------
    SettingsError
        Naming each variable whose value makes no sense.
    """
    try:
        return Settings()
    except ValidationError as err:
        raise SettingsError(_describe(err)) from None  # what was got may be a password


def _describe(error: ValidationError) -> str:
    """Name each setting and what it should be; what was got only where it is a word of a few."""
    prefix, found = Settings.model_config["env_prefix"], []
    for each in error.errors(include_url=False, include_context=False):
        got = f", got {each['input']!r}" if each["type"] == "literal_error" else ""
        found.append(f"{prefix}{'__'.join(map(str, each['loc'])).upper()}: {each['msg']}{got}")
    return "; ".join(found)
