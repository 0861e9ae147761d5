"""The bill of materials of a model, as CycloneDX 1.6: what it is, what it was trained on and with.

Plain values: cyclonedx-python-lib 11 knows no model cards. `make sbom` checks it against the schema.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from flightline.adapters.model_store.manifest import ModelManifest

BOM_FILE = "model.cdx.json"


def model_bom(
    manifest: ModelManifest,
    task: str,
    approach: str,
    metrics: Mapping[str, float],
    lineage: Mapping[str, str],
    libraries: Mapping[str, str],
) -> dict[str, Any]:
    """Write the bill of materials of a model.

    Parameters
    ----------
    approach
        The name of the model in the zoo.
    metrics
        On the test window.
    lineage
        What made it, by tag: commit, lock, seed, and the data's digest as ``lineage.data_md5``.
    libraries
        Name to version of each package that its file needs, as it was trained with.
    """
    md5 = lineage.get("lineage.data_md5", "0" * 32).removesuffix(".dir")
    model, data = f"model:{manifest.name}@{manifest.version}", f"data:data.dvc@{md5}"
    purls = {name: f"pkg:pypi/{name}@{version}" for name, version in sorted(libraries.items())}
    made = {"timestamp": manifest.registered_at.isoformat()} if manifest.registered_at else {}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{model}:{manifest.run_id}:{manifest.sha256}").urn,
        "version": 1,
        "metadata": {
            **made,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                **_identity(manifest, lineage),
                "modelCard": _card(manifest, task, approach, metrics, data),
            },
        },
        "components": [
            {
                "type": "data",
                "bom-ref": data,
                "name": "data.dvc",
                "version": md5,
                "hashes": [{"alg": "MD5", "content": md5}],
                "data": [{"type": "dataset", "name": "data.dvc"}],
            },
            *(
                {"type": "library", "bom-ref": purl, "name": name, "version": libraries[name], "purl": purl}
                for name, purl in purls.items()
            ),
        ],
        "dependencies": [{"ref": model, "dependsOn": [data, *purls.values()]}],
    }


def _identity(manifest: ModelManifest, lineage: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "hashes": [{"alg": "SHA-256", "content": manifest.sha256}],
        "properties": [
            {"name": name, "value": value} for name, value in sorted({"run_id": manifest.run_id, **lineage}.items())
        ],
    }


def _card(
    manifest: ModelManifest, task: str, approach: str, metrics: Mapping[str, float], data: str
) -> dict[str, dict[str, Any]]:
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": task,
            "modelArchitecture": approach,
            "datasets": [{"ref": data}],
            "inputs": [{"format": name} for name, _ in manifest.columns],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [{"type": name, "value": f"{value:.6g}"} for name, value in sorted(metrics.items())]
        },
    }
