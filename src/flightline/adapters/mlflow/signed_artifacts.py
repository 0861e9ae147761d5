"""Where MLflow keeps the attestations of a model version: beside the run that made it, apart for each version.

signed/version_3/model.json        what the service must know besides the model file
signed/version_3/model.cdx.json    its bill of materials
signed/version_3/model.intoto.json the signature of these and of the model file
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from flightline.adapters.mlflow.registry import ModelVersion, connect, download_model
from flightline.adapters.model_store.model_file import MODEL_FILE
from flightline.core.settings import Settings


def _place(version: ModelVersion) -> str:
    return f"signed/version_{version.version}"


def store_attestations(settings: Settings, version: ModelVersion, folder: Path) -> None:
    """Keep the files of a folder as the attestations of a version."""
    connect(settings).log_artifacts(str(version.run_id), str(folder), _place(version))


def has_attestations(settings: Settings, version: ModelVersion) -> bool:
    """Say whether a version has attestations."""
    return bool(connect(settings).list_artifacts(str(version.run_id), _place(version)))


def deliver(settings: Settings, version: ModelVersion, folder: Path) -> None:
    """Bring a version's attestations, whatever they are, and its model file into an empty folder."""
    client = connect(settings)
    with TemporaryDirectory(prefix="attestations-") as unpacked:
        if has_attestations(settings, version):
            found = client.download_artifacts(str(version.run_id), _place(version), unpacked)
            shutil.copytree(found, folder, dirs_exist_ok=True)
    shutil.copyfile(download_model(settings, version), folder / MODEL_FILE)
