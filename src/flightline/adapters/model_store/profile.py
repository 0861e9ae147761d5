"""What is told of a model besides its predictions: what it learned from, what is typical there, how it was judged.

Made with the evaluation, kept with the run, signed with the model's other files, shown by the service. A version that
was registered before there were profiles has none.
"""

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from flightline.core.errors import ModelFileError
from flightline.inference.fast_pipeline import Value

PROFILE_FILE = "profile.json"
CARD_FILE = "card.md"  # the same for people


class CalibrationBin(BaseModel, frozen=True, extra="forbid"):
    """Rows of the test window with about the same prediction."""

    rows: int
    predicted: float = Field(description="Mean of the predictions.")
    observed: float = Field(description="Mean of the labels; of a class the share of rows that are of it.")


class HeldOutResult(BaseModel, frozen=True, extra="forbid"):
    """How a model did on the test window."""

    begins: AwareDatetime
    ends: AwareDatetime
    rows: int
    metrics: dict[str, float | None]
    calibration: dict[str, tuple[CalibrationBin, ...]] = Field(
        description="By class of a multiclass problem; else under the label."
    )


class ModelProfile(BaseModel, frozen=True, extra="forbid"):
    """What a model learned from, and how it was judged."""

    begins: AwareDatetime = Field(description="Prediction time of the oldest row it learned from (UTC).")
    ends: AwareDatetime = Field(description="Prediction time of the newest.")
    rows: int
    typical: dict[str, Value] = Field(
        description="By column, the median of numbers and the most frequent text of the rows it learned from."
    )
    base_rates: dict[str, float] = Field(
        description="The share of rows with label 1, under the label; of a multiclass problem the share of each class; "
        "empty in a regression."
    )
    usual_range: tuple[float, float, float] | None = Field(
        description="Of a regression's label: what 5 % of the rows lie below, the median, what 5 % lie above."
    )
    test: HeldOutResult | None = Field(description="None if it learned from the test window too (a refit).")


def parse_profile(content: bytes, version: str) -> ModelProfile:
    """Read the profile of a version.

    Raises
    ------
    ModelFileError
        If it is none.
    """
    try:
        return ModelProfile.model_validate_json(content)
    except ValidationError as err:
        raise ModelFileError(f"{PROFILE_FILE} of version {version} is not valid; train the model again") from err
