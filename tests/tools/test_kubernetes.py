"""Manifests of Kubernetes: both ways run one pod, hardened as the image's own tests run it; a wrong field is found."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.ci.check_kubernetes import FOLDER, WAYS, check, main, render

ROOT = Path(__file__).parents[2]
VALIDATE = ROOT / ".tools" / "workflows" / "bin" / "kubernetes-validate"


@pytest.fixture
def validate() -> Path:
    """The program that knows the schemas, and kubectl beside it."""
    if shutil.which("kubectl") and VALIDATE.exists():
        return VALIDATE
    said = "kubectl and make .tools/workflows/.installed are wanted"
    (pytest.fail if os.environ.get("GITHUB_ACTIONS") == "true" else pytest.skip)(said)
    raise AssertionError


def pod(way: str) -> dict[str, Any]:
    file = FOLDER / way / ("deployment.yaml" if way == "deployment" else "inference_service.yaml")
    spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
    return spec["template"]["spec"] if way == "deployment" else spec["predictor"]


def test_both_ways_run_the_same_pod() -> None:
    plain, kserve = pod("deployment"), pod("kserve")
    assert kserve["containers"][0].pop("name") == "kserve-container"
    assert plain["containers"][0].pop("name") == "service"
    assert {name: kserve[name] for name in plain} == plain
    assert kserve.keys() - plain.keys() == {"minReplicas", "maxReplicas"}


@pytest.mark.parametrize("way", WAYS)
def test_the_pod_can_gain_no_right(way: str) -> None:
    spec = pod(way)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in spec["containers"]:
        bounds = container["securityContext"]
        assert (bounds["allowPrivilegeEscalation"], bounds["readOnlyRootFilesystem"]) == (False, True)
        assert bounds["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("way", WAYS)
def test_it_passes_the_schemas(way: str, validate: Path) -> None:
    assert check(validate, render(FOLDER / way)) == ""
    assert main(["--validate", str(validate)]) == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_field_that_is_not_there_is_found(way: str, validate: Path, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    (file,) = (tmp_path / "kubernetes" / way).glob("*t.yaml" if way == "deployment" else "*_service.yaml")
    file.write_text(file.read_text().replace("terminationGracePeriodSeconds", "terminationGraceSeconds"))
    assert "terminationGraceSeconds" in check(validate, render(tmp_path / "kubernetes" / way))


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_setting_starts_new_pods(way: str, validate: Path, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    before = str(render(tmp_path / "kubernetes" / way))
    settings = tmp_path / "kubernetes" / "settings" / "settings.env"
    settings.write_text(settings.read_text().replace("redis:6379", "other:6379"))
    (name,) = (
        each["metadata"]["name"] for each in render(tmp_path / "kubernetes" / way) if each["kind"] == "ConfigMap"
    )
    assert name not in before
    assert str(render(tmp_path / "kubernetes" / way)).count(name) == 3  # itself, and both containers
