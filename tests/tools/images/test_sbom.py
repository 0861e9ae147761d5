"""Bills of materials: valid by CycloneDX's own schema, of what is installed, and nothing that is not locked."""

import io
import json
import os
import tarfile
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

import pytest

from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.model_bom import model_bom
from tools.images import sbom
from tools.images.build import SERVICE
from tools.images.sbom import BomError, Installed, check_lock, check_schema, image_bom, locked_packages, python_packages

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
DEBIAN = "libc6\t2.36-9+deb12u10\tamd64\nzlib1g\t1:1.2.13\tamd64\n"


@pytest.fixture(autouse=True, scope="module")  # before `bom` wants it
def cyclonedx() -> None:
    if (sbom.SBOM_ENVIRONMENT / "cyclonedx-py").exists():
        return
    told = "cyclonedx-bom is not installed (make .tools/sbom/.installed)"
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)


def installed(*names: str) -> Installed:
    """Pack the metadata of packages of this environment, as an image holds them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            folder = Path(str(distribution(name)._path))  # type: ignore[attr-defined]
            for file in ("METADATA", "RECORD"):
                archive.add(folder / file, arcname=f"{folder.name}/{file}")
    return Installed(packed.getvalue(), DEBIAN, f"sha256:{'a' * 64}", "c" * 40)


@pytest.fixture(scope="module")
def bom() -> dict:
    return image_bom(SERVICE, installed("numpy", "scikit-learn"))


def written(tmp_path: Path, bom: dict) -> Path:
    file = tmp_path / "bom.json"
    file.write_text(json.dumps(bom))
    return file


def test_an_image_is_listed_with_its_python_and_debian_packages(bom: dict, tmp_path: Path) -> None:
    check_schema([written(tmp_path, bom)])
    assert set(python_packages(bom)) == {"numpy", "scikit-learn"}
    purls = {part.get("purl") for part in bom["components"]}
    assert "pkg:deb/debian/zlib1g@1%3A1.2.13?arch=amd64" in purls
    assert bom["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]


def test_all_of_it_must_be_in_the_lock(bom: dict) -> None:
    lock = (ROOT / "locks" / "serving.txt").read_text()
    check_lock(bom, lock, "it")
    version = python_packages(bom)["numpy"]
    assert ("numpy", version) in locked_packages(lock)
    with pytest.raises(BomError, match=r"it holds what its lock does not: numpy==.*; only the lock"):
        check_lock(bom, lock.replace(f"numpy=={version}", "numpy==1.0"), "it")
    with pytest.raises(BomError, match="no Python package at all"):
        check_lock({"components": []}, lock, "it")


@pytest.fixture
def of_model() -> dict:
    manifest = ModelManifest(
        name="toy", version="3", run_id="r1", sha256="a" * 64, feature_service="toy",
        columns=(("price", "float64"), ("shop", "str")), registered_at=datetime(2013, 12, 31, tzinfo=UTC),
    )  # fmt: skip
    lineage = {"lineage.git_commit": "c" * 40, "lineage.data_md5": f"{'b' * 32}.dir"}
    metrics = {"test_log_loss": 0.42}
    return model_bom(manifest, "classification", "logistic_regression", metrics, lineage, {"scikit-learn": "1.9.1"})


def test_the_models_is_valid_and_says_what_it_was_trained_on(of_model: dict, tmp_path: Path) -> None:
    check_schema([written(tmp_path, of_model)])
    data, library = of_model["components"]
    assert (data["type"], data["hashes"]) == ("data", [{"alg": "MD5", "content": "b" * 32}])
    assert library["purl"] == "pkg:pypi/scikit-learn@1.9.1"
    assert of_model["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]


@pytest.mark.parametrize(
    "broken",
    [
        {"bomFormat": "SPDX"},
        {"metadata": {"component": {"type": "model", "name": "a"}}},
        {"components": [{"type": "library"}]},
        {"serialNumber": "7"},
    ],
)
def test_what_is_no_bill_of_materials_is_refused(of_model: dict, tmp_path: Path, broken: dict) -> None:
    with pytest.raises(BomError, match=r"bom\.json: no CycloneDX 1\.6"):
        check_schema([written(tmp_path, of_model | broken)])
