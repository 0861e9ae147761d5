"""The training flow, from pull to materialise: `python -m pipelines.training --model NAME`."""

import argparse
import sys
from dataclasses import dataclass
from datetime import datetime

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flightline.adapters import provenance
from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.event_clock import ensure_clock
from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Problem
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from flightline.promotion.evidence import Evidence
from flightline.promotion.gate import Verdict
from flightline.training.fit import TrainingParameters
from flightline.training.zoo import ZOO
from pipelines.common.artifacts import EvaluationFile, FeatureTables, FittedFile, Registered, TrainingSet
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import is_remote_error
from pipelines.common.task_cache import in_words, reuse_or_run
from pipelines.common.training_options import add_options, parameters_of
from pipelines.steps import compare as comparison
from pipelines.steps import features, models
from pipelines.steps.gate import gate
from pipelines.steps.summary import print_result


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


def prepare_features(settings: Settings, problem: Problem, data: DataVersion, clock: datetime) -> FeatureTables:
    """Validate the raw tables and build, check and register the features, reusing what is unchanged."""
    with stage("validate") as progress:
        key = features.validation_key(data.md5)
        rows, reused = reuse_or_run(features.validate, key, output=settings.data_dir, settings=settings)
        progress.say(f"{sum(rows.values()):,} rows keep the contract" + in_words(reused))
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
            + in_words(reused)
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
            + in_words(reused)
        )
    return training_set


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
        feature_views_sha256=features.feature_views_digest(settings, problem),
    )


def run_training(settings: Settings, problem: Problem, parameters: TrainingParameters) -> TrainingResult:
    """Tell the story of a training; call it inside a flow."""
    asked = comparison.models_asked(problem, parameters)
    clock = ensure_clock(settings, problem.first_clock)
    data = pull(settings)
    tables = prepare_features(settings, problem, data, clock)
    training_set = prepare_training_set(settings, problem, tables)
    ranked = comparison.train_each(settings, problem, asked, training_set)
    best = ranked[0]
    lineage = lineage_of(settings, problem, data, parameters.seed)
    with stage("register") as progress:
        registered = models.register_model(
            settings, problem, best.parameters, lineage, training_set, best.model, best.evaluation
        )
        progress.say(f"{problem.model_name} version {registered.version}, run {registered.run_id[:8]}")
        if len(ranked) > 1:
            parent = comparison.log_comparison(settings, problem, ranked, registered.run_id)
            progress.say(f"comparison of {len(ranked)} models, run {parent[:8]}")
    verdict, champion = gate(settings, problem, training_set, best.evaluation, registered)
    with stage("materialise") as progress:
        views = features.materialise(settings, clock)
        progress.say(f"{len(views)} views into the online store as of {clock:%Y-%m-%d %H:%M} UTC")
    return TrainingResult(data, clock, training_set, best.model, best.evaluation, registered, champion, verdict)


@flow(name="training", validate_parameters=False)
def training(parameters: TrainingParameters = TrainingParameters()) -> TrainingResult:  # noqa: B008  # it is frozen
    """Train, evaluate, register and judge a model, or the best of all, on data up to the event clock."""
    return run_training(Settings(), PROBLEM, parameters)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    parser = argparse.ArgumentParser(description=training.__doc__)
    add_options(parser, f"{comparison.ALL}, or one of: {', '.join(ZOO[PROBLEM.task])}")
    options = parser.parse_args(arguments)
    return run_command(lambda: print_result(training(parameters_of(options)), PROBLEM))


if __name__ == "__main__":
    sys.exit(main())
