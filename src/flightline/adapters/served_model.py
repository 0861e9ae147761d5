"""The folder that the service loads its model from; whoever has the registry fills it.

    <folder>/current.json          {"version": "3"}: which one is served
    <folder>/<version>/model.skops
    <folder>/<version>/model.json  a `ModelManifest`

So the service needs no registry client: a worker that imports one takes half as much memory
again, and a registry that is down stops no prediction.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sklearn.pipeline import Pipeline

from flightline.adapters.model_files import MODEL_FILE, digest_of_file, load_model
from flightline.errors import ModelFileError
from flightline.problem import PROBLEM

MANIFEST_FILE = "model.json"
CURRENT_FILE = "current.json"

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$")]
ColumnKind = Literal["float64", "str"]


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


class _Current(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Version


@dataclass(frozen=True)
class ServedModel:
    """A model that may be served: its bytes and its manifest were checked."""

    manifest: ModelManifest
    pipeline: Pipeline


def write_served_model(folder: Path, manifest: ModelManifest, model_file: Path) -> None:
    """Put a model into the folder and make it the current one; readers see all of it or nothing.

    Raises
    ------
    ModelFileError
        If the file is not the one the manifest speaks of; the folder is then as before.
    """
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
        # A version never changes in the registry, so what is replaced is a broken copy or the same.
        shutil.rmtree(folder / manifest.version, ignore_errors=True)
        unfinished.rename(folder / manifest.version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    switch_served_model(folder, manifest.version)


def switch_served_model(folder: Path, version: str) -> None:
    """Make a version that is in the folder the current one.

    Raises
    ------
    ModelFileError
        If the folder has no such version.
    """
    _read_manifest(folder, version)
    unfinished = folder / f".{CURRENT_FILE}.{os.getpid()}.unfinished"
    unfinished.write_text(json.dumps({"version": version}) + "\n", encoding="utf-8")
    unfinished.replace(folder / CURRENT_FILE)


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
    try:
        current = _Current.model_validate_json((folder / CURRENT_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as err:
        raise ModelFileError(f"{CURRENT_FILE} does not name a model version; promote a model again") from err
    manifest = _read_manifest(folder, current.version)
    _check_problem(manifest)
    return ServedModel(manifest=manifest, pipeline=load_model(folder / manifest.version / MODEL_FILE, manifest.sha256))


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


def _check_problem(manifest: ModelManifest) -> None:
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
