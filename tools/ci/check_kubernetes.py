"""Checks what is sent to Kubernetes against its own schemas: ``make check-kubernetes``.

`kubectl kustomize` renders each folder; kubernetes-validate holds the schemas of the built-in kinds. Of KServe's kind
it holds none, so the pod that it describes is checked as the pod that KServe makes of it.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from flightline.adapters.files.pipes import outlive_reader

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
WAYS = ("deployment", "kserve")
# Of KServe's predictor; all else in it is Kubernetes' PodSpec.
OF_KSERVE = {"minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "timeout", "deploymentStrategy", "labels"}


def render(folder: Path) -> list[dict[str, Any]]:
    """Give the resources that a folder of kustomize makes.

    Raises
    ------
    ValueError
        With kustomize's own words, if it refuses.
    """
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{folder.name}: {done.stderr.strip()}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def built_in(resource: dict[str, Any]) -> dict[str, Any]:
    """Give a resource, or the pod that KServe makes of it."""
    if resource["kind"] != "InferenceService":
        return resource
    spec = {name: value for name, value in resource["spec"]["predictor"].items() if name not in OF_KSERVE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": resource["metadata"]["name"]}, "spec": spec}


def check(validate: Path, resources: Sequence[dict[str, Any]]) -> str:
    """Hold resources against their schemas, where no other field is allowed; give what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resources.yaml"
        file.write_text(yaml.safe_dump_all([built_in(each) for each in resources]), encoding="utf-8")
        done = subprocess.run(
            [str(validate), "--strict", "--quiet", str(file)], capture_output=True, text=True, check=False
        )
    return done.stdout + done.stderr if done.returncode else ""


def main(arguments: list[str] | None = None) -> int:
    """Check both ways; 1 if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validate", type=Path, required=True, help="the program kubernetes-validate")
    given = parser.parse_args(arguments)
    failed = False
    for way in WAYS:
        try:
            wrong = check(given.validate, render(FOLDER / way))
        except ValueError as err:
            wrong = str(err)
        print(f"{'FAILED' if wrong else 'passed'}  infra/kubernetes/{way}")
        if wrong:
            print(wrong, file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
