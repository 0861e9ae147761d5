"""What a model reaches, and loses without some feature views or features: `make ablate WITHOUT=view`.

It reads what the newest `make train` joined, and registers nothing. Models are compared on the validation window;
TEST=yes shows the test window too, for a choice that has been made.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from joblib import parallel_config
from rich.console import Console
from rich.table import Table

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.files.parquet_rows import RowsOfFile
from flightline.core.errors import FeatureError
from flightline.core.project import Project, open_project
from flightline.training.fit import TrainingParameters, fit, validation_losses
from flightline.training.splits import split
from flightline.training.zoo.entry import Setting
from pipelines.common.artifacts import newest_features
from pipelines.common.command_line import run_command
from pipelines.common.training_options import add_options, parameters_of
from pipelines.steps.models import HeldOut, judge


@dataclass(frozen=True)
class Reached:
    """What a model reaches on some features.

    Parameters
    ----------
    chosen
        Its settings.
    loss
        Of the primary metric, on the validation window.
    test
        Its metrics on the test window, if they were asked for.
    """

    features: int
    chosen: Mapping[str, Setting]
    loss: float
    test: Mapping[str, float]


def columns_without(project: Project, columns: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """Give the columns that are neither named nor of a feature view that is.

    Raises
    ------
    FeatureError
        If a name is of neither, no column goes by them, or nothing is left.
    """
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    of_view = {view.name: view.features for view in views}
    if unknown := [name for name in left_out if name not in of_view and name not in columns]:
        raise FeatureError(
            f"got WITHOUT={' '.join(unknown)}, expected feature views ({', '.join(of_view)}), or features"
        )
    gone = {column for name in left_out for column in of_view.get(name, (name,))}
    kept = [name for name in columns if name not in gone]
    if len(kept) == len(columns):
        raise FeatureError(f"the model takes no feature of {', '.join(left_out)}: only on_demand reads them")
    if not kept:
        raise FeatureError(f"without {', '.join(left_out)} no feature is left; leave out less")
    return kept


def reach(
    project: Project, parameters: TrainingParameters, file: Path, columns: Sequence[str], *, test: bool
) -> Reached:
    """Fit on some columns of a training set as `make train` does, and judge.

    Parameters
    ----------
    file
        Its features; the examples lie beside it.
    test
        Whether the test window is looked at.
    """
    problem = project.problem
    examples, features = pd.read_parquet(file.with_name("examples.parquet")), RowsOfFile(file, columns)
    task, metric, classes = problem.task, problem.primary_metric, problem.classes
    masks, label = split(examples, problem.windows), examples[problem.label]
    with parallel_config(backend="threading", n_jobs=project.settings.threads):
        if not test:
            before, later = masks["fit"], masks["validation"]
            tried = validation_losses(
                parameters, features, label, before, later, task=task, metric=metric, classes=classes
            )
            settings, loss = min(tried, key=lambda each: each[1])
            return Reached(len(columns), settings, loss, {})
        fitted = fit(parameters, features, label, masks, task=task, metric=metric, classes=classes)
    rows = HeldOut(examples[masks["test"]], features[masks["test"]])
    judged = judge(problem, fitted.pipeline, rows, problem.thresholds.min_slice_rows)
    return Reached(len(columns), fitted.chosen, fitted.validation_loss, judged.evaluation.metrics)


def ablate(
    project: Project, parameters: TrainingParameters, left_out: Sequence[str], *, test: bool = False
) -> dict[str, Reached]:
    """Fit with all features, and without some if any are named.

    Raises
    ------
    FeatureError
        If nothing was trained yet; or as `columns_without`.
    """
    file = newest_features(project.settings)
    columns = pq.read_schema(file).names
    asked = {"all features": columns}
    if left_out:
        asked[f"without {', '.join(left_out)}"] = columns_without(project, columns, left_out)
    return {name: reach(project, parameters, file, of_it, test=test) for name, of_it in asked.items()}


def made_on_demand(project: Project) -> list[str]:
    """Name the columns of the training set that are made of stored features when a request comes."""
    if not project.requests.on_demand:
        return []
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    others = project.request_features | {feature for view in views for feature in view.features}
    return [name for name in pq.read_schema(newest_features(project.settings)).names if name not in others]


def print_reached(project: Project, parameters: TrainingParameters, found: Mapping[str, Reached]) -> None:
    """Print a line for each, the validation window first, and then the settings that were chosen."""
    of_test = list(next(iter(found.values())).test)
    table = Table(title=f"{parameters.model}, seed {parameters.seed}", box=None, title_justify="left")
    headings = ("", "features", f"validation {project.problem.primary_metric}", *(f"test {name}" for name in of_test))
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for name, each in found.items():
        metrics = (f"{each.test[metric]:.4f}" for metric in of_test)
        table.add_row(name, str(each.features), f"{each.loss:.4f}", *metrics)
    console = Console(highlight=False)
    console.print(table)
    for name, each in found.items():
        settings = ", ".join(f"{setting}={value}" for setting, value in each.chosen.items())
        console.print(f"{name}: {settings}", soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "a model of the zoo")
    parser.add_argument("--without", nargs="*", default=[], help="feature views, or features")
    parser.add_argument("--test", action="store_true", help="show the test window too")
    options = parser.parse_args(arguments)

    def run() -> None:
        project, parameters = open_project(), parameters_of(options)
        print_reached(project, parameters, ablate(project, parameters, options.without, test=options.test))
        if options.without and (made := made_on_demand(project)):
            print(
                f"{', '.join(made)}: made on demand of stored features, maybe of those left out; WITHOUT takes it too"
            )

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
