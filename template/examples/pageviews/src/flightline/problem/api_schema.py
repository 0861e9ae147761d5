"""CHANGE ME for your own problem: what a request and a prediction hold, and when a request is about.

The service reads an instance by the names in `entity_keys` and `request_columns` of `config.py`, and fills a
prediction in by its `label`.
"""

from datetime import UTC, date, datetime
from math import exp
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, computed_field

from flightline.core.response import Answer

# The instance's field that says when what is predicted happens.
EVENT_TIME_FIELD = "day"


def _real_day(text: str) -> str:
    """Refuse the 30th of February."""
    date.fromisoformat(text)
    return text


Page = Annotated[str, StringConstraints(pattern=r"^\S{1,200}$")]
Day = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_real_day)]

EXAMPLE: dict[str, JsonValue] = {"page": "Thanksgiving", "day": "2024-11-04"}


class Instance(BaseModel):
    """A page and a day to predict for."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    page: Page = Field(description="Page of the English Wikipedia, _ for spaces.")
    day: Day = Field(description="The day asked about (UTC, YYYY-MM-DD).")


class Outcome(BaseModel):
    """How often the page will be viewed."""

    log_views: float = Field(description="Views on the day, natural logarithm.")

    @computed_field(description="Views on the day.")  # type: ignore[prop-decorator] # pydantic's own advice
    @property
    def views(self) -> int:
        """Views on the day: the median, where the errors of the logarithm are symmetric."""
        return round(exp(self.log_views))


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def event_time_of(instance: Instance) -> datetime:
    """Give the moment the request is about; once it is past there is nothing to predict."""
    return datetime.combine(date.fromisoformat(instance.day), datetime.min.time(), UTC)
