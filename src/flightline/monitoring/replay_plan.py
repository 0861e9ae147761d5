"""Which moments a simulation goes through, and in which order; what happens at them is in `pipelines/simulation.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from flightline.core.errors import ClockError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """A span of the event clock, cut into steps.

    Parameters
    ----------
    start, end
        UTC-aware, `end` not included.
    step
        Between two materialisations.

    Raises
    ------
    ClockError
        If the span is empty or the step is not above zero.
    """

    start: datetime
    end: datetime
    step: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.start >= self.end or self.step <= timedelta(0):
            raise ClockError(
                f"got {self.start.isoformat()} to {self.end.isoformat()} in steps of {self.step}; expected a start "
                "before the end and a step above zero"
            )

    @property
    def name(self) -> str:
        """A name for its folder."""
        return f"{self.start:%Y%m%dT%H%M}-{self.end:%Y%m%dT%H%M}"

    def steps(self) -> Iterator[tuple[datetime, datetime]]:
        """Give the start and the end of each step; a step never reaches past a day of the plan.

        Examples
        --------
        >>> noon = datetime(2020, 1, 1, 12)
        >>> [end.hour for _, end in Plan(noon, noon.replace(hour=15), timedelta(hours=2)).steps()]
        [14, 15]
        """
        moment = self.start
        while moment < self.end:
            until = min(moment + self.step, self.day_end(moment))
            yield moment, until
            moment = until

    def day_end(self, moment: datetime) -> datetime:
        """Give the end of the day a moment lies in, counted from the start, or the end of all."""
        return min(self.start + ((moment - self.start) // DAY + 1) * DAY, self.end)


def arrivals_between(examples: pd.DataFrame, start: datetime, end: datetime) -> Iterator[tuple[datetime, pd.DataFrame]]:
    """Give the examples whose prediction time lies in a span, those of one moment together, in order of time.

    Parameters
    ----------
    examples
        With event_timestamp (the prediction time, UTC) and example_id.
    start, end
        Start included, end not.
    """
    moments = examples["event_timestamp"]
    inside = examples[(moments >= start) & (moments < end)].sort_values(["event_timestamp", "example_id"])
    for moment, rows in inside.groupby("event_timestamp", sort=True):
        yield pd.Timestamp(str(moment)).to_pydatetime(), rows
