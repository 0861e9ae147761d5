"""The bill of materials of a model, as CycloneDX 1.6: what it is, what it was trained on and with.

Plain values: cyclonedx-python-lib 11 knows no model cards. `make sbom` checks it against the schema.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SPEC_VERSION = "1.6"


@dataclass(frozen=True)
class TrainedOn:
    """The data of a training, by its name and its digest in data.dvc (md5, hex, without the ending .dir)."""

    name: str
    md5: str


@dataclass(frozen=True)
class ModelDescription:
    """What the bill of materials says of the model itself.

    Parameters
    ----------
    name, version, run_id
        As the registry has it.
    sha256
        Of the model file.
    registered_at
        UTC.
    task, approach
        The kind of target, and the name of the model in the zoo.
    inputs
        Its columns.
    metrics
        On the test window.
    lineage
        Whatever else made it: commit, lock, seed.
    """

    name: str
    version: str
    run_id: str
    sha256: str
    registered_at: datetime
    task: str
    approach: str
    inputs: tuple[str, ...]
    metrics: Mapping[str, float]
    lineage: Mapping[str, str]


def model_bom(model: ModelDescription, data: TrainedOn, libraries: Mapping[str, str]) -> dict[str, Any]:
    """Write the bill of materials of a model.

    Parameters
    ----------
    libraries
        Name to version of each package that its file needs, as it was trained with.

    Examples
    --------
    >>> at = datetime.fromisoformat("2013-12-31T12:00:00+00:00")
    >>> model = ModelDescription("delay", "3", "r1", "a" * 64, at, "classification", "tree", ("x",), {}, {})
    >>> bom = model_bom(model, TrainedOn("data", "b" * 32), {"numpy": "2.0"})
    >>> bom["metadata"]["component"]["bom-ref"], [part["name"] for part in bom["components"]]
    ('model:delay@3', ['data', 'numpy'])
    """
    own, given = f"model:{model.name}@{model.version}", f"data:{data.name}@{data.md5}"
    wanted = {name: f"pkg:pypi/{name}@{version}" for name, version in sorted(libraries.items())}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{own}:{model.run_id}:{model.sha256}").urn,
        "version": 1,
        "metadata": {"timestamp": model.registered_at.isoformat(), "component": _component(model, own, given)},
        "components": [
            {
                "type": "data",
                "bom-ref": given,
                "name": data.name,
                "version": data.md5,
                "hashes": [{"alg": "MD5", "content": data.md5}],
                "data": [{"type": "dataset", "name": data.name}],
            },
            *(
                {"type": "library", "bom-ref": purl, "name": name, "version": libraries[name], "purl": purl}
                for name, purl in wanted.items()
            ),
        ],
        "dependencies": [{"ref": own, "dependsOn": [given, *wanted.values()]}],
    }


def _component(model: ModelDescription, own: str, given: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": own,
        "name": model.name,
        "version": model.version,
        "hashes": [{"alg": "SHA-256", "content": model.sha256}],
        "properties": [
            {"name": name, "value": value} for name, value in sorted({"run_id": model.run_id, **model.lineage}.items())
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": model.task,
                "modelArchitecture": model.approach,
                "datasets": [{"ref": given}],
                "inputs": [{"format": name} for name in model.inputs],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {"type": name, "value": f"{value:.6g}"} for name, value in sorted(model.metrics.items())
                ]
            },
        },
    }
