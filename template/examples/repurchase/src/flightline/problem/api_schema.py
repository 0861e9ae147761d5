"""CHANGE ME for your own problem: what a request and a prediction hold, and when a request is about.

The service reads an instance by the names in `entity_keys` and `request_columns` of `config.py`, and fills a
prediction in by its `label`.
"""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from flightline.core.response import Answer

# The instance's field that says when what is predicted happens.
EVENT_TIME_FIELD = "week"


def _monday(text: str) -> str:
    """Refuse other days, and the 30th of February: the calendar asks on Mondays."""
    if date.fromisoformat(text).weekday() != 0:
        raise ValueError("expected a Monday")
    return text


Week = Annotated[str, StringConstraints(pattern=r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_monday)]

EXAMPLE: dict[str, JsonValue] = {"customer": 4, "week": "1998-04-06"}


class Instance(BaseModel):
    """A customer and a Monday to predict for."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    # Strict: "4" and 4.0 are no customer.
    customer: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(description="The customer's number.")
    week: Week = Field(description="The Monday on which the 28 days begin (UTC, YYYY-MM-DD).")


class Outcome(BaseModel):
    """Whether the customer will buy within 28 days."""

    probability: float = Field(ge=0, le=1, description="That the customer buys at least once.")
    buys: bool = Field(description="Whether the probability reaches the decision threshold.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def event_time_of(instance: Instance) -> datetime:
    """Give the moment the request is about; once it is past there is nothing to predict."""
    return datetime.combine(date.fromisoformat(instance.week), datetime.min.time(), UTC)
