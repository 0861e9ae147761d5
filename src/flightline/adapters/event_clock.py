"""Where the event clock stands: the time of day, or a small file that every process reads.

FLIGHTLINE_CLOCK=real wins over the file; without it the file decides, and it may say `real` too.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.core.clock import parse_moment
from flightline.core.errors import ClockError
from flightline.core.settings import Settings

REAL = "real"
_SETTLED_SECONDS = 1.0
NEW_STATE = (
    "for an earlier one begin a new state, `rm -r .state`, and train: what was learned, logged and materialised would "
    "lie in the future"
)


@dataclass(frozen=True)
class _Kept:
    """What the file holds: None in `now` is the time of day; files of before December 2026 hold no first clock."""

    now: datetime | None
    first: datetime | None


def read_clock(settings: Settings) -> datetime:
    """Tell what time it is by the event clock (UTC).

    Raises
    ------
    ClockError
        If the clock is to be a set one and has not been set, or its file cannot be read.
    """
    return (None if settings.clock == REAL else _read(settings).now) or datetime.now(UTC)


def follows_the_day(settings: Settings) -> bool:
    """Say whether the event clock is the time of day, by the setting or by its file; `ClockError` as `read_clock`."""
    return settings.clock == REAL or _read(settings).now is None


# What the file held when it was last read, by its path and what changes when it is written.
_last: tuple[object, _Kept | None] = (None, None)


@lru_cache(maxsize=16)
def _file_of(root: Path) -> str:
    """Name the file, for every request: making its path takes longer than to look at the file."""
    return str(Settings.model_construct(root=root).clock_file)


def _read(settings: Settings) -> _Kept:
    global _last
    try:
        path = _file_of(settings.root)
        stat = os.stat(path)  # noqa: PTH116 half the time of Path.stat, for every request
        stamp = path, stat.st_mtime_ns, stat.st_ino, stat.st_size
        last_stamp, last = _last
        if last is not None and stamp == last_stamp:
            return last
        kept = _parsed(settings.clock_file.read_text(encoding="utf-8"))
        # One that was written just now may be written again without another time on it.
        if time.time() - stat.st_mtime > _SETTLED_SECONDS:
            _last = stamp, kept
        return kept
    except FileNotFoundError as err:
        raise ClockError(
            "the event clock has not been set: run `make train` first, or set FLIGHTLINE_CLOCK=real"
        ) from err
    except (AttributeError, KeyError, TypeError, ValueError, ClockError) as err:
        raise ClockError(
            f"{settings.clock_file.name} does not hold a moment ({err}); remove it and run `make train`"
        ) from err
    except OSError as err:
        raise ClockError(f"{settings.clock_file.name} cannot be read: {err.strerror}; make it readable") from err


def _parsed(text: str) -> _Kept:
    found = json.loads(text)
    now, first = found["now"], found.get("first_clock")
    return _Kept(None if now == REAL else parse_moment(now), first and parse_moment(first))


def set_clock(settings: Settings, moment: datetime) -> None:
    """Set the event clock to a moment (UTC-aware); readers see the old one or the new, never half.

    It may go back, as simulations want it; people move it by `move_clock`.
    """
    if settings.clock == REAL:
        raise ClockError("FLIGHTLINE_CLOCK=real follows the time of day and cannot be set; use FLIGHTLINE_CLOCK=set")
    first = None
    with suppress(ClockError):
        first = _read(settings).first
    _write(settings, _Kept(_in_utc(moment), first))


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        # astimezone would take it for the machine's own time zone.
        raise ClockError(f"got {moment.isoformat()} without a time zone; the event clock is set in UTC, add one")
    return moment.astimezone(UTC)


def _write(settings: Settings, kept: _Kept) -> None:
    first = {"first_clock": kept.first.isoformat()} if kept.first else {}
    now = kept.now.isoformat() if kept.now else REAL
    atomic_write_text(settings.clock_file, json.dumps({"now": now, **first}) + "\n")


def move_clock(settings: Settings, moment: datetime | None, first: datetime) -> None:
    """Move the event clock forward, or set it for the first time.

    Parameters
    ----------
    moment
        Where to (with a time zone), at most the time of day; None lets it follow the time of day from now on.
    first
        The problem's `first_clock`, which is kept beside it: `changed_first_clock`.

    Raises
    ------
    ClockError
        If it would go back or beyond the time of day, has no time zone, or is not for this file to say.
    """
    if settings.clock == REAL:
        raise ClockError("FLIGHTLINE_CLOCK=real wins over `make clock`: the clock follows the time of day already")
    if settings.profile != "local":
        raise ClockError(
            f"in the profile {settings.profile} each container has a clock file of its own, and moving one would set "
            "them apart; set FLIGHTLINE_CLOCK=real for all of them"
        )
    now = datetime.now(UTC)
    to = now if moment is None else _in_utc(moment)
    if to > now:
        raise ClockError(
            f"got {to.isoformat()}, which is still to come: nothing can be known by then, and the clock could not "
            "follow the time of day later; take a moment that is past, or `real`"
        )
    if settings.clock_file.exists() and to < (stands := read_clock(settings)):
        raise ClockError(
            f"the event clock stands at {stands.isoformat()} and moves forward only, got {to.isoformat()}; {NEW_STATE}"
        )
    _write(settings, _Kept(None if moment is None else to, first))


def changed_first_clock(settings: Settings, first: datetime) -> str | None:
    """Say that the problem's `first_clock` is another than the one this state began with; None if it is not."""
    if settings.clock == REAL or (began := _read(settings).first) in (None, first):
        return None
    stands = read_clock(settings)
    remedy = f"move it by `make clock TO={first:%Y-%m-%dT%H:%MZ}`" if first > stands else NEW_STATE
    return (
        f"first_clock in the problem is {first.isoformat()} now, but this state began with {began.isoformat()}: that "
        f"moves no clock, it stands at {stands.isoformat()}; {remedy}"
    )


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def ensure_clock(settings: Settings, first: datetime, say: Callable[[str], None] = _to_stderr) -> datetime:
    """Set the clock to its first moment if it has none yet, and tell where it stands.

    Parameters
    ----------
    first
        The problem's `first_clock`. It is kept with the clock, and another one later is said: it has no effect.
    say
        Takes that line.
    """
    if settings.clock == REAL:
        return read_clock(settings)
    if not settings.clock_file.exists():
        _write(settings, _Kept(_in_utc(first), first))
    elif (kept := _read(settings)).first is None:
        _write(settings, _Kept(kept.now, first))
    if changed := changed_first_clock(settings, first):
        say(f"clock           {changed}")
    return read_clock(settings)
