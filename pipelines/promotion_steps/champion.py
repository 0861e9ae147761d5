"""The champion: who may become it, by whom, and how it and other versions come from the registry, verified."""

from collections.abc import Mapping
from typing import Literal

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import check_move, check_recorded, move_champion
from flightline.adapters.mlflow.signed_artifacts import store_approval
from flightline.adapters.model_store.approvals import Approval, sign_approval
from flightline.adapters.model_store.canary_setting import canary_folder
from flightline.adapters.model_store.served_model import ServedModel, load_served_version
from flightline.adapters.model_store.signing_keys import open_signer, read_trusted_keys
from flightline.core.errors import SignatureError
from flightline.core.project import Project
from pipelines.steps.signing import deliver_version, load_signed, read_signed


def find_champion(project: Project) -> registry.ModelVersion | None:
    """Give the version that `champion` points at, or None if there is none.

    Raises
    ------
    ChampionMoveError
        If no recorded move has put it there.
    """
    champion = registry.version_of(project.settings, project.problem.model_name, registry.CHAMPION)
    if champion is not None:
        check_recorded(project.settings, project.problem.model_name, str(champion.version))
    return champion


def fetch_champion(project: Project) -> str | None:
    """Bring the champion to where the service loads it from, after checking it; give its version, if there is one.

    Raises
    ------
    ModelFileError
        If it is not what was signed and approved, holds an untrusted type, or is of another problem.
    RegistryError
        If no recorded move has made it champion, or the registry does not give its file.
    """
    champion = find_champion(project)
    if champion is None:
        return None
    deliver_version(project, champion, project.settings.serving_models_dir)
    return str(champion.version)


def load_version(project: Project, version: str) -> ServedModel:
    """Load any version, verified: the service's own copy if it keeps one, else from the registry."""
    settings = project.settings
    for folder in (settings.serving_models_dir, canary_folder(settings)):
        if (folder / version).is_dir():
            return load_served_version(folder, version, read_trusted_keys(settings), project.problem, "shadow")
    found = registry.get_version(settings, project.problem.model_name, version)
    return load_signed(project, found, "shadow")


def approve(
    project: Project,
    found: registry.ModelVersion,
    role: Literal["champion", "challenger"],
    *,
    by: str,
    why: str,
    verdict: str = "",
) -> None:
    """Sign that a version may answer callers, after loading it as what was signed at its registration.

    Parameters
    ----------
    by
        gate, canary or person:<name>.
    verdict
        Empty for the one that the registry has of it.

    Raises
    ------
    ModelFileError
        If it is not what was signed, or there is no key to sign with.
    RegistryError
        If the registry does not give its model file.
    """
    if role == "challenger" and _is_approved(project, found):
        return  # a version that may be champion must not lose that
    approval = Approval(
        model=project.problem.model_name,
        version=str(found.version),
        role=role,
        verdict=verdict or found.tags.get("verdict", "none"),
        by=by,
        why=why,
    )
    sign_approval_of(project, found, approval, load_signed(project, found, "shadow").manifest.sha256)


def sign_approval_of(project: Project, found: registry.ModelVersion, approval: Approval, sha256: str) -> None:
    """Sign an approval of a model file, and keep it with its version."""
    store_approval(project.settings, found, sign_approval(open_signer(project.settings), approval, sha256))


def _is_approved(project: Project, found: registry.ModelVersion) -> bool:
    try:
        read_signed(project, found, "challenger")
    except SignatureError:
        return False
    return True


def promote_version(
    project: Project,
    version: str,
    *,
    by: str,
    why: str,
    evidence: Mapping[str, object],
    verdict: str = "",
    instead_of: str | None = None,
) -> None:
    """Approve a version and move `champion` to it; takes and raises what `approve` and `move_champion` do."""
    check_move(by, why, evidence)
    found = registry.get_version(project.settings, project.problem.model_name, version)
    approve(project, found, "champion", by=by, why=why, verdict=verdict)
    name = project.problem.model_name
    move_champion(project.settings, name, version, by=by, why=why, evidence=evidence, instead_of=instead_of)


def return_to_version(
    project: Project, version: str, *, why: str, evidence: Mapping[str, object], instead_of: str | None = None
) -> None:
    """Move `champion` back to a version that was approved once, for which no key is needed.

    Raises
    ------
    ModelFileError
        If it was not approved, or is not what was signed.
    RegistryError
        If there is no such version, or the registry does not give its model file.
    """
    name = project.problem.model_name
    load_signed(project, registry.get_version(project.settings, name, version))
    move_champion(project.settings, name, version, by="rollback", why=why, evidence=evidence, instead_of=instead_of)
