"""The folder that the service loads its model from; whoever has the registry fills it.

    <folder>/current.json          {"version": "3"}: which one is served
    <folder>/refused.json          a `Refusal`: which one should be, and why it is not; absent if all is well
    <folder>/<version>/model.skops
    <folder>/<version>/model.json  a `ModelManifest`

So the service needs no registry client: a worker that imports one takes half as much memory
again, and a registry that is down stops no prediction.
"""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sklearn.pipeline import Pipeline

from flightline.adapters.model_files import MODEL_FILE, digest_of_file, load_model
from flightline.errors import ModelFileError
from flightline.prediction import METHODS
from flightline.problem import PROBLEM
from flightline.quick_model import QuickModel, Value

MANIFEST_FILE, CURRENT_FILE, REFUSED_FILE = "model.json", "current.json", "refused.json"
KEPT_VERSIONS = 3

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$")]
ColumnKind = Literal["float64", "str"]


class ProbeRow(BaseModel):
    """A row of the test window with what the model answered when it was registered.

    Whoever loads the model asks it again: another library, processor or feature code must not
    change the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: dict[str, int | float | str | None] = Field(description="Entity keys and request columns.")
    features: dict[str, Value] = Field(description="The model's input.")
    prediction: float


class ModelManifest(BaseModel):
    """What is known of a model file besides its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(description="The registered model.")
    version: Version = Field(description="Its version in the registry.")
    run_id: str = Field(description="The MLflow run that made it.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Digest of the model file, as registered.")
    feature_service: str = Field(description="The Feast feature service it was trained on.")
    columns: tuple[tuple[str, ColumnKind], ...] = Field(
        min_length=1, description="Name and kind of each column of its input, in order."
    )
    feature_views_sha256: str = Field(
        default="", description="Digest of the feature service's meaning in training; empty: not known, not checked."
    )
    probe: tuple[ProbeRow, ...] = Field(default=(), description="Answers that it must give again.")
    registered_at: AwareDatetime | None = Field(default=None, description="When it was registered (UTC).")


class Refusal(BaseModel):
    """A version that should be served and is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    reason: str


class _Current(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Version


@dataclass(frozen=True)
class ServedModel:
    """A model that may be served: its bytes and its manifest were checked."""

    manifest: ModelManifest
    pipeline: Pipeline

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The columns of its input, in order: float64 or str."""
        return dict(self.manifest.columns)

    @cached_property
    def quick(self) -> QuickModel | None:
        """The pipeline without frames, if it has such a form."""
        return QuickModel.of(METHODS[PROBLEM.task], self.pipeline)


def write_served_model(folder: Path, manifest: ModelManifest, model_file: Path) -> None:
    """Put a model into the folder and make it the current one; readers see all of it or nothing.

    Raises
    ------
    ModelFileError
        If the file is not the one the manifest speaks of; the folder is then as before.
    """
    if is_whole(folder, manifest):
        switch_served_model(folder, manifest.version)
        return
    unfinished = folder / f".{manifest.version}.{os.getpid()}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        shutil.copyfile(model_file, unfinished / MODEL_FILE)
        got = digest_of_file(unfinished / MODEL_FILE)
        if got != manifest.sha256:
            raise ModelFileError(
                f"{model_file.name} has sha256 {got[:16]}..., expected {manifest.sha256[:16]}... by the manifest of "
                f"version {manifest.version}; fetch it again from the registry"
            )
        (unfinished / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        # A version never changes in the registry, so what is replaced is a broken copy.
        shutil.rmtree(folder / manifest.version, ignore_errors=True)
        unfinished.rename(folder / manifest.version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    switch_served_model(folder, manifest.version)


def is_whole(folder: Path, manifest: ModelManifest) -> bool:
    """Say whether the folder has this version, with the bytes that were registered."""
    try:
        known = _read_manifest(folder, manifest.version)
        return known == manifest and digest_of_file(folder / known.version / MODEL_FILE) == known.sha256
    except (OSError, ModelFileError):
        return False


def switch_served_model(folder: Path, version: str) -> None:
    """Make a version that is in the folder the current one; older ones but a few are removed.

    Raises
    ------
    ModelFileError
        If the folder has no such version.
    """
    _read_manifest(folder, version)
    _write(folder / CURRENT_FILE, json.dumps({"version": version}))
    (folder / REFUSED_FILE).unlink(missing_ok=True)
    others = [entry for entry in folder.iterdir() if (entry / MANIFEST_FILE).is_file() and entry.name != version]
    for old in sorted(others, key=lambda entry: entry.stat().st_mtime)[: -KEPT_VERSIONS + 1]:
        shutil.rmtree(old, ignore_errors=True)


def current_manifest(folder: Path) -> ModelManifest | None:
    """Give the manifest of the current version, or None if there is none that can be read."""
    try:
        current = _read_current(folder)
        return _read_manifest(folder, current) if current else None
    except ModelFileError:
        return None


@dataclass(frozen=True)
class FolderStamp:
    """What the folder asks for; another stamp means that something has changed in it."""

    version: str | None
    current: tuple[int, int] | None
    refused: tuple[int, int] | None


def folder_stamp(folder: Path) -> FolderStamp:
    """Look cheaply whether the folder asks for another model than before."""
    try:
        version = _read_current(folder)
    except ModelFileError:
        version = None
    return FolderStamp(version, _file_stamp(folder / CURRENT_FILE), _file_stamp(folder / REFUSED_FILE))


def model_stamp(folder: Path, version: str) -> tuple[int, int] | None:
    """Look cheaply at a version's model file: another stamp means that it may be another; None if it is not there."""
    return _file_stamp(folder / version / MODEL_FILE)


def _file_stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def write_refusal(folder: Path, refusal: Refusal) -> None:
    """Leave word of why a version is not served; what is current stays."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / REFUSED_FILE, refusal.model_dump_json())


def read_refusal(folder: Path) -> Refusal | None:
    """Give the word left by `write_refusal`, or None."""
    try:
        return Refusal.model_validate_json((folder / REFUSED_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.unfinished")
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(file)


def load_served_model(folder: Path) -> ServedModel | None:
    """Load the current model after checking that it is what it should be.

    Returns
    -------
    ServedModel or None
        None if no model was ever put there.

    Raises
    ------
    ModelFileError
        If it is incomplete, altered, untrusted, or made for another problem.
    """
    version = _read_current(folder)
    return None if version is None else load_served_version(folder, version)


def load_served_version(folder: Path, version: str) -> ServedModel:
    """Load a version that is in the folder, current or not, after checking that it is what it should be.

    Raises
    ------
    ModelFileError
        If it is not there, incomplete, altered, untrusted, or made for another problem.
    """
    manifest = _read_manifest(folder, version)
    check_problem(manifest)
    return ServedModel(manifest=manifest, pipeline=load_model(folder / manifest.version / MODEL_FILE, manifest.sha256))


def _read_current(folder: Path) -> str | None:
    try:
        return _Current.model_validate_json((folder / CURRENT_FILE).read_bytes()).version
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as err:
        raise ModelFileError(f"{CURRENT_FILE} does not name a model version; promote a model again") from err


def _read_manifest(folder: Path, version: str) -> ModelManifest:
    try:
        manifest = ModelManifest.model_validate_json((folder / version / MANIFEST_FILE).read_bytes())
    except OSError as err:
        raise ModelFileError(f"there is no {MANIFEST_FILE} for version {version}; fetch the model again") from err
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


def check_problem(manifest: ModelManifest) -> None:
    """Refuse a model of another problem, or with a column twice.

    Raises
    ------
    ModelFileError
        Saying which.
    """
    got, expected = (manifest.name, manifest.feature_service), (PROBLEM.model_name, PROBLEM.feature_service)
    if got != expected:
        raise ModelFileError(
            f"version {manifest.version} is {got[0]!r} on feature service {got[1]!r}, expected {expected[0]!r} on "
            f"{expected[1]!r} as in problem.py; train a model for it"
        )
    names = [name for name, _ in manifest.columns]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ModelFileError(f"version {manifest.version} takes columns twice: {', '.join(twice)}; train it again")
