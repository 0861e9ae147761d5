"""Spans of prediction times: what is learned from, chosen on and tested on, fixed or moving with the labels."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal


def demand_zone(name: str, moment: datetime) -> None:
    """Refuse a moment without a time zone.

    Raises
    ------
    ValueError
        Naming it.
    """
    if moment.tzinfo is None:
        raise ValueError(f"got {name}={moment} without a time zone; add one, such as tzinfo=UTC")


@dataclass(frozen=True)
class Interval:
    """A span of prediction times, `start` included and `end` not (both UTC-aware)."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            demand_zone(name, getattr(self, name))

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


@dataclass(frozen=True)
class Windows:
    """What is learned from, what choices are made on, and what is touched once."""

    fit: Interval
    validation: Interval
    test: Interval

    def __post_init__(self) -> None:
        ordered = [
            self.fit.start,
            self.fit.end,
            self.validation.start,
            self.validation.end,
            self.test.start,
            self.test.end,
        ]
        if ordered != sorted(ordered):
            raise ValueError(f"windows must follow one another in time, got {self}")

    def until(self, newest: datetime) -> "Windows":
        """Give themselves: they are the same, whichever label is the newest."""
        return self

    def __str__(self) -> str:
        return f"fit {self.fit}, validation {self.validation}, test {self.test}"


@dataclass(frozen=True)
class MovingWindows:
    """Windows by length: they follow the newest known label, month after month or day after day.

    Parameters
    ----------
    fit
        How many units the fit window has, or the moment at which it begins (UTC-aware).
    validation, test
        How many units each has. The test window ends with the unit of the newest known label, which may be partly over.
    unit
        What is counted: calendar months, or days (UTC).
    settling
        How long before the newest known label the test window ends, for a problem where labels of one kind are known
        earlier than others: a purchase within 28 days is known on its day, none only after 28.
    """

    fit: int | datetime
    validation: int
    test: int
    unit: Literal["months", "days"] = "months"
    settling: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        lengths = [self.validation, self.test, *([self.fit] if isinstance(self.fit, int) else [])]
        if min(lengths) < 1 or self.settling < timedelta(0):
            raise ValueError(f"moving windows have at least one unit each, and settle in no less than 0, got {self}")
        if isinstance(self.fit, datetime):
            demand_zone("fit", self.fit)

    def until(self, newest: datetime) -> Windows:
        """Give the windows whose test ends with a prediction time.

        Raises
        ------
        ValueError
            If nothing is left to fit on.
        """
        newest -= self.settling
        test_start = self._start(newest, 1 - self.test)
        validation_start = self._start(test_start, -self.validation)
        fit_start = self.fit if isinstance(self.fit, datetime) else self._start(validation_start, -self.fit)
        if fit_start >= validation_start:
            raise ValueError(
                f"the fit window would begin on {fit_start:%Y-%m-%d} and end on {validation_start:%Y-%m-%d}"
            )
        test_end = newest if self.settling else self._start(newest, 1)
        return Windows(
            Interval(fit_start, validation_start),
            Interval(validation_start, test_start),
            Interval(test_start, test_end),
        )

    def _start(self, moment: datetime, units: int) -> datetime:
        """Give the start of the unit so many after the one that a moment lies in."""
        if self.unit == "days":
            return datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(days=units)
        year, month = divmod(moment.year * 12 + moment.month - 1 + units, 12)
        return datetime(year, month + 1, 1, tzinfo=UTC)


def asked_since(window: Interval) -> datetime:
    """Give the clock from which on predictions of a window may be asked for: its own length earlier, and no more."""
    return window.start - (window.end - window.start)
