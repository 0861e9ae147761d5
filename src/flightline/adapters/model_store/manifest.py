"""What is known of a model besides its bytes: made at registration, signed with them, read by the service."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AliasChoices, AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from flightline.core.errors import MeaningError, ModelFileError
from flightline.core.problem_spec import Problem
from flightline.inference.fast_pipeline import Value

MANIFEST_FILE = "model.json"

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$")]
ColumnKind = Literal["float64", "str"]


class ReferencePrediction(BaseModel, frozen=True, extra="forbid"):
    """A row of the test window with what the model predicted when it was registered.

    Whoever loads the model predicts it again: another library, processor or feature code must not
    change the value.
    """

    request: dict[str, int | float | str | None] = Field(description="Entity keys and request columns.")
    features: dict[str, Value] = Field(description="The model's input.")
    prediction: float | list[float] = Field(description="Of a multiclass problem the probability of each class.")


class ModelManifest(BaseModel, frozen=True, extra="forbid"):
    """What is known of a model file besides its bytes."""

    name: str = Field(description="The registered model.")
    version: Version = Field(description="Its version in the registry.")
    run_id: str = Field(description="The MLflow run that made it.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Digest of the model file, as registered.")
    feature_service: str = Field(description="The Feast feature service it was trained on.")
    columns: tuple[tuple[str, ColumnKind], ...] = Field(
        min_length=1, description="Name and kind of each column of its input, in order."
    )
    classes: tuple[str, ...] = Field(
        default=(),
        # So that the manifest of any other task is the one that a service of before can read.
        exclude_if=lambda classes: not classes,
        description="Of a multiclass problem the classes in the order of its probabilities.",
    )
    feature_views_sha256: str = Field(
        default="", description="Digest of the feature service's meaning in training; empty: not known, not checked."
    )
    reference_predictions: tuple[ReferencePrediction, ...] = Field(
        default=(),
        # Manifests that were signed under the name of before stay readable.
        validation_alias=AliasChoices("reference_predictions", "probe"),
        description="Predictions that it must make again.",
    )
    registered_at: AwareDatetime | None = Field(default=None, description="When it was registered (UTC).")


def parse_manifest(content: bytes, version: str) -> ModelManifest:
    """Read a manifest of a version.

    Raises
    ------
    ModelFileError
        If it is none, or of another version.
    """
    try:
        manifest = ModelManifest.model_validate_json(content)
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in err.errors()[:3])
        raise ModelFileError(
            f"{MANIFEST_FILE} of version {version} is not valid ({wrong}); fetch the model again"
        ) from err
    if manifest.version != version:
        raise ModelFileError(
            f"{MANIFEST_FILE} speaks of version {manifest.version}, expected {version}; fetch the model again"
        )
    return manifest


def check_problem(manifest: ModelManifest, problem: Problem) -> None:
    """Refuse a model of another problem, or with a column twice.

    Raises
    ------
    ModelFileError
        Saying which.
    """
    got, expected = (manifest.name, manifest.feature_service), (problem.model_name, problem.feature_service)
    if got != expected:
        raise ModelFileError(
            f"version {manifest.version} is {got[0]!r} on feature service {got[1]!r}, expected {expected[0]!r} on "
            f"{expected[1]!r} as in config.py; train a model for it"
        )
    check_classes(manifest, problem)
    names = [name for name, _ in manifest.columns]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ModelFileError(f"version {manifest.version} takes columns twice: {', '.join(twice)}; train it again")


def check_classes(manifest: ModelManifest, problem: Problem) -> None:
    """Refuse a model whose numbers of classes mean others than the problem's.

    Raises
    ------
    ModelFileError
        Naming both.
    """
    if manifest.classes != problem.classes:
        raise ModelFileError(
            f"version {manifest.version} has the classes {', '.join(manifest.classes) or 'none'}, expected "
            f"{', '.join(problem.classes) or 'none'} as in config.py, in this order; train a model for them"
        )


def check_meaning(manifest: ModelManifest, registered: Collection[str]) -> None:
    """Refuse a model where features mean something else than what was signed with it.

    Parameters
    ----------
    registered
        Digests of what the features mean that are registered here.

    Raises
    ------
    MeaningError
        If the manifest has another.
    """
    if (signed := manifest.feature_views_sha256) not in ("", *registered):
        raise MeaningError(
            f"version {manifest.version} was trained on feature views that mean something else than those registered "
            f"here (signed digest {signed[:12]}, here {', '.join(digest[:12] for digest in registered)}): a key, a "
            "type, a ttl, a table or a feature has changed. If feature_repo/ was changed, train a model on it; if not, "
            "somebody has written to Feast's registry: put it back, and look who can (docs/security.md)"
        )
