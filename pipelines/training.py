"""The training flow, from pull to materialise: `python -m pipelines.training --model NAME`."""

import argparse
import sys
from dataclasses import asdict, dataclass
from datetime import datetime

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flightline.adapters import dvc_data, provenance
from flightline.adapters import mlflow_registry as registry
from flightline.adapters.dvc_data import DataVersion
from flightline.adapters.event_clock import ensure_clock
from flightline.gates import Decision, Evidence, Verdict, decide_promotion
from flightline.lineage import Lineage
from flightline.models import ZOO, model_builder
from flightline.problem import PROBLEM
from flightline.settings import Settings
from flightline.specification import Problem
from flightline.training import TrainingParameters
from pipelines import features, models
from pipelines.champion import fetch_champion
from pipelines.command import run_command
from pipelines.progress import stage
from pipelines.references import EvaluationFile, FeatureTables, FittedFile, Registered, TrainingSet
from pipelines.report import print_result
from pipelines.retries import is_remote_error
from pipelines.reuse import reuse_or_run


@dataclass(frozen=True)
class TrainingResult:
    """What a training run came to."""

    data: DataVersion
    clock: datetime
    training_set: TrainingSet
    model: FittedFile
    evaluation: EvaluationFile
    registered: Registered
    champion: Evidence | None
    verdict: Verdict


@task(cache_policy=NO_CACHE, retries=3, retry_delay_seconds=[2, 10, 30], retry_condition_fn=is_remote_error)
def pull(settings: Settings) -> DataVersion:
    """Bring data/ to the version that data.dvc names."""
    with stage("pull") as progress:
        return dvc_data.pull(settings, progress.say)


@task(cache_policy=NO_CACHE)
def gate(
    settings: Settings, problem: Problem, training_set: TrainingSet, evaluation: EvaluationFile, registered: Registered
) -> tuple[Verdict, Evidence | None]:
    """Decide on the challenger, store the verdict with its version, and move `champion` if it passed."""
    with stage("gate") as progress:
        champion, unjudged = models.champion_evidence(settings, problem, training_set)
        challenger = Evidence(registered.sha256, evaluation.metrics, evaluation.rows_digest)
        baseline = Evidence("baseline", evaluation.baseline_metrics, evaluation.rows_digest)
        verdict = decide_promotion(challenger, baseline, champion, problem.thresholds, problem.primary_metric, unjudged)
        reasons = "; ".join(verdict.reasons)
        tags = {"verdict": str(verdict.decision), "verdict_reasons": reasons}
        registry.tag_version(settings, problem.model_name, registered.version, tags)
        if verdict.decision is Decision.PROMOTE:
            evidence = {"challenger": asdict(challenger), "champion": asdict(champion) if champion else None}
            registry.move_champion(
                settings, problem.model_name, registered.version, by="gate", why=reasons, evidence=evidence
            )
        fetch_champion(settings, problem)
        progress.say(f"version {registered.version}: {verdict.decision}")
    return verdict, champion


def prepare_features(settings: Settings, problem: Problem, data: DataVersion, clock: datetime) -> FeatureTables:
    """Validate the raw tables and build, check and register the features, reusing what is unchanged."""
    with stage("validate") as progress:
        key = features.validation_key(data.md5)
        rows, reused = reuse_or_run(features.validate, key, output=settings.data_dir, settings=settings)
        progress.say(f"{sum(rows.values()):,} rows keep the contract" + _as(reused))
    with stage("features") as progress:
        key = features.features_key(data.md5, clock, problem)
        tables, reused = reuse_or_run(
            features.build_features,
            key,
            output=settings.features_dir / key[:16] / "examples",
            settings=settings,
            problem=problem,
            clock=clock,
            progress=progress,
        )
        progress.say(
            f"{len(tables.rows)} tables, {sum(tables.rows.values()):,} rows as of {clock:%Y-%m-%d %H:%M} UTC"
            + _as(reused)
        )
    with stage("apply") as progress:
        progress.say(f"{len(features.apply_features(settings, tables))} feature views registered")
    return tables


def prepare_training_set(settings: Settings, problem: Problem, tables: FeatureTables) -> TrainingSet:
    """Join labelled examples with their features as of each prediction time."""
    with stage("training set") as progress:
        key = features.training_set_key(settings, problem, tables)
        training_set, reused = reuse_or_run(
            features.join_training_set,
            key,
            output=settings.state_dir / "training_sets" / key[:16],
            settings=settings,
            problem=problem,
            tables=tables,
        )
        left_out = ", ".join(f"{count:,} {outcome}" for outcome, count in training_set.unlabelled.items())
        progress.say(
            f"{training_set.rows:,} rows x {training_set.features} features; without a label: {left_out or 'none'}"
            + _as(reused)
        )
    return training_set


def fit_and_evaluate(
    settings: Settings, problem: Problem, parameters: TrainingParameters, training_set: TrainingSet
) -> tuple[FittedFile, EvaluationFile]:
    """Fit on what lies before the test window, and judge on the test window."""
    with stage("train") as progress:
        key = models.model_key(training_set, parameters, problem)
        arguments = {"settings": settings, "problem": problem, "training_set": training_set}
        folder = settings.state_dir / "models" / key[:16]
        fitted, reused = reuse_or_run(models.fit_model, key, output=folder, parameters=parameters, **arguments)
        chosen = ", ".join(f"{name}={value}" for name, value in fitted.chosen.items()) or "nothing to choose"
        progress.say(
            f"{parameters.model} on {fitted.rows['refit']:,} rows; on the validation window: {chosen}" + _as(reused)
        )
    with stage("evaluate") as progress:
        key = models.evaluation_key(fitted, problem)
        folder = settings.state_dir / "evaluations" / key[:16]
        evaluation, reused = reuse_or_run(models.evaluate_model, key, output=folder, model=fitted, **arguments)
        progress.say(
            f"{evaluation.rows:,} test rows, {problem.primary_metric} {evaluation.metrics[problem.primary_metric]:.4f}"
            + _as(reused)
        )
    return fitted, evaluation


def _as(reused: bool) -> str:
    return ", reused: nothing it depends on has changed" if reused else ""


def lineage_of(settings: Settings, problem: Problem, data: DataVersion, seed: int) -> Lineage:
    """Collect what made the model that is being trained."""
    commit, is_dirty = provenance.git_state(settings)
    return Lineage(
        git_commit=commit,
        git_dirty=is_dirty,
        data_md5=data.md5,
        feature_service=problem.feature_service,
        features_sha256=features.feature_definitions_digest(settings, problem),
        lock_sha256=provenance.lock_digest(settings),
        seed=seed,
    )


def run_training(settings: Settings, problem: Problem, parameters: TrainingParameters) -> TrainingResult:
    """Tell the story of a training; call it inside a flow."""
    model_builder(parameters.model)
    clock = ensure_clock(settings, problem.first_clock)
    data = pull(settings)
    tables = prepare_features(settings, problem, data, clock)
    training_set = prepare_training_set(settings, problem, tables)
    fitted, evaluation = fit_and_evaluate(settings, problem, parameters, training_set)
    lineage = lineage_of(settings, problem, data, parameters.seed)
    with stage("register") as progress:
        registered = models.register_model(settings, problem, parameters, lineage, training_set, fitted, evaluation)
        progress.say(f"{problem.model_name} version {registered.version}, run {registered.run_id[:8]}")
    verdict, champion = gate(settings, problem, training_set, evaluation, registered)
    with stage("materialise") as progress:
        views = features.materialise(settings, clock)
        progress.say(f"{len(views)} views into the online store as of {clock:%Y-%m-%d %H:%M} UTC")
    return TrainingResult(data, clock, training_set, fitted, evaluation, registered, champion, verdict)


@flow(name="training", validate_parameters=False)
def training(model: str = TrainingParameters.model, seed: int = TrainingParameters.seed) -> TrainingResult:
    """Train, evaluate, register and judge a model on data up to the event clock."""
    return run_training(Settings(), PROBLEM, TrainingParameters(model=model, seed=seed))


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    parser = argparse.ArgumentParser(description=training.__doc__)
    parser.add_argument("--model", default=TrainingParameters.model, help=f"one of: {', '.join(ZOO)}")
    parser.add_argument("--seed", type=int, default=TrainingParameters.seed, help="seed of everything random")
    options = parser.parse_args(arguments)
    return run_command(lambda: print_result(training(options.model, options.seed), PROBLEM))


if __name__ == "__main__":
    sys.exit(main())
