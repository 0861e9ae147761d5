"""Brings model versions from the registry, verified: the champion to where the service loads it from, or any."""

from pathlib import Path

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.served_model import ServedModel, load_served_version
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.project import Project
from pipelines.steps.signing import deliver_version, load_signed


def fetch_champion(project: Project) -> str | None:
    """Bring the champion's model file to where the service loads it from, after checking it.

    Returns
    -------
    str or None
        Its version, or None if there is no champion.

    Raises
    ------
    ModelFileError
        If it is not what was signed at registration, holds an untrusted type, or is of another problem.
    """
    champion = registry.version_of(project.settings, project.problem.model_name, registry.CHAMPION)
    if champion is None:
        return None
    fetch_version(project, champion, project.settings.serving_models_dir)
    return str(champion.version)


def fetch_version(project: Project, found: registry.ModelVersion, folder: Path) -> None:
    """Bring a version into a folder of served models, after verifying it; raises as `fetch_champion`."""
    deliver_version(project, found, folder)


def load_version(project: Project, version: str) -> ServedModel:
    """Load any version, verified: the service's own copy if it keeps one, else from the registry."""
    folder = project.settings.serving_models_dir
    if (folder / version).is_dir():
        return load_served_version(folder, version, read_trusted_keys(project.settings), project.problem)
    return load_signed(project, registry.get_version(project.settings, project.problem.model_name, version))
