"""A real MLflow registry with tiny models in it, registered as training does."""

from pathlib import Path

import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.adapters.model_store.approvals import Approval
from flightline.adapters.model_store.model_file import save_model
from flightline.core.settings import Settings
from pipelines.promotion_steps.champion import sign_approval_of
from pipelines.steps.reference_predictions import write_reference_predictions
from pipelines.steps.signing import collect, sign, signer_of_registration
from serving.prediction.predictor import columns_of
from tests.support.small_service import INSTANCE, KINDS
from tests.toy_problem import PROBLEM, Instance, make_project, request_features

EVIDENCE = {"test": "a tiny model"}


def reference_features() -> pd.DataFrame:
    """Give two rows of features that agree with what INSTANCE says of itself."""
    frame = pd.DataFrame([dict.fromkeys(KINDS), {"mean_units": 1.0, "shop": "S01", "seats": 2.0}], columns=[*KINDS])
    computed = request_features(columns_of([Instance.model_validate(INSTANCE)] * 2, [*INSTANCE]))
    for name in computed.keys() & set(frame.columns):
        frame[name] = computed[name]
    return frame.astype({name: "float64" if kind == "float64" else object for name, kind in KINDS.items()})


def register(
    settings: Settings,
    pipeline: Pipeline,
    *,
    with_reference_predictions: bool = True,
    is_signed: bool = True,
    **tags: str,
) -> str:
    """Register a model and give its version; nobody is made champion."""
    features = reference_features()
    folder = settings.root / "evaluation"
    folder.mkdir(exist_ok=True)
    if with_reference_predictions:
        write_reference_predictions(
            PROBLEM, folder, pd.DataFrame([INSTANCE] * 2), features, pipeline.predict_proba(features)[:, 1]
        )
    file = settings.root / "trained" / "model.skops"
    digest = save_model(pipeline, file)
    contents = registry.RunContents({}, {}, {}, pipeline, "predict_proba", features, file, "d", "s", "0" * 32, folder)
    run_id, model_id = registry.log_run(settings, PROBLEM.model_name, "small", contents)
    told = {"model_sha256": digest, "feature_service": PROBLEM.feature_service, "feature_views_sha256": "d" * 64}
    complete = signer_of_registration(make_project(settings), digest) if is_signed else lambda _: None
    return registry.register(settings, PROBLEM.model_name, run_id, model_id, told | tags, complete)


def sign_unseen(settings: Settings, version: str) -> None:
    """Sign and approve what the registry holds now, as somebody with the key could, without looking at it."""
    found = registry.get_version(settings, PROBLEM.model_name, version)
    sign(settings, found, collect(make_project(settings), found, "person:nobody", "a test"))
    approve_unseen(settings, version)


def approve_unseen(settings: Settings, version: str) -> None:
    """Approve the model file that the registry names of a version."""
    project, found = make_project(settings), registry.get_version(settings, PROBLEM.model_name, version)
    approval = Approval(
        model=PROBLEM.model_name, version=version, role="champion", verdict="PROMOTE", by="gate", why="a test"
    )
    sign_approval_of(project, found, approval, found.tags["model_sha256"])


def model_file_of(settings: Settings, version: str) -> Path:
    """Find the model file of a version among the registry's own files."""
    found = registry.get_version(settings, PROBLEM.model_name, version)
    return registry.download_model(settings, found)


def papers_of(settings: Settings, version: str) -> Path:
    """Find the attestations of a version among the registry's own files."""
    (folder,) = (settings.state_dir / "mlflow" / "artifacts").rglob(f"signed/version_{version}")
    return folder


def crown(settings: Settings, version: str) -> None:
    """Approve a version, whatever it is, and move the alias `champion` to it."""
    approve_unseen(settings, version)
    move_champion(settings, PROBLEM.model_name, version, by="gate", why="a test", evidence=EVIDENCE)
