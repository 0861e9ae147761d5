"""Bodies of the KServe V1 protocol that are the same for every problem.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, FailFast, Field, FiniteFloat

InstanceT = TypeVar("InstanceT", bound=BaseModel)
PredictionT = TypeVar("PredictionT", bound=BaseModel)


class Answer(BaseModel, extra="forbid"):
    """What comes with every prediction: as of when it holds, and what it could not use."""

    prediction_id: str = Field(description="Under which it is logged.")
    prediction_time: datetime = Field(description="The moment the model was trained to predict at (UTC).")
    as_of: datetime = Field(description="Where the event clock stood: nothing known later was used (UTC).")
    missing_features: dict[str, str] = Field(
        description="By feature, or by feature view for all of its features: no value, stale, or after the clock."
    )
    feature_ages_seconds: dict[str, int] = Field(
        description="By feature view, from when its values became known to as_of; also of stale ones."
    )
    answered_by: str | None = Field(
        default=None, description="The version that answered in place of `model`'s, while a challenger takes a share."
    )
    notes: list[str] = Field(description="What to know before relying on it.")


class Instances(BaseModel, Generic[InstanceT]):
    """What to predict."""

    # The faults of the first instance that has any: those of a thousand take long to collect, and nobody reads them.
    instances: Annotated[list[InstanceT], FailFast()] = Field(
        min_length=1, description="One or more; the service's settings say how many."
    )


class FeatureRows(BaseModel, extra="forbid"):
    """What to score: rows of the model's own columns."""

    instances: Annotated[list[dict[str, FiniteFloat | str | None]], FailFast()] = Field(
        min_length=1, description="By column of the model; one that is absent is missing."
    )


class Score(BaseModel):
    """What the model answers to ready features."""

    prediction_id: str = Field(description="Under which it is logged.")
    value: float | dict[str, float] = Field(
        description="The probability of 1 in a classification, the number in a regression, the probability of each "
        "class in a multiclass problem."
    )


class Change(BaseModel):
    """What a group of features did to an answer."""

    group: str = Field(description="A feature view, 'request', or 'request and store'.")
    values: dict[str, float | str | None] = Field(description="The model's columns of the group.")
    typical: dict[str, float | str | None] = Field(
        description="What they were set to: the median, or the most frequent text, of the rows the model learned from."
    )
    if_typical: float | dict[str, float] = Field(description="The answer then; of a multiclass problem by class.")
    change: float | dict[str, float] = Field(description="The answer less that.")


class Explanation(BaseModel, Generic[PredictionT]):
    """A prediction, and what drove it."""

    prediction: PredictionT
    changes: list[Change] = Field(
        description="The largest first. Exact, but they need not add up. Empty for a model that was registered before "
        "typical values were kept."
    )


class ModelReference(BaseModel):
    """The model that answered."""

    name: str
    version: str
    feature_service: str


class Predictions(BaseModel, Generic[PredictionT]):
    """One prediction for each instance, in their order."""

    predictions: list[PredictionT]
    model: ModelReference


class Explanations(BaseModel, Generic[PredictionT]):
    """One explanation for each instance, in their order."""

    explanations: list[Explanation[PredictionT]]
    model: ModelReference


class Scores(BaseModel):
    """One score for each row, in their order."""

    predictions: list[Score]
    model: ModelReference


class RefusedModel(BaseModel):
    """A version that should be served and is not."""

    version: str
    reason: str


class ModelStatus(BaseModel):
    """What is being served, or why nothing is."""

    name: str
    ready: bool
    version: str | None
    feature_service: str
    columns: dict[str, str] = Field(description="What the model takes: by column, float64 or str.")
    served_since: datetime | None = Field(description="When this version began to answer here (UTC).")
    watermarks: dict[str, datetime] = Field(description="By feature view, up to when it was materialised (UTC).")
    clock: datetime | None = Field(description="Where the event clock stands (UTC).")
    refused: RefusedModel | None = Field(description="A version that should be served and is not, and why.")
    reason: str | None = Field(description="Why it is not ready, and what to do.")


class Health(BaseModel):
    """Whether the service can do its work."""

    status: str
    reason: str | None = None


class FieldFault(BaseModel):
    """One field that is not as it should be."""

    field: str
    reason: str


class Failure(BaseModel):
    """Why there is no answer."""

    error: str
    fields: list[FieldFault] = []
