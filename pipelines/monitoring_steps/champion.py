"""Tasks on the champion: what the registry says of it, and its predictions of its own training and test rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flightline.adapters.files.parquet_rows import read_parts, write_folder
from flightline.adapters.state.stamps import registry_state
from flightline.core.errors import RegistryError
from flightline.core.prediction_record import as_column
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.inference.predict import predict_with
from flightline.monitoring.drift import PREDICTION
from flightline.training.splits import split
from pipelines.common.cached_step import cached_step
from pipelines.monitoring_steps.training_window import ANSWER, FEATURES_FILE, ChampionRows, references_dir

if TYPE_CHECKING:  # MLflow takes seconds, and is not asked while its files are as they were
    from flightline.adapters.mlflow.registry import ModelVersion

PREDICTED_AT_ONCE = 50_000


@dataclass(frozen=True)
class Champion:
    """What the registry says of the champion.

    Parameters
    ----------
    version
        In the registry.
    training_set
        Key of the training set that it was made of.
    features_file
        Of that training set.
    judged, model_sha256
        The version that the gate judged, and the digest of its file; see `find_judged`.
    """

    version: str
    training_set: str
    features_file: Path
    judged: str
    model_sha256: str


def read_champion(project: Project) -> Champion:
    """Describe the champion, without asking MLflow if its files are as they were; raises as `find_champion`."""
    if (state := registry_state(project.settings)) is None:
        return _describe(project.settings, project.problem.model_name)
    return describe_champion(project.settings, project.problem.model_name, state)


@cached_step
def describe_champion(key: str, settings: Settings, model_name: str, state: str) -> Champion:
    """Ask MLflow; `state` is that of `registry_state`."""
    return _describe(settings, model_name)


def _describe(settings: Settings, model_name: str) -> Champion:
    found, training_set = _find_champion(settings, model_name)
    judged = _find_judged(settings, model_name, found)
    file = training_set_dir(settings, training_set) / FEATURES_FILE
    return Champion(str(found.version), training_set, file, str(judged.version), judged.tags["model_sha256"])


def find_champion(project: Project) -> tuple["ModelVersion", str]:
    """Give the champion, and the key of the training set it was made of.

    Raises
    ------
    RegistryError
        If there is no champion, or its training set is not at hand.
    """
    return _find_champion(project.settings, project.problem.model_name)


def _find_champion(settings: Settings, model_name: str) -> tuple["ModelVersion", str]:
    from flightline.adapters.mlflow import registry

    found = registry.version_of(settings, model_name, registry.CHAMPION)
    if found is None:
        raise RegistryError(f"{model_name} has no champion to monitor; run `make train`")
    training_set = found.tags.get("training_set", "")
    if not training_set or not (training_set_dir(settings, training_set) / FEATURES_FILE).is_file():
        raise RegistryError(
            f"the training set of version {found.version} is not under .state/training_sets, and nothing can be "
            "compared without it; run `make train`, which makes it again"
        )
    return found, training_set


def find_judged(project: Project, found: "ModelVersion") -> "ModelVersion":
    """Give the version that the gate judged: a refit of it has learned from the test rows, and is no reference."""
    return _find_judged(project.settings, project.problem.model_name, found)


def _find_judged(settings: Settings, model_name: str, found: "ModelVersion") -> "ModelVersion":
    from flightline.adapters.mlflow import registry

    judged = found.tags.get("refit_of")
    return registry.get_version(settings, model_name, judged) if judged else found


@cached_step
def predict_champion_rows(
    key: str, settings: Settings, problem: Problem, version: str, model_sha256: str, training_set: str
) -> ChampionRows:
    """Let the champion predict its own training and test rows."""
    from flightline.adapters.mlflow import registry
    from flightline.adapters.model_store.model_file import load_model

    found, folder = (
        registry.get_version(settings, problem.model_name, version),
        training_set_dir(settings, training_set),
    )
    model = load_model(registry.download_model(settings, found), model_sha256)
    examples, file = pd.read_parquet(folder / "examples.parquet"), folder / FEATURES_FILE
    masks = split(examples, problem.windows)
    parts = read_parts(file, pq.read_schema(file).names, PREDICTED_AT_ONCE)
    predicted = np.concatenate([predict_with(model, problem, part) for part in parts])
    rows = examples[["event_timestamp", *problem.slices]].assign(
        part=np.select([masks["refit"], masks["test"]], ["training", "test"], "neither"),
        label=examples[problem.label].astype(float),
        **{PREDICTION: as_column(predicted)},
    )
    if problem.classes:
        rows[ANSWER] = np.array(problem.classes, dtype=object)[predicted.argmax(axis=1)]
    target = references_dir(settings) / key[:16]
    write_folder(target, {"rows.parquet": rows})
    return ChampionRows(version, key, target, folder)


def training_set_dir(settings: Settings, key: str) -> Path:
    """Say where the training set of a key lies."""
    return settings.state_dir / "training_sets" / key[:16]
