"""Where the event clock stands: the time of day, or a small file that every process reads."""

import json
from datetime import UTC, datetime

from flightline.adapters.atomic_write import atomic_write_text
from flightline.core.clock import parse_moment
from flightline.core.errors import ClockError
from flightline.core.settings import Settings


def read_clock(settings: Settings) -> datetime:
    """Tell what time it is by the event clock (UTC).

    Raises
    ------
    ClockError
        If the clock is to be a set one and has not been set, or its file cannot be read.
    """
    if settings.clock == "real":
        return datetime.now(UTC)
    try:
        return parse_moment(json.loads(settings.clock_file.read_text(encoding="utf-8"))["now"])
    except FileNotFoundError as err:
        raise ClockError(
            "the event clock has not been set: run `make train` first, or set FLIGHTLINE_CLOCK=real"
        ) from err
    except (KeyError, TypeError, ValueError, ClockError) as err:
        raise ClockError(
            f"{settings.clock_file.name} does not hold a moment ({err}); remove it and run `make train`"
        ) from err
    except OSError as err:
        raise ClockError(f"{settings.clock_file.name} cannot be read: {err.strerror}; make it readable") from err


def set_clock(settings: Settings, moment: datetime) -> None:
    """Set the event clock to a moment (UTC-aware); readers see the old one or the new, never half."""
    if settings.clock == "real":
        raise ClockError("FLIGHTLINE_CLOCK=real follows the time of day and cannot be set; use FLIGHTLINE_CLOCK=set")
    if moment.tzinfo is None:
        # astimezone would take it for the machine's own time zone.
        raise ClockError(f"got {moment.isoformat()} without a time zone; the event clock is set in UTC, add one")
    atomic_write_text(settings.clock_file, json.dumps({"now": moment.astimezone(UTC).isoformat()}) + "\n")


def ensure_clock(settings: Settings, first: datetime) -> datetime:
    """Set the clock to its first moment if it has none yet, and tell where it stands."""
    if settings.clock == "set" and not settings.clock_file.exists():
        set_clock(settings, first)
    return read_clock(settings)
