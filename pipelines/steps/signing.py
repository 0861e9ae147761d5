"""Signs model versions when they are registered, and delivers them verified."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.signed_artifacts import fetch_attestations, store_attestations
from flightline.adapters.model_store.approvals import Role, check_approval
from flightline.adapters.model_store.manifest import MANIFEST_FILE, ModelManifest, check_problem
from flightline.adapters.model_store.model_bom import BOM_FILE, model_bom
from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file, load_model
from flightline.adapters.model_store.profile import CARD_FILE, PROFILE_FILE, parse_profile
from flightline.adapters.model_store.served_model import (
    ServedModel,
    load_delivered,
    read_signed_manifest,
    write_served_model,
)
from flightline.adapters.model_store.signatures import REGISTRATION, SIGNATURE_FILE, SignedVersion, sign_files
from flightline.adapters.model_store.signing_keys import open_signer, read_trusted_keys
from flightline.core.errors import RegistryError, SignatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.steps.reference_predictions import REFERENCE_FILE, read_reference_predictions

REQUIREMENTS_FILE = "requirements.txt"


@dataclass(frozen=True)
class Looked:
    """A version as the registry has it now: what would be signed."""

    manifest: ModelManifest
    bom: dict[str, object]
    signed: SignedVersion
    profile: str | None = None
    card: str | None = None


def look_at(project: Project, found: registry.ModelVersion, by: str, why: str) -> Looked:
    """Load a version's model file, and collect what a signature would say.

    Raises
    ------
    ModelFileError
        If the file is not the registered one, or holds an untrusted type.
    RegistryError
        If it was registered without what the service needs.
    """
    looked = collect(project, found, by, why)
    load_model(registry.download_model(project.settings, found), looked.manifest.sha256)
    return looked


def collect(project: Project, found: registry.ModelVersion, by: str, why: str) -> Looked:
    """Collect what a signature of a version would say."""
    from pipelines.evaluation_steps.model_card import model_card  # seconds that no other reader of versions needs

    manifest = _manifest(project, found)
    requirements = registry.download_model(project.settings, found).with_name(REQUIREMENTS_FILE)
    lineage = {name: value for name, value in found.tags.items() if name.startswith("lineage.")}
    signed = SignedVersion(
        model=manifest.name,
        version=manifest.version,
        run_id=manifest.run_id,
        training=lineage | {"training_set": found.tags.get("training_set", "unknown")},
        signed_by=by,
        reason=why,
    )
    profile = _profile(project.settings, found)
    known = parse_profile(profile.encode(), manifest.version) if profile else None
    card = model_card(project, found, manifest, known) if known else None
    return Looked(manifest, _bom(project, found, manifest, requirements), signed, profile, card)


def sign_version(project: Project, sha256: str, found: registry.ModelVersion) -> None:
    """Sign a version that this process is registering; raises as `look_at` and `open_signer`.

    Parameters
    ----------
    sha256
        Of the model file that training wrote: nothing else is signed, whatever the registry holds by now.
    """
    looked = look_at(project, found, REGISTRATION, "")
    if looked.manifest.sha256 != sha256:
        raise SignatureError(
            f"version {found.version} was registered with sha256 {looked.manifest.sha256[:16]}..., but training wrote "
            f"{sha256[:16]}...: it was changed in the registry at once, and is not signed"
        )
    sign(project.settings, found, looked)


def signer_of_registration(project: Project, sha256: str) -> "partial[None]":
    """Give what completes a registration with its signature, after making sure that there is a key."""
    open_signer(project.settings)
    return partial(sign_version, project, sha256)


def sign(settings: Settings, found: registry.ModelVersion, looked: Looked) -> None:
    """Sign what was collected, and keep it with the version."""
    with TemporaryDirectory(prefix="attestations-") as temporary:
        folder = Path(temporary)
        texts = {
            MANIFEST_FILE: looked.manifest.model_dump_json(indent=2),
            BOM_FILE: json.dumps(looked.bom, indent=2),
            **({} if looked.profile is None else {PROFILE_FILE: looked.profile}),
            **({} if looked.card is None else {CARD_FILE: looked.card}),
        }
        for name, text in texts.items():
            (folder / name).write_text(text + "\n", encoding="utf-8")
        digests = {name: digest_of_file(folder / name) for name in texts} | {MODEL_FILE: looked.manifest.sha256}
        (folder / SIGNATURE_FILE).write_bytes(sign_files(open_signer(settings), looked.signed, digests))
        store_attestations(settings, found, folder)


def _manifest(project: Project, found: registry.ModelVersion) -> ModelManifest:
    absent = [tag for tag in ("model_sha256", "feature_service", "feature_views_sha256") if tag not in found.tags]
    if absent:
        raise RegistryError(
            f"version {found.version} was registered without {', '.join(absent)}; train it again with `make train`"
        )
    return ModelManifest(
        name=project.problem.model_name,
        version=str(found.version),
        run_id=str(found.run_id),
        sha256=found.tags["model_sha256"],
        feature_service=found.tags["feature_service"],
        feature_views_sha256=found.tags["feature_views_sha256"],
        columns=registry.input_columns(project.settings, found),
        classes=project.problem.classes,
        reference_predictions=read_reference_predictions(
            registry.read_text(project.settings, found, f"evaluation/{REFERENCE_FILE}")
        ),
        registered_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


def _profile(settings: Settings, found: registry.ModelVersion) -> str | None:
    """Give the profile that was written with the evaluation; None for a version of before there were any."""
    try:
        text = registry.read_text(settings, found, f"evaluation/{PROFILE_FILE}")
    except RegistryError:
        return None
    return text


def _bom(
    project: Project, found: registry.ModelVersion, manifest: ModelManifest, requirements: Path
) -> dict[str, object]:
    pins = [line.split("==", 1) for line in requirements.read_text(encoding="utf-8").splitlines() if "==" in line]
    metrics = registry.metrics_of_version(project.settings, found)
    return model_bom(
        manifest,
        task=project.problem.task,
        approach=registry.parameters_of_version(project.settings, found).get("model", "unknown"),
        metrics={name: value for name, value in metrics.items() if name.startswith("test_")},
        lineage={name: value for name, value in found.tags.items() if name.startswith("lineage.")},
        libraries=dict(pins),
    )


def deliver_version(project: Project, found: registry.ModelVersion, folder: Path, role: Role = "champion") -> None:
    """Bring a version from the registry into a folder of served models, if it is what was signed and approved.

    Raises
    ------
    ModelFileError
        If it is not, is of another problem, or holds an untrusted type; the folder is then as before.
    RegistryError
        If the registry does not give its model file.
    """
    with TemporaryDirectory(prefix="delivered-") as temporary:
        _fetch(project, found, Path(temporary), role)
        write_served_model(
            folder, str(found.version), Path(temporary), read_trusted_keys(project.settings), project.problem, role
        )


def load_signed(project: Project, found: registry.ModelVersion, role: Role = "champion") -> ServedModel:
    """Load a version from the registry, if it is what was signed and approved; raises as `deliver_version`."""
    with TemporaryDirectory(prefix="delivered-") as temporary:
        return _fetch(project, found, Path(temporary), role)


def read_signed(project: Project, found: registry.ModelVersion, role: Role = "champion") -> ModelManifest:
    """Give the manifest of a version in the registry, if it was signed and approved.

    The model file is not fetched: whoever does checks it by the manifest's digest.

    Raises
    ------
    ModelFileError
        If it was not.
    """
    with TemporaryDirectory(prefix="attestations-") as temporary:
        return _fetch_attestations(project, found, Path(temporary), role)


def _fetch(project: Project, found: registry.ModelVersion, folder: Path, role: Role) -> ServedModel:
    """Bring a version into an empty folder and load it: a model that may not be loaded anyway is not fetched."""
    check_problem(_fetch_attestations(project, found, folder, role), project.problem)
    shutil.copyfile(registry.download_model(project.settings, found), folder / MODEL_FILE)
    keys = read_trusted_keys(project.settings)
    return load_delivered(folder, str(found.version), keys, project.problem, role)


def _fetch_attestations(project: Project, found: registry.ModelVersion, folder: Path, role: Role) -> ModelManifest:
    fetch_attestations(project.settings, found, folder)
    keys = read_trusted_keys(project.settings)
    manifest, _ = read_signed_manifest(folder, str(found.version), keys, project.problem)
    _check_tags(found, manifest)
    check_approval(folder, manifest, role, keys)
    return manifest


def _check_tags(found: registry.ModelVersion, manifest: ModelManifest) -> None:
    if found.tags.get("model_sha256") != manifest.sha256:
        raise SignatureError(
            f"version {found.version} has the tag model_sha256 {found.tags.get('model_sha256', 'none')[:16]}..., but "
            f"{manifest.sha256[:16]}... was signed: the tag was changed; set it back, or promote another version"
        )
