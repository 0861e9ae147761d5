"""Tasks from a training set to a model version: fit, evaluate, register."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE
from sklearn.pipeline import Pipeline

from flightline.adapters.files.parquet_rows import ROWS_AT_A_TIME, read_rows
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import MODEL_FILE, load_model, save_model
from flightline.adapters.plots.evaluation_plots import draw_evaluation
from flightline.core.lineage import Lineage, canonical_json, digest_of
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.core.windows import Windows
from flightline.evaluation.losses import row_losses
from flightline.evaluation.metrics import Evaluation, evaluate
from flightline.evaluation.single_feature import judge_alone
from flightline.inference.predict import METHODS, predict_with
from flightline.promotion.evidence import EvaluationSummary, summarise_evaluation
from flightline.training.fit import TrainingParameters, fit_pipeline
from flightline.training.row_checks import as_target, check_categories, feature_columns
from flightline.training.splits import split
from flightline.training.zoo import baseline_of, find_model
from pipelines.common.artifacts import EvaluationFile, FittedFile, Registered, TrainingSet
from pipelines.common.cached_step import cached_step
from pipelines.evaluation_steps.explanation import explain
from pipelines.evaluation_steps.held_out import SLICES_FILE, with_bounds, write_metrics
from pipelines.steps.folds import fit_on
from pipelines.steps.profile import held_out_result, write_profile
from pipelines.steps.reference_predictions import write_reference_predictions
from pipelines.steps.signing import signer_of_registration

ALONE_FILE = "each_feature_alone.csv"
SIGNATURE_ROWS = 200
SUMMARY_FILE, BASELINE_FILE = "summary.json", "baseline_summary.json"


def read_windows(training_set: TrainingSet, *names: str) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.Series]]:
    """Give examples and features of the rows of some windows alone, and which of them lie in which window."""
    examples = pd.read_parquet(training_set.examples_file)
    masks = split(examples, training_set.windows)
    wanted = np.logical_or.reduce([masks[name].to_numpy() for name in names])
    features = read_rows(training_set.features_file, wanted)
    return examples[wanted], features, {name: mask[wanted] for name, mask in masks.items()}


def refuse_unseen(training_set: TrainingSet, masks: Mapping[str, pd.Series], ceiling: float) -> None:
    """Run `check_categories` on the text columns alone."""
    text = [each.name for each in pq.read_schema(training_set.features_file) if each.type == pa.string()]
    before, later = (read_rows(training_set.features_file, masks[name].to_numpy(), text) for name in ("refit", "test"))
    check_categories(before, later, ceiling)


@cached_step
def fit_model(
    key: str,
    settings: Settings,
    problem: Problem,
    parameters: TrainingParameters,
    training_set: TrainingSet,
    max_unseen: float,
) -> FittedFile:
    """Choose settings on the validation window, refit on all before the test, write the file."""
    examples = pd.read_parquet(training_set.examples_file)
    masks = split(examples, training_set.windows)
    refuse_unseen(training_set, masks, max_unseen)
    start = time.perf_counter()
    fitted = fit_on(settings, problem, parameters, training_set, examples, masks)
    seconds = time.perf_counter() - start
    file = settings.state_dir / "models" / key[:16] / MODEL_FILE
    digest = save_model(fitted.pipeline, file)
    rows = {name: int(mask.sum()) for name, mask in masks.items()}
    learned_until = examples.loc[masks["refit"], "event_timestamp"].max().isoformat()
    return FittedFile(
        key=key,
        file=file,
        sha256=digest,
        rows=rows,
        chosen=dict(fitted.chosen),
        validation_losses=dict(fitted.validation_losses),
        validation_loss=fitted.validation_loss,
        calibration=fitted.calibration,
        calibration_losses=dict(fitted.calibration_losses),
        learned_until=learned_until,
        seconds=seconds,
    )


@dataclass(frozen=True)
class HeldOut:
    """The test rows: their examples, and their features row by row."""

    examples: pd.DataFrame
    features: pd.DataFrame

    def after(self, learned_until: datetime) -> "HeldOut":
        """Give the rows that a model which has learned from rows up to a moment has not seen."""
        later = self.examples["event_timestamp"] > learned_until
        return HeldOut(self.examples[later], self.features[later])


@dataclass(frozen=True)
class Judged:
    """A model's predictions of the test rows, and what they came to."""

    evaluation: Evaluation
    summary: EvaluationSummary
    label: pd.Series
    prediction: np.ndarray


def read_held_out(problem: Problem, training_set: TrainingSet) -> HeldOut:
    """Read the rows of the test window."""
    examples, features, _ = read_windows(training_set, "test")
    return HeldOut(examples, features)


def losses_of(problem: Problem, rows: HeldOut, prediction: np.ndarray) -> np.ndarray:
    """Give the loss of each row in the primary metric, shape (n,)."""
    label = rows.examples[problem.label].to_numpy(float)
    return row_losses(problem.task, problem.primary_metric, label, prediction)


def judge(problem: Problem, model: Pipeline, rows: HeldOut, min_slice_rows: int) -> Judged:
    """Evaluate a model on rows it has not seen."""
    examples, slice_by = rows.examples, rows.examples[list(problem.slices)]
    prediction = predict_with(model, problem, rows.features)
    label = examples[problem.label].astype(float)
    evaluation = evaluate(
        problem.task, examples["example_id"], label, prediction, slice_by, min_slice_rows, problem.classes
    )
    summary = summarise_evaluation(
        evaluation.metrics,
        evaluation.rows_digest,
        losses_of(problem, rows, prediction),
        examples["event_timestamp"],
        slice_by,
    )
    return Judged(evaluation, summary, label, prediction)


@cached_step
def evaluate_model(
    key: str,
    settings: Settings,
    problem: Problem,
    model: FittedFile,
    training_set: TrainingSet,
    min_slice_rows: int,
    groups: Mapping[str, Sequence[str]],
) -> EvaluationFile:
    """Judge the model and the baseline on the test window, and draw what a person should see.

    Parameters
    ----------
    groups
        By name, the model's columns that come from one place.
    """
    rows, pipeline = read_held_out(problem, training_set), load_model(model.file, model.sha256)
    judged = judge(problem, pipeline, rows, min_slice_rows)
    baseline = judge(problem, baseline_model(problem, training_set), rows, min_slice_rows)
    evaluation, label, base = judged.evaluation, judged.label.to_numpy(), baseline.evaluation.metrics
    folder = settings.state_dir / "evaluations" / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    times, metrics = rows.examples["event_timestamp"], evaluation.metrics
    write_metrics(problem, folder, times, label, judged.prediction, metrics, base)
    slices = with_bounds(problem, evaluation.slices, judged.summary.slices)
    draw_evaluation(
        problem.task,
        folder,
        label,
        judged.prediction,
        evaluation.calibration,
        slices,
        problem.primary_metric,
        problem.classes,
    )
    evaluation.calibration.to_csv(folder / "calibration.csv", index=False)
    slices.to_csv(folder / SLICES_FILE, index=False)
    for name, summary in ((SUMMARY_FILE, judged.summary), (BASELINE_FILE, baseline.summary)):
        (folder / name).write_text(json.dumps(asdict(summary), default=str), encoding="utf-8")
    write_reference_predictions(problem, folder, rows.examples, rows.features, judged.prediction)
    examples, features, _ = read_windows(training_set, "refit")
    write_profile(problem, folder, examples, features, held_out_result(problem, rows.examples, evaluation))
    del examples, features
    explain(problem, pipeline, rows.features, label, groups, folder)
    judge_features(problem, training_set).to_csv(folder / ALONE_FILE, index=False)
    tried = {"settings": dict(model.validation_losses), "calibration": dict(model.calibration_losses)}
    (folder / "validation.json").write_text(json.dumps(tried, indent=2), encoding="utf-8")
    return EvaluationFile(key, folder, metrics, base, evaluation.rows, evaluation.rows_digest)


def judge_features(problem: Problem, training_set: TrainingSet) -> pd.DataFrame:
    """Fit each feature alone on the fit window and judge it on the validation window; the test window is not read."""
    examples, features, masks = read_windows(training_set, "fit", "validation")
    label = examples[problem.label]
    return judge_alone(problem.task, problem.primary_metric, features, label, masks["fit"], masks["validation"])


def baseline_model(problem: Problem, training_set: TrainingSet) -> Pipeline:
    """Fit what a model has to beat on the rows before the test window."""
    examples, features, _ = read_windows(training_set, "refit")
    target = as_target(problem.task, examples[problem.label])
    return fit_pipeline(baseline_of(problem.task), feature_columns(features), 0, {}, features, target)


@task(cache_policy=NO_CACHE)
def register_model(
    project: Project,
    parameters: TrainingParameters,
    lineage: Lineage,
    training_set: TrainingSet,
    model: FittedFile,
    evaluation: EvaluationFile,
    more_tags: Mapping[str, str] | None = None,
) -> Registered:
    """Log the run, make a model version of it and point `challenger` at it.

    The same model on the same data, evaluation and lineage is not registered twice, unless the registry has lost its
    file; a version from before a tag was introduced is given it.
    """
    identity = digest_of(evaluation.key, lineage)
    tags = lineage.as_tags() | {"feature_service": project.problem.feature_service}
    tags |= {"learned_until": model.learned_until, "training_set": training_set.key}
    tags |= {"feature_views_sha256": lineage.feature_views_sha256, **(more_tags or {})}
    existing = registry.find_version(project.settings, project.problem.model_name, {"identity": identity})
    if existing is not None and registry.has_model_file(project.settings, existing):
        missing = {name: value for name, value in tags.items() if name not in existing.tags}
        registry.tag_version(project.settings, project.problem.model_name, existing.version, missing)
        registry.set_challenger(project.settings, project.problem.model_name, existing.version)
        return Registered(str(existing.version), str(existing.run_id), existing.tags["model_sha256"])
    complete = signer_of_registration(project, model.sha256)  # first of all: without a key nothing is logged
    run_id, model_id = registry.log_run(
        project.settings,
        project.problem.model_name,
        parameters.model,
        _contents(project.problem, parameters, lineage.as_tags(), training_set, model, evaluation),
    )
    tags |= {"model_sha256": model.sha256}
    version = registry.register(project.settings, project.problem.model_name, run_id, model_id, tags, complete)
    # Last of all: what was broken off before it was signed is never found again.
    registry.tag_version(project.settings, project.problem.model_name, version, {"identity": identity})
    return Registered(version, run_id, model.sha256)


def logged_parameters(parameters: TrainingParameters, model: FittedFile, windows: Windows) -> dict[str, object]:
    """Give what was to be learned and what was chosen, as MLflow shows it."""
    chosen = {f"chosen.{name}": value for name, value in model.chosen.items()}
    rows = {f"rows.{name}": count for name, count in model.rows.items()}
    spans = {f"window.{name}": str(getattr(windows, name)) for name in ("fit", "validation", "test")}
    learned = {
        name: canonical_json(value) if isinstance(value, tuple) else value for name, value in vars(parameters).items()
    }
    return {**learned, **chosen, "calibration": model.calibration, **rows, **spans}


def logged_metrics(problem: Problem, model: FittedFile, evaluation: EvaluationFile) -> dict[str, float]:
    """Give every metric of a run: on the test window, of the baseline, and on the validation window."""
    return (
        {f"test_{name}": value for name, value in evaluation.metrics.items()}
        | {f"baseline_{name}": value for name, value in evaluation.baseline_metrics.items()}
        | {f"validation_{problem.primary_metric}": model.validation_loss, "fit_seconds": model.seconds}
    )


def _contents(
    problem: Problem,
    parameters: TrainingParameters,
    tags: dict[str, str],
    training_set: TrainingSet,
    model: FittedFile,
    evaluation: EvaluationFile,
) -> registry.RunContents:
    return registry.RunContents(
        parameters=logged_parameters(parameters, model, training_set.windows),
        metrics=logged_metrics(problem, model, evaluation),
        tags=tags,
        pipeline=load_model(model.file, model.sha256),
        method=METHODS[problem.task],
        features=_rows_with_missing_values(training_set.features_file),
        model_file=model.file,
        data_name=f"{problem.feature_service} training set",
        data_source=f"data.dvc@{tags['lineage.data_md5']}",
        data_digest=training_set.key,
        artifacts=evaluation.folder,
        packages=find_model(problem.task, parameters.model).packages,
    )


def _rows_with_missing_values(file: Path) -> pd.DataFrame:
    # A signature inferred from rows without missing values would refuse them later.
    first, with_missing = pd.DataFrame(), pd.DataFrame()
    for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_A_TIME):
        part = batch.to_pandas()
        first = part.head(SIGNATURE_ROWS) if first.empty else first
        with_missing = pd.concat([with_missing, part[part.isna().any(axis=1)].head(SIGNATURE_ROWS - len(with_missing))])
        if len(with_missing) == SIGNATURE_ROWS:
            break
    return pd.concat([with_missing, first])
