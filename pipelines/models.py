"""Tasks from a training set to a model version: fit, evaluate, register."""

import json

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from sklearn.pipeline import Pipeline

from flightline.adapters import mlflow_registry as registry
from flightline.adapters.figures import draw_evaluation
from flightline.adapters.model_files import MODEL_FILE, load_model, save_model
from flightline.adapters.provenance import source_text
from flightline.errors import FlightlineError
from flightline.evaluation import Evaluation, evaluate
from flightline.gates import Evidence
from flightline.lineage import Lineage, canonical_json, digest_of
from flightline.models import base_rate
from flightline.settings import Settings
from flightline.specification import Problem
from flightline.training import TrainingParameters, feature_columns, fit
from flightline.windows import split
from pipelines.references import EvaluationFile, FittedFile, Registered, TrainingSet
from pipelines.reuse import by_key

TRAINING_CODE = ("models.py", "training.py", "windows.py", "adapters/model_files.py")
EVALUATION_CODE = ("evaluation.py", "windows.py", "adapters/figures.py")


def model_key(training_set: TrainingSet, parameters: TrainingParameters, problem: Problem) -> str:
    """Name what a fitted model depends on."""
    return digest_of(training_set.key, parameters, problem.windows, source_text(TRAINING_CODE))


def evaluation_key(model: FittedFile, problem: Problem) -> str:
    """Name what an evaluation depends on."""
    return digest_of(model.key, problem.slices, source_text(EVALUATION_CODE))


def _read(training_set: TrainingSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(training_set.examples_file), pd.read_parquet(training_set.features_file)


@task(cache_key_fn=by_key, persist_result=True)
def fit_model(
    key: str, settings: Settings, problem: Problem, parameters: TrainingParameters, training_set: TrainingSet
) -> FittedFile:
    """Choose settings on the validation window, refit on all before the test, write the file."""
    examples, features = _read(training_set)
    masks = split(examples, problem.windows)
    fitted = fit(parameters, features, examples[problem.label], masks)
    file = settings.state_dir / "models" / key[:16] / MODEL_FILE
    digest = save_model(fitted.pipeline, file)
    rows = {name: int(mask.sum()) for name, mask in masks.items()}
    return FittedFile(key, file, digest, rows, dict(fitted.chosen), dict(fitted.validation_log_loss))


def judge(problem: Problem, model: Pipeline, training_set: TrainingSet) -> tuple[Evaluation, pd.Series, pd.Series]:
    """Evaluate a model on the test window.

    Returns
    -------
    tuple
        The evaluation, and the test rows' labels and probabilities.
    """
    examples, features = _read(training_set)
    test = split(examples, problem.windows)["test"]
    rows = examples[test]
    probability = model.predict_proba(features.loc[test, list(model.feature_names_in_)])[:, 1]
    label = rows[problem.label].astype(int)
    evaluation = evaluate(rows["example_id"], label, probability, rows[list(problem.slices)])
    return evaluation, label, pd.Series(probability, index=rows.index)


@task(cache_key_fn=by_key, persist_result=True)
def evaluate_model(
    key: str, settings: Settings, problem: Problem, model: FittedFile, training_set: TrainingSet
) -> EvaluationFile:
    """Judge the model and the baseline on the test window, and draw what a person should see."""
    evaluation, label, probability = judge(problem, load_model(model.file, model.sha256), training_set)
    baseline, _, _ = judge(problem, _baseline(problem, training_set), training_set)
    folder = settings.state_dir / "evaluations" / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    draw_evaluation(folder, label.to_numpy(), probability.to_numpy(), evaluation.calibration, evaluation.slices)
    evaluation.calibration.to_csv(folder / "calibration.csv", index=False)
    evaluation.slices.to_csv(folder / "slices.csv", index=False)
    (folder / "validation.json").write_text(json.dumps(dict(model.validation_log_loss), indent=2), encoding="utf-8")
    return EvaluationFile(key, folder, evaluation.metrics, baseline.metrics, evaluation.rows, evaluation.rows_digest)


def _baseline(problem: Problem, training_set: TrainingSet) -> Pipeline:
    examples, features = _read(training_set)
    before = split(examples, problem.windows)["refit"]
    return base_rate(feature_columns(features), seed=0).fit(
        features[before], examples.loc[before, problem.label].astype(int)
    )


@task(cache_policy=NO_CACHE)
def register_model(
    settings: Settings,
    problem: Problem,
    parameters: TrainingParameters,
    lineage: Lineage,
    training_set: TrainingSet,
    model: FittedFile,
    evaluation: EvaluationFile,
) -> Registered:
    """Log the run, make a model version of it and point `challenger` at it.

    The same model on the same data, evaluation and lineage is not registered twice.
    """
    identity = digest_of(evaluation.key, lineage)
    existing = registry.find_version(settings, problem.model_name, {"identity": identity})
    if existing is not None:
        registry.set_challenger(settings, problem.model_name, existing.version)
        return Registered(str(existing.version), str(existing.run_id), existing.tags["model_sha256"])
    tags = lineage.as_tags()
    run_id, model_id, digest = registry.log_run(
        settings,
        problem.model_name,
        parameters.model,
        _contents(problem, parameters, tags, training_set, model, evaluation),
    )
    tags |= {"identity": identity, "model_sha256": digest, "feature_service": problem.feature_service}
    version = registry.register(settings, problem.model_name, run_id, model_id, tags)
    return Registered(version, run_id, digest)


def _contents(
    problem: Problem,
    parameters: TrainingParameters,
    tags: dict[str, str],
    training_set: TrainingSet,
    model: FittedFile,
    evaluation: EvaluationFile,
) -> registry.RunContents:
    _, features = _read(training_set)
    chosen = {f"chosen.{name}": value for name, value in model.chosen.items()}
    rows = {f"rows.{name}": count for name, count in model.rows.items()}
    windows = {f"window.{name}": str(getattr(problem.windows, name)) for name in ("fit", "validation", "test")}
    learned = {
        name: canonical_json(value) if isinstance(value, tuple) else value for name, value in vars(parameters).items()
    }
    return registry.RunContents(
        parameters={**learned, **chosen, **rows, **windows},
        metrics={f"test_{name}": value for name, value in evaluation.metrics.items()}
        | {f"baseline_{name}": value for name, value in evaluation.baseline_metrics.items()}
        | {"validation_log_loss": min(model.validation_log_loss.values())},
        tags=tags,
        pipeline=load_model(model.file, model.sha256),
        features=_rows_with_missing_values(features),
        data_name=f"{problem.feature_service} training set",
        data_source=f"data.dvc@{tags['lineage.data_md5']}",
        data_digest=training_set.key,
        artifacts=evaluation.folder,
    )


def _rows_with_missing_values(features: pd.DataFrame, rows: int = 200) -> pd.DataFrame:
    # A signature inferred from rows without missing values would refuse them later.
    with_missing = features[features.isna().any(axis=1)]
    return pd.concat([with_missing.head(rows), features.head(rows)])


def champion_evidence(settings: Settings, problem: Problem, training_set: TrainingSet) -> tuple[Evidence | None, str]:
    """Judge the champion on the same test rows as the challenger.

    Returns
    -------
    tuple
        Its evidence, or None and why there is none; the reason is empty if there is no champion.
    """
    champion = registry.version_of(settings, problem.model_name, registry.CHAMPION)
    if champion is None:
        return None, ""
    try:
        model = load_model(registry.download_model(settings, champion), champion.tags.get("model_sha256"))
        evaluation, _, _ = judge(problem, model, training_set)
    except (FlightlineError, KeyError, ValueError) as err:
        return None, f"the champion, version {champion.version}, cannot be judged on these rows: {err}"
    return Evidence(champion.tags["model_sha256"], evaluation.metrics, evaluation.rows_digest), ""
