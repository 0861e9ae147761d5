"""The folder that the service loads its model from; whoever has the registry fills it.

    <folder>/current.json          {"version": "3"}: which one is served
    <folder>/refused.json          a `Refusal`: which one should be, and why it is not; absent if all is well
    <folder>/<version>/model.skops
    <folder>/<version>/model.json         a `ModelManifest`
    <folder>/<version>/profile.json       a `ModelProfile`; a version of before has none
    <folder>/<version>/card.md            the same for people; likewise
    <folder>/<version>/model.intoto.json  the signature of all files of the version, see `signatures`
    <folder>/<version>/approval.intoto.json  who let it answer, see `approvals`; a shadow may have none

What is in a version's folder and not signed is not loaded, whoever put it there.

So the service needs no registry client: a worker that imports one takes half as much memory
again, and a registry that is down stops no prediction.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError
from securesystemslib.signer import Key

from flightline.adapters.files.atomic_write import atomic_write, atomic_write_text
from flightline.adapters.model_store.approvals import Role, check_approval
from flightline.adapters.model_store.manifest import (
    MANIFEST_FILE,
    ModelManifest,
    Version,
    check_problem,
    parse_manifest,
)
from flightline.adapters.model_store.model_file import MODEL_FILE, load_model, read_model_file
from flightline.adapters.model_store.profile import CARD_FILE, PROFILE_FILE, ModelProfile, parse_profile
from flightline.adapters.model_store.signatures import SIGNATURE_FILE, Statement, read_signed
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import ChampionMoveError, FlightlineError, ModelFileError, SignatureError
from flightline.core.problem_spec import Problem, Task
from flightline.core.project import Project
from flightline.inference.fast_pipeline import FastPipeline
from flightline.inference.predict import METHODS

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CURRENT_FILE, REFUSED_FILE = "current.json", "refused.json"
KEPT_VERSIONS = 3


RefusalKind = Literal["model", "signature", "move"]


class Refusal(BaseModel, frozen=True, extra="forbid"):
    """A version that should be served and is not."""

    version: str
    reason: str
    about: RefusalKind = "model"

    @classmethod
    def of(cls, version: str, error: Exception) -> "Refusal":
        """Say why a version is refused, by the error that its load raised."""
        reason = str(error) if isinstance(error, FlightlineError) else f"{type(error).__name__}: {error}"
        return cls(version=version, reason=reason, about=_kind_of(error))


def _kind_of(error: Exception) -> RefusalKind:
    if isinstance(error, ChampionMoveError):
        return "move"
    return "signature" if isinstance(error, SignatureError) else "model"


class _Current(BaseModel, extra="forbid"):
    version: Version


@dataclass(frozen=True)
class ServedModel:
    """A model that may be served: its bytes and its manifest were checked.

    Parameters
    ----------
    profile
        What it learned from and how it was judged; None for a version of before there were profiles.
    training
        What made it, by name, as it was signed.
    card
        Of the version, as Markdown; None for one of before there were cards.
    """

    manifest: ModelManifest
    pipeline: "Pipeline"
    task: Task
    profile: ModelProfile | None = None
    training: Mapping[str, str] = field(default_factory=dict)
    card: str | None = None

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The columns of its input, in order: float64 or str."""
        return dict(self.manifest.columns)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Those of its columns that are float64."""
        return frozenset(name for name, kind in self.kinds.items() if kind != "str")

    @cached_property
    def fast_pipeline(self) -> FastPipeline | None:
        """The pipeline without frames, if it has such a form."""
        return FastPipeline.of(METHODS[self.task], self.pipeline)


def write_served_model(
    folder: Path, version: str, delivered: Path, keys: Sequence[Key], problem: Problem, role: Role = "champion"
) -> ModelManifest:
    """Put a model into the folder and make it the current one; readers see all of it or nothing.

    Parameters
    ----------
    delivered
        A folder with the files of this version and nothing else, signature included.
    keys
        Whose signature is believed.
    role
        What it must be approved as.

    Raises
    ------
    ModelFileError
        If what was delivered is not what was signed and approved, or of another problem; the folder is then as before.
    """
    own, other = folder / version / SIGNATURE_FILE, delivered / SIGNATURE_FILE
    if is_whole(folder, version, keys, problem, role) and other.is_file() and cmp(own, other, shallow=False):
        switch_served_model(folder, version)
        return _read_manifest(folder, version)
    # A version never changes in the registry, so what is replaced is a broken copy.
    with atomic_write(folder / version) as unfinished:
        unfinished.mkdir()
        for file in delivered.iterdir():
            shutil.copyfile(file, unfinished / file.name)
        # What was copied is checked, not what was delivered: it may have changed meanwhile.
        manifest = _check_whole(unfinished, version, keys, problem, role)
    switch_served_model(folder, version)
    return manifest


def is_whole(folder: Path, version: str, keys: Sequence[Key], problem: Problem, role: Role = "champion") -> bool:
    """Say whether the folder has this version, with the bytes that were signed, and approved for this role."""
    try:
        _check_whole(folder / version, version, keys, problem, role)
    except ModelFileError:
        return False
    return True


def _check_whole(folder: Path, version: str, keys: Sequence[Key], problem: Problem, role: Role) -> ModelManifest:
    """Verify the files of a version, the model file too, without loading it."""
    manifest, statement = read_signed_manifest(folder, version, keys, problem)
    check_approval(folder, manifest, role, keys)
    read_model_file(folder / MODEL_FILE, statement.files[MODEL_FILE])
    return manifest


def switch_served_model(folder: Path, version: str) -> None:
    """Make a version that is in the folder the current one; older ones but a few are removed.

    Raises
    ------
    ModelFileError
        If the folder has no such version.
    """
    _read_manifest(folder, version)
    atomic_write_text(folder / CURRENT_FILE, json.dumps({"version": version}) + "\n")
    clear_refusal(folder)
    others = [entry for entry in folder.iterdir() if (entry / MANIFEST_FILE).is_file() and entry.name != version]
    for old in sorted(others, key=lambda entry: entry.stat().st_mtime)[: -KEPT_VERSIONS + 1]:
        shutil.rmtree(old, ignore_errors=True)


def current_manifest(folder: Path) -> ModelManifest | None:
    """Give the manifest of the current version, unverified, or None if there is none that can be read."""
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


def version_stamp(folder: Path, version: str) -> object:
    """Look cheaply at the files of a version: another stamp means that one has changed, come or gone."""
    try:
        return sorted((file.name, _file_stamp(file)) for file in (folder / version).iterdir())
    except OSError:
        return None


def _file_stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def write_refusal(folder: Path, refusal: Refusal) -> None:
    """Leave word of why a version is not served; what is current stays."""
    atomic_write_text(folder / REFUSED_FILE, refusal.model_dump_json() + "\n")


def clear_refusal(folder: Path) -> None:
    """Take back the word left by `write_refusal`, if there is one."""
    (folder / REFUSED_FILE).unlink(missing_ok=True)


def read_refusal(folder: Path) -> Refusal | None:
    """Give the word left by `write_refusal`, or None."""
    try:
        return Refusal.model_validate_json((folder / REFUSED_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def load_served_model(folder: Path, project: Project, role: Role = "champion") -> ServedModel | None:
    """Load the current model after checking that it is what it should be, and may be what it is loaded as.

    Parameters
    ----------
    project
        Says whose signature is believed, and which problem the model must be of.
    role
        What it must be approved as.

    Returns
    -------
    ServedModel or None
        None if no model was ever put there.

    Raises
    ------
    ModelFileError
        If it is incomplete, altered, untrusted, or made for another problem; a `SignatureError` if
        nobody who is believed has signed it as it is, or approved it for this role.
    """
    version = _read_current(folder)
    return (
        None
        if version is None
        else load_served_version(folder, version, read_trusted_keys(project.settings), project.problem, role)
    )


def load_served_version(
    folder: Path, version: str, keys: Sequence[Key], problem: Problem, role: Role = "champion"
) -> ServedModel:
    """Load a version that is in the folder, current or not, after checking it; raises as `load_served_model`."""
    if not (folder / version).is_dir():
        raise ModelFileError(f"there is no version {version} in the folder of models; fetch the model again")
    return load_delivered(folder / version, version, keys, problem, role)


def load_delivered(
    folder: Path, version: str, keys: Sequence[Key], problem: Problem, role: Role = "champion"
) -> ServedModel:
    """Load a version from a folder that holds nothing else; raises as `load_served_model`."""
    manifest, statement, contents = _read_signed(folder, version, keys, problem)
    check_problem(manifest, problem)
    check_approval(folder, manifest, role, keys)
    profile = parse_profile(contents[PROFILE_FILE], version) if PROFILE_FILE in contents else None
    model = load_model(folder / MODEL_FILE, statement.files[MODEL_FILE])
    card = contents[CARD_FILE].decode() if CARD_FILE in contents else None
    return ServedModel(manifest, model, problem.task, profile, statement.predicate.training, card)


def read_signed_manifest(
    folder: Path, version: str, keys: Sequence[Key], problem: Problem
) -> tuple[ModelManifest, Statement]:
    """Verify all files of a version but the model file, whose digest the statement gives."""
    manifest, statement, _ = _read_signed(folder, version, keys, problem)
    return manifest, statement


def _read_signed(
    folder: Path, version: str, keys: Sequence[Key], problem: Problem
) -> tuple[ModelManifest, Statement, dict[str, bytes]]:
    statement, contents = read_signed(folder, problem.model_name, version, keys, unread=MODEL_FILE)
    if absent := {MODEL_FILE, MANIFEST_FILE} - set(statement.files):
        raise SignatureError(f"the signature of version {version} does not name {', '.join(sorted(absent))}")
    manifest = parse_manifest(contents[MANIFEST_FILE], version)
    got = (manifest.run_id, manifest.sha256)
    if got != (statement.predicate.run_id, statement.files[MODEL_FILE]):
        raise SignatureError(
            f"{MANIFEST_FILE} of version {version} speaks of another run or file than {SIGNATURE_FILE}"
        )
    return manifest, statement, contents


def _read_current(folder: Path) -> str | None:
    try:
        return _Current.model_validate_json((folder / CURRENT_FILE).read_bytes()).version
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as err:
        raise ModelFileError(f"{CURRENT_FILE} does not name a model version; promote a model again") from err


def _read_manifest(folder: Path, version: str) -> ModelManifest:
    try:
        return parse_manifest((folder / version / MANIFEST_FILE).read_bytes(), version)
    except OSError as err:
        raise ModelFileError(f"there is no {MANIFEST_FILE} for version {version}; fetch the model again") from err
