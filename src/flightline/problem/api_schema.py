"""CHANGE ME for your own problem: what a request and a prediction hold, and when a request is about.

The service reads an instance by the names in `entity_keys` and `request_columns` of `config.py`, and fills a
prediction in by its `label`.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from flightline.core.response import Answer

# The instance's field that says when what is predicted happens.
EVENT_TIME_FIELD = "scheduled_departure"

_FIRST_MOMENT, _END_OF_MOMENTS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _only_text(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds or milliseconds, as it sees fit."""
    if isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "").isdigit():
        return value
    raise ValueError("expected ISO 8601 text with a time zone, such as 2013-12-31T09:30:00-05:00")


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no time zone; add the offset from UTC, such as 2013-12-31T09:30:00-05:00")
    if not _FIRST_MOMENT <= value < _END_OF_MOMENTS:
        raise ValueError(f"lies outside {_FIRST_MOMENT:%Y} to {_END_OF_MOMENTS:%Y}")
    return value.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_only_text), AfterValidator(_in_utc)]
Airport = Annotated[str, StringConstraints(pattern="^[A-Z0-9]{3}$")]
Carrier = Annotated[str, StringConstraints(pattern="^[A-Z0-9]{2}$")]
TailNumber = Annotated[str, StringConstraints(pattern="^[A-Z0-9]{5,6}$")]

EXAMPLE: dict[str, JsonValue] = {
    "origin": "JFK",
    "dest": "LAX",
    "carrier": "B6",
    "flight": 23,
    "tailnum": "N729JB",
    "scheduled_departure": "2013-12-31T10:30:00-05:00",
}


class Instance(BaseModel):
    """A flight to predict for, as the schedule has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    origin: Literal["EWR", "JFK", "LGA"] = Field(description="Airport of departure (IATA code).")
    dest: Airport = Field(description="Airport of arrival (IATA code).")
    carrier: Carrier | None = Field(default=None, description="Airline (IATA code).")
    flight: int = Field(strict=True, ge=1, le=9999, description="Flight number.")
    tailnum: TailNumber | None = Field(default=None, description="Aircraft planned, if known.")
    scheduled_departure: Moment = Field(description="With its offset from UTC (ISO 8601).")


class Outcome(BaseModel):
    """Whether the flight will arrive late."""

    probability: float = Field(ge=0, le=1, description="That it arrives 15 or more minutes late.")
    late: bool = Field(description="Whether the probability reaches the decision threshold.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def event_time_of(instance: Instance) -> datetime:
    """Give the moment the request is about; once it is past there is nothing to predict."""
    return instance.scheduled_departure
