"""Training one model of the zoo or all of them, and the choice among them: by validation only.

The test window is shown for every model and decides nothing here: a choice by it would make
its numbers too good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE
from rich.console import Console
from rich.table import Table

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.mlflow import registry
from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Problem, Task
from flightline.core.project import Project
from flightline.inference.contributions import group_columns
from flightline.training.fit import TrainingParameters, check_steps
from flightline.training.preprocessing import LAG
from flightline.training.zoo import ZOO, find_model
from pipelines.common.artifacts import EvaluationFile, FittedFile, TrainingSet
from pipelines.common.progress import stage
from pipelines.steps import models

ALL = "all"
NO_GROUPS: Mapping[str, Sequence[str]] = {}
TABLE_WIDTH = 118


@dataclass(frozen=True)
class Trained:
    """A model that was fitted and evaluated, and by which parameters."""

    parameters: TrainingParameters
    model: FittedFile
    evaluation: EvaluationFile


def models_asked(problem: Problem, parameters: TrainingParameters) -> list[TrainingParameters]:
    """Give the parameters of each model that is to be trained: one, or all of the task.

    Steps that only some models can take are left out for the others; of all models those are left out whose packages
    are not installed.

    Raises
    ------
    TrainingError
        If there is no such model, it cannot take a step, or settings of one are given for all.
    """
    if parameters.model != ALL:
        check_steps(parameters, find_model(problem.task, parameters.model))
        return [parameters]
    if parameters.settings:
        raise TrainingError("the settings that were given are of one model: name it by MODEL, instead of all")
    models = ZOO[problem.task]
    if absent := [name for name, model in models.items() if model.missing_packages]:
        print(f"{'train':14}  without {', '.join(absent)}, whose packages are not installed")
    return [
        replace(
            parameters,
            model=name,
            pca_components=parameters.pca_components if "pca_components" in model.steps else None,
            kmeans_segments=parameters.kmeans_segments if "kmeans_segments" in model.steps else None,
        )
        for name, model in models.items()
        if name not in absent
    ]


def suited_to(task: Task, asked: Sequence[TrainingParameters], columns: Sequence[str]) -> Sequence[TrainingParameters]:
    """Leave out, of many models, those that read series, where no column is one."""
    if len(asked) == 1 or any(LAG.fullmatch(name) for name in columns):
        return asked
    return [parameters for parameters in asked if not find_model(task, parameters.model).reads_series]


def train_each(
    project: Project,
    asked: Sequence[TrainingParameters],
    training_set: TrainingSet,
    groups: Mapping[str, Sequence[str]] = NO_GROUPS,
) -> list[Trained]:
    """Fit and evaluate each model that suits the columns; many are printed in one table, best on validation first.

    Of many, one that cannot learn from these rows is left out: of a rare class the newest rows may have none.

    Raises
    ------
    TrainingError
        If none can.
    """
    suited = suited_to(project.problem.task, asked, pq.read_schema(training_set.features_file).names)
    trained, refused = [], []
    for parameters in suited:
        try:
            trained.append(fit_and_evaluate(project, parameters, training_set, groups))
        except TrainingError as err:
            refused.append(err)
            if len(refused) == len(suited):
                raise
            print(f"{'train':14}  without {parameters.model}: {err}", flush=True)
    ranked = sorted(trained, key=lambda one: one.model.validation_loss)
    if len(ranked) > 1:
        console = Console(highlight=False)
        console.width = max(console.width, TABLE_WIDTH)
        console.print(_as_table(_rows(project.problem, ranked), project.problem))
    return ranked


def fit_and_evaluate(
    project: Project,
    parameters: TrainingParameters,
    training_set: TrainingSet,
    groups: Mapping[str, Sequence[str]] = NO_GROUPS,
) -> Trained:
    """Fit on what lies before the test window, and judge on the test window.

    Parameters
    ----------
    groups
        Of `feature_groups`, whose importance is measured beside that of each feature.
    """
    settings, problem = project.settings, project.problem
    with stage("train") as progress:
        fitted = models.fit_model(settings, problem, parameters, training_set, problem.thresholds.unseen_ceiling)
        progress.say(
            f"{parameters.model} on {fitted.rows['refit']:,} rows; on the validation window: "
            f"{_chosen(fitted) or 'nothing to choose'}, calibration {fitted.calibration}"
        )
    with stage("evaluate") as progress:
        least = problem.thresholds.min_slice_rows
        evaluation = models.evaluate_model(settings, problem, fitted, training_set, least, groups)
        metric = problem.primary_metric
        progress.say(f"{evaluation.rows:,} test rows, {metric} {evaluation.metrics[metric]:.4f}")
    return Trained(parameters, fitted, evaluation)


def feature_groups(project: Project, training_set: TrainingSet) -> dict[str, tuple[str, ...]]:
    """Sort the columns of a training set by where they come from: a feature view, the request, or both."""
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    columns = pq.read_schema(training_set.features_file).names
    return group_columns(columns, {view.name: view.features for view in views}, project.request_features)


def _chosen(model: FittedFile) -> str:
    return ", ".join(f"{name}={value}" for name, value in model.chosen.items())


def _rows(problem: Problem, ranked: Sequence[Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "model": one.parameters.model,
                "settings": _chosen(one.model),
                "calibration": one.model.calibration,
                f"validation {problem.primary_metric}": one.model.validation_loss,
                **{f"test {name}": value for name, value in one.evaluation.metrics.items()},
                "fit s": one.model.seconds,
                "MB": one.model.file.stat().st_size / 1e6,
            }
            for one in ranked
        ]
    )


def _as_table(rows: pd.DataFrame, problem: Problem) -> Table:
    table = Table(title=f"{problem.model_name}: every model, best on the validation window first", box=None)
    rows = rows.drop(columns="settings")  # they stand in the lines above, and in comparison.csv
    for name in rows:
        is_text = rows[name].dtype == object
        width = int(rows[name].str.len().max()) if is_text else None
        table.add_column(name, justify="left" if is_text else "right", min_width=width)
    for row in rows.itertuples(index=False):
        table.add_row(
            *(
                value if isinstance(value, str) else f"{value:.{1 if name in ('fit s', 'MB') else 4}f}"
                for name, value in zip(rows, row, strict=True)
            )
        )
    return table


@task(cache_policy=NO_CACHE)
def log_comparison(project: Project, training_set: TrainingSet, ranked: Sequence[Trained], registered_run: str) -> str:
    """Log a parent run, whose id is given, with one run in it for each model, the registered one's own among them."""
    best = ranked[0]
    table = _rows(project.problem, ranked)
    with registry.open_run(project.settings, project.problem.model_name, "comparison") as parent:
        registry.log_values(
            project.settings,
            parent,
            parameters={"models": len(ranked), "chosen.model": best.parameters.model},
            metrics={f"validation_{project.problem.primary_metric}": best.model.validation_loss},
        )
        registry.log_table(project.settings, parent, table, "comparison.csv")
        others = ranked[1:] if registry.nest_run(project.settings, registered_run, parent) else ranked
        for one in others:
            with registry.open_run(project.settings, project.problem.model_name, one.parameters.model, parent) as run:
                parameters = models.logged_parameters(one.parameters, one.model, training_set.windows)
                metrics = models.logged_metrics(project.problem, one.model, one.evaluation)
                registry.log_values(project.settings, run, parameters, metrics)
                registry.log_folder(project.settings, run, one.evaluation.folder, "evaluation")
    return parent
