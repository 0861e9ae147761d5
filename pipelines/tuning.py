"""The tuning flow: a search over settings on time-ordered folds: `python -m pipelines.tuning --trials 20`."""

import argparse
import inspect
import itertools
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flightline.adapters.engines.workers import open_workers
from flightline.adapters.event_clock import ensure_clock
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.optuna_study import AT_ONCE, Chosen, StudyResult, TrialSummary, run_study
from flightline.core.errors import TrainingError
from flightline.core.lineage import digest_of
from flightline.core.problem_spec import Problem
from flightline.core.project import Project, open_project
from flightline.training.fit import TrainingParameters
from flightline.training.search import Curve, make_folds, space_of, with_space
from flightline.training.zoo import find_model
from pipelines.common.artifacts import TrainingSet
from pipelines.common.cached_step import key_of
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.source_closure import source_digest
from pipelines.steps.folds import fit_fold
from pipelines.steps.preparation import prepare_features, prepare_training_set, pull

TRIALS = 20
MAX_ITERATIONS = 300
BEST_FILE = "best.json"


@dataclass(frozen=True)
class TuningResult:
    """The best settings of a study, and the file that holds them."""

    study: StudyResult
    file: Path


def study_name(problem: Problem, parameters: TrainingParameters, training_set: TrainingSet) -> str:
    """Name a study after all that its losses depend on: with other data, or another seed, another study begins."""
    made_of = (problem.task, problem.primary_metric, training_set.windows, key_of(parameters))
    digest = digest_of(training_set.key, made_of, source_digest(fit_fold))
    return f"{problem.model_name} {parameters.model} {digest[:12]}"


@task(cache_policy=NO_CACHE)
def search(
    project: Project, parameters: TrainingParameters, training_set: TrainingSet, trials: int, at_once: int = AT_ONCE
) -> TuningResult:
    """Run the trials, print each, and write the best settings for `make train`."""
    problem, settings = project.problem, project.settings
    with stage("tune") as progress, open_workers(settings.dask, settings.threads) as run_jobs:
        folds = make_folds(pd.read_parquet(training_set.examples_file), training_set.windows)
        for fold in folds:
            progress.note(f"fold: fit on {fold.before.sum():,} rows, judge on the {fold.later.sum():,} that follow")

        def fit_all(wanted: Sequence[tuple[Chosen, int]]) -> Sequence[tuple[Curve, float]]:
            return run_jobs(fit_fold, [(problem, parameters, training_set, chosen, fold) for chosen, fold in wanted])

        finished = itertools.count(1)

        def tell(trial: TrialSummary) -> None:
            best = "none yet" if trial.best_loss is None else f"{trial.best_loss:.5f}"
            note = " (given up)" if trial.is_pruned else ""
            progress.note(
                f"trial {trial.number}: {problem.primary_metric} {trial.loss:.5f}{note}, best {best}, "
                f"{trial.seconds:.1f} s; in all",
                next(finished),
                trials,
            )

        study = run_study(
            settings.state_dir / "optuna" / "studies.db",
            study_name(problem, parameters, training_set),
            space_of(problem.task, parameters.model),
            fit_all,
            len(folds),
            trials,
            tell,
            seed=parameters.seed,
            first=settings_in_use(problem, parameters.model),
            at_once=at_once,
        )
        progress.say(f"{study.trials} trials so far, best {problem.primary_metric} {study.loss:.5f}")
    return TuningResult(study, write_best(project, parameters, study))


def settings_in_use(problem: Problem, model: str) -> dict[str, float | int]:
    """Give the zoo's own values of the settings that are searched."""
    build = inspect.signature(find_model(problem.task, model).build).parameters
    return {name: build[name].default for name in space_of(problem.task, model)}


def write_best(project: Project, parameters: TrainingParameters, study: StudyResult) -> Path:
    """Write the best settings to the file that `make train PARAMETERS=...` takes."""
    file = project.settings.state_dir / "optuna" / BEST_FILE
    found = {"model": parameters.model, "settings": dict(study.settings)}
    how = {"loss": study.loss, "metric": project.problem.primary_metric, "trials": study.trials}
    atomic_write_text(file, json.dumps({**found, **how}, indent=2) + "\n")
    return file


def run_tuning(project: Project, parameters: TrainingParameters, trials: int, at_once: int = AT_ONCE) -> TuningResult:
    """Tell the story of a tuning; call it inside a flow."""
    space_of(project.problem.task, parameters.model)
    if trials < 1:
        raise TrainingError(f"TRIALS must be 1 or more, got {trials}")
    if at_once < 1:
        raise TrainingError(f"AT_ONCE must be 1 or more, got {at_once}")
    clock = ensure_clock(project.settings, project.problem.first_clock)
    tables = prepare_features(project, pull(project), clock)
    training_set = prepare_training_set(project, tables)
    return search(project, parameters, training_set, trials, at_once)


@flow(name="tuning", validate_parameters=False)
def tuning(
    model: str = TrainingParameters.model,
    trials: int = TRIALS,
    seed: int = TrainingParameters.seed,
    at_once: int = AT_ONCE,
) -> TuningResult:
    """Search settings on time-ordered folds before the test window; a second call goes on with the study."""
    parameters = TrainingParameters(model=model, seed=seed, max_iterations=MAX_ITERATIONS)
    return run_tuning(open_project(), parameters, trials, at_once)


def print_best(result: TuningResult) -> None:
    """Print the best settings and how to train with them."""
    print(f"best of {result.study.trials} trials: {result.study.loss:.5f}")
    for name, value in result.study.settings.items():
        print(f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}")
    print(f"Next: make train PARAMETERS={os.path.relpath(result.file)} (train with them), make tune (search on)")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    return run_command(lambda: _tune(arguments))


def _tune(arguments: list[str] | None) -> None:
    models = ", ".join(with_space(open_project().problem.task))
    parser = argparse.ArgumentParser(description=tuning.__doc__)
    parser.add_argument("--model", default=TrainingParameters.model, help=f"one of: {models}")
    parser.add_argument("--trials", type=int, default=TRIALS, help="how many more")
    parser.add_argument("--seed", type=int, default=TrainingParameters.seed, help="seed of everything random")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many are drawn before a loss is known")
    options = parser.parse_args(arguments)
    print_best(by_hand(tuning)(options.model, options.trials, options.seed, options.at_once))


if __name__ == "__main__":
    sys.exit(main())
