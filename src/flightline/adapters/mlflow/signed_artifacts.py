"""Where MLflow keeps what is signed of a model version: beside the run that made it, apart for each version.

signed/version_3/model.json               what the service must know besides the model file
signed/version_3/model.cdx.json           its bill of materials
signed/version_3/profile.json             typical values of its training rows; older versions have none
signed/version_3/card.md                  its card, for people; likewise
signed/version_3/model.intoto.json        the signature of these and of the model file
approved/version_3/approval.intoto.json   who let it answer callers
"""

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient

from flightline.adapters.mlflow.registry import ModelVersion, connect
from flightline.adapters.model_store.signatures import APPROVAL_FILE, SIGNATURE_FILE
from flightline.core.settings import Settings


def _places(version: ModelVersion) -> tuple[str, str]:
    return f"signed/version_{version.version}", f"approved/version_{version.version}"


def store_attestations(settings: Settings, version: ModelVersion, folder: Path) -> None:
    """Keep the files of a folder as the attestations of a version."""
    signed, _ = _places(version)
    connect(settings).log_artifacts(str(version.run_id), str(folder), signed)


def store_approval(settings: Settings, version: ModelVersion, content: bytes) -> None:
    """Keep the approval of a version, in place of an earlier one."""
    _, approved = _places(version)
    connect(settings).log_text(str(version.run_id), content.decode(), f"{approved}/{APPROVAL_FILE}")


def fetch_attestations(settings: Settings, version: ModelVersion, folder: Path) -> None:
    """Bring what is signed of a version, whatever there is, into an empty folder: all but the model file."""
    client = connect(settings)
    for place in _places(version):
        if client.list_artifacts(str(version.run_id), place):
            with TemporaryDirectory(prefix="attestations-") as unpacked:
                found = client.download_artifacts(str(version.run_id), place, unpacked)
                shutil.copytree(found, folder, dirs_exist_ok=True)


def attestations_stamp(settings: Settings, version: ModelVersion) -> object:
    """Look cheaply at what is signed of a version: another stamp means that something was signed anew, came or went."""
    client = connect(settings)
    listed = [item for place in _places(version) for item in client.list_artifacts(str(version.run_id), place)]
    return [(item.path, item.file_size, _signed_content(client, version, item.path)) for item in listed]


def _signed_content(client: MlflowClient, version: ModelVersion, path: str) -> str:
    """Hash a signature or an approval, of which another may be as long; other files are known by theirs."""
    if Path(path).name not in (SIGNATURE_FILE, APPROVAL_FILE):
        return ""
    with TemporaryDirectory(prefix="attestations-") as unpacked:
        content = Path(client.download_artifacts(str(version.run_id), path, unpacked)).read_bytes()
    return hashlib.sha256(content).hexdigest()
