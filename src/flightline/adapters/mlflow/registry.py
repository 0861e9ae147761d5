"""MLflow: runs, model versions, and the one function that moves the alias `champion`."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.git_context import GitRunContext
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import DataType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from flightline.adapters.model_store.manifest import ColumnKind
from flightline.adapters.model_store.model_file import MODEL_FILE, trusted_types
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings
from flightline.inference.predict import Method

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CHAMPION, CHALLENGER = "champion", "challenger"
REQUIREMENTS = ("scikit-learn", "skops", "numpy", "pandas")


@dataclass(frozen=True)
class RunContents:
    """Everything a finished training run is logged with.

    Parameters
    ----------
    parameters, metrics, tags
        As MLflow shows them.
    pipeline, method, features
        The fitted model, the method it is asked by, and rows it takes, for the signature.
    model_file
        The file it was loaded from: these bytes are registered.
    data_name, data_source, data_digest
        What the run was trained on.
    artifacts
        A folder of pictures and tables.
    packages
        What the file needs besides `REQUIREMENTS`.
    """

    parameters: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    pipeline: "Pipeline"
    method: Method
    features: pd.DataFrame
    model_file: Path
    data_name: str
    data_source: str
    data_digest: str
    artifacts: Path
    packages: tuple[str, ...] = ()


def connect(settings: Settings) -> MlflowClient:
    """Point MLflow at the settings' tracking server, or at the SQLite file in the clone."""
    if not settings.mlflow_tracking_uri:
        (settings.state_dir / "mlflow").mkdir(parents=True, exist_ok=True)
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it reports every step of its own
    mlflow.set_tracking_uri(settings.tracking_uri)
    return MlflowClient()


def _experiment(settings: Settings, client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    local = None if settings.mlflow_tracking_uri else (settings.state_dir / "mlflow" / "artifacts").as_uri()
    return client.create_experiment(name, artifact_location=local)


def log_run(settings: Settings, experiment: str, run_name: str, contents: RunContents) -> tuple[str, str]:
    """Log a finished training as one run; a failure on the way leaves the run marked FAILED.

    Returns
    -------
    tuple
        Run id and logged model id.
    """
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.models import infer_signature

    client = connect(settings)
    experiment_id = _experiment(settings, client, experiment)
    answers = getattr(contents.pipeline, contents.method)(contents.features)
    # MLflow takes the commit of whatever repository lies around the code; the lineage holds the one of this clone.
    around = resolve_tags(ignore=[GitRunContext])  # type: ignore[list-item]  # it compares classes
    tags = {**around, **contents.tags}
    made = client.create_run(experiment_id, tags=tags, run_name=run_name)
    with mlflow.start_run(run_id=made.info.run_id) as run:
        mlflow.log_params(dict(contents.parameters))
        source = CodeDatasetSource(tags={"source": contents.data_source})
        data = MetaDataset(source, name=contents.data_name, digest=contents.data_digest[:32])  # type: ignore[abstract]  # MLflow leaves profile undefined
        mlflow.log_input(data, context="training")
        mlflow.log_artifacts(str(contents.artifacts), artifact_path="evaluation")
        info = mlflow.sklearn.log_model(
            contents.pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=trusted_types(),
            pip_requirements=[f"{name}=={version(name)}" for name in (*REQUIREMENTS, *contents.packages)],
            pyfunc_predict_fn=contents.method,
            signature=infer_signature(contents.features, answers),
        )
        mlflow.log_metrics(dict(contents.metrics))
        # MLflow has written the model anew; what training wrote and hashed takes its place.
        client.log_model_artifact(info.model_id, str(contents.model_file))
        return run.info.run_id, info.model_id


def register(
    settings: Settings,
    name: str,
    run_id: str,
    model_id: str,
    tags: Mapping[str, str],
    complete: Callable[[ModelVersion], None],
) -> str:
    """Make a model version, complete it, and point `challenger` at it; on any failure no version is left.

    Parameters
    ----------
    complete
        Called with the new version before anybody can find it by an alias: it adds the signature.
    """
    client = connect(settings)
    try:
        client.create_registered_model(name)
    except MlflowException as err:
        if err.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = client.get_logged_model(model_id).artifact_location
    made = client.create_model_version(name, source=source, run_id=run_id, tags=dict(tags), model_id=model_id)
    try:
        complete(made)
        client.set_registered_model_alias(name, CHALLENGER, made.version)
    except BaseException:
        client.delete_model_version(name, made.version)
        raise
    return str(made.version)


def find_version(settings: Settings, name: str, tags: Mapping[str, str]) -> ModelVersion | None:
    """Find the newest version that carries all of these tags, or None."""
    versions = connect(settings).search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])
    return next((found for found in versions if tags.items() <= dict(found.tags).items()), None)


def set_challenger(settings: Settings, name: str, version_: str) -> None:
    """Point `challenger` at a version."""
    connect(settings).set_registered_model_alias(name, CHALLENGER, version_)


def tag_version(settings: Settings, name: str, version_: str, tags: Mapping[str, str]) -> None:
    """Add tags to a model version."""
    client = connect(settings)
    for key, value in tags.items():
        client.set_model_version_tag(name, version_, key, value)


@contextmanager
def open_run(settings: Settings, experiment: str, run_name: str, parent: str = "") -> Iterator[str]:
    """Open a run without a model, nested in another if one is given, and give its id; an error marks it FAILED."""
    client = connect(settings)
    tags = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
    run = client.create_run(_experiment(settings, client, experiment), tags=tags, run_name=run_name)
    try:
        yield run.info.run_id
    except BaseException:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id)


def nest_run(settings: Settings, run_id: str, parent: str) -> bool:
    """Put a run under a parent, unless it has one, and say whether it was done."""
    client = connect(settings)
    if MLFLOW_PARENT_RUN_ID in client.get_run(run_id).data.tags:
        return False
    client.set_tag(run_id, MLFLOW_PARENT_RUN_ID, parent)
    return True


def log_values(settings: Settings, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    """Add parameters and metrics to a run."""
    client, now = connect(settings), int(datetime.now(UTC).timestamp() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )


def log_table(settings: Settings, run_id: str, table: pd.DataFrame, name: str) -> None:
    """Add a table to the artifacts of a run, as CSV."""
    connect(settings).log_text(run_id, table.to_csv(index=False), name)


def log_folder(settings: Settings, run_id: str, folder: Path, artifact_path: str) -> None:
    """Add a folder's files to the artifacts of a run, in place of files of the same names."""
    connect(settings).log_artifacts(run_id, str(folder), artifact_path)


def version_of(settings: Settings, name: str, alias: str) -> ModelVersion | None:
    """Give the version an alias points at, or None."""
    try:
        return connect(settings).get_model_version_by_alias(name, alias)
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def get_version(settings: Settings, name: str, version_: str) -> ModelVersion:
    """Give a version.

    Raises
    ------
    RegistryError
        If there is none.
    """
    try:
        return connect(settings).get_model_version(name, version_)
    except MlflowException as err:
        raise RegistryError(
            f"the registry holds no version {version_} of {name}; `make status` shows which it has"
        ) from err


def metrics_of_version(settings: Settings, model_version: ModelVersion) -> dict[str, float]:
    """Give the metrics logged by the run that made a version."""
    return dict(connect(settings).get_run(str(model_version.run_id)).data.metrics)


def parameters_of_version(settings: Settings, model_version: ModelVersion) -> dict[str, str]:
    """Give the parameters logged by the run that made a version."""
    return dict(connect(settings).get_run(str(model_version.run_id)).data.params)


def download_model(settings: Settings, model_version: ModelVersion) -> Path:
    """Bring a version's model file to this machine.

    Raises
    ------
    RegistryError
        If the registry does not give it.
    """
    connect(settings)
    uri = f"models:/{model_version.name}/{model_version.version}"
    try:
        return Path(mlflow.artifacts.download_artifacts(uri)) / MODEL_FILE
    except (MlflowException, OSError) as err:
        raise RegistryError(
            f"the registry gives no model file of version {model_version.version} ({err}); bring the files back, or "
            "go back to another version: `make rollback`"
        ) from err


def has_model_file(settings: Settings, model_version: ModelVersion) -> bool:
    """Say whether the registry still holds a version's model file."""
    connect(settings)
    uri = f"models:/{model_version.name}/{model_version.version}"
    try:
        return MODEL_FILE in {file.path for file in mlflow.artifacts.list_artifacts(artifact_uri=uri)}
    except (MlflowException, OSError):
        return False


def read_text(settings: Settings, model_version: ModelVersion, name: str) -> str:
    """Give a text artifact of the run that made a version.

    Raises
    ------
    RegistryError
        If the run has no such artifact.
    """
    connect(settings)
    try:
        return mlflow.artifacts.load_text(f"runs:/{model_version.run_id}/{name}")
    except (MlflowException, OSError) as err:
        raise RegistryError(
            f"version {model_version.version} was registered without {name}; train it again with `make train`"
        ) from err


def input_columns(settings: Settings, model_version: ModelVersion) -> tuple[tuple[str, ColumnKind], ...]:
    """Give the columns a version takes, in order, as (name, "float64" or "str")."""
    connect(settings)
    signature = mlflow.models.get_model_info(f"models:/{model_version.name}/{model_version.version}").signature
    # Text that is missing in all of the rows that the signature was inferred from has no type in MLflow.
    return tuple((column.name, "float64" if column.type == DataType.double else "str") for column in signature.inputs)
