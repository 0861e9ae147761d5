"""CHANGE ME for your own problem: what a request and a prediction hold, and when a request is about.

The service reads an instance by the names in `entity_keys` and `request_columns` of `config.py`, and fills a
prediction in by its `label`.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from flightline.core.response import Answer

# The instance's field that says when what is predicted happens.
EVENT_TIME_FIELD = "fixed_at"


def _real(text: str) -> str:
    """Refuse the 30th of February."""
    datetime.fromisoformat(text)
    return text


Storm = Annotated[str, StringConstraints(pattern=r"^20[0-9]{5}[NS][0-9]{5}$")]
Fixed = Annotated[
    str,
    StringConstraints(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}T(00|06|12|18):00Z$"),
    AfterValidator(_real),
]
Status = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Class: TypeAlias = Literal["gone", "depression", "storm", "hurricane"]

EXAMPLE: dict[str, JsonValue] = {
    "storm": "2024244N09137",
    "basin": "WP",
    "fixed_at": "2024-09-01T18:00Z",
    "latitude": 14.5,
    "longitude": 123.3,
    "status": "TS",
    "wind": 40,
    "pressure": 995,
}


class Instance(BaseModel):
    """A fix to predict from, as its forecaster has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    storm: Storm = Field(description="Serial number of the storm: year, day and place of its beginning.")
    basin: Literal["AL", "EP", "NI", "SA", "SI", "SP", "WP"] = Field(description="Where the storm is; AL: Atlantic.")
    fixed_at: Fixed = Field(description="Moment of the fix (UTC), every six hours.")
    latitude: float = Field(ge=-75, le=75, description="Degrees to the north.")
    longitude: float = Field(ge=-180, le=180, description="Degrees to the east.")
    status: Status = Field(description="Kind of the storm, such as TD, TS, TY or EX.")
    wind: int | None = Field(default=None, strict=True, ge=5, le=220, description="Highest of one minute, knots.")
    pressure: int | None = Field(default=None, strict=True, ge=850, le=1050, description="Lowest, hectopascals.")


class Outcome(BaseModel):
    """What the storm will be 24 hours later."""

    probabilities: dict[Class, float] = Field(description="Of each class.")
    next_day: Class = Field(description="The likeliest class.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def event_time_of(instance: Instance) -> datetime:
    """Give the moment the request is about; once it is past there is nothing to predict."""
    return datetime.fromisoformat(instance.fixed_at)
