"""From the data version to a training set: what training, tuning and the change report begin with."""

from datetime import datetime

import pandas as pd

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.feast import feature_store as feast_store
from flightline.core.project import Project
from flightline.monitoring.behaviours import check_hints
from flightline.training.example_checks import check_requests
from pipelines.common.artifacts import FeatureTables, TrainingSet
from pipelines.common.progress import stage
from pipelines.common.retries import is_remote_error
from pipelines.common.step import step
from pipelines.steps import features


@step(retries=3, retry_delay_seconds=[2, 10, 30], retry_condition_fn=is_remote_error)
def pull(project: Project) -> DataVersion:
    """Bring data/ to the version that data.dvc names."""
    with stage("pull") as progress:
        return dvc_data.pull(project, progress.say)


def prepare_features(project: Project, data: DataVersion, clock: datetime) -> FeatureTables:
    """Validate the raw tables and build, check and register the features, reusing what is unchanged."""
    tables = build_tables(project, data, clock)
    with stage("apply") as progress:
        progress.say(f"{len(features.apply_features(project.settings, tables))} feature views registered")
    return tables


def build_tables(project: Project, data: DataVersion, clock: datetime) -> FeatureTables:
    """Validate the raw tables and build the features as of the clock, reusing what is unchanged."""
    settings, raw = project.settings, project.raw_tables
    with stage("validate") as progress:
        rows = features.validate(settings, raw, data)
        progress.say(f"{sum(rows.values()):,} rows keep the contract")
    with stage("features") as progress:
        tables = features.build_features(
            settings, project.problem, raw, project.features, project.key_names, data, clock, progress
        )
        total = sum(tables.rows.values())
        progress.say(f"{len(tables.rows)} tables, {total:,} rows as of {clock:%Y-%m-%d %H:%M} UTC")
    return tables


def prepare_training_set(project: Project, tables: FeatureTables) -> TrainingSet:
    """Join labelled examples with their features as of each prediction time, if the service would answer them."""
    with stage("training set") as progress, feast_store.hold_sources(project.settings):
        check_requests(project, pd.read_parquet(tables.examples_file))
        # A materialisation of its own schedule may have pointed the sources elsewhere since they were registered.
        feast_store.activate(project.settings, tables.folder)
        training_set = features.join_training_set(
            project.settings, project.problem, project.requests, tables, features.declared(project)
        )
        if hints := project.problem.monitoring.hints:
            check_hints(hints, pd.read_parquet(training_set.features_file))
        left_out = ", ".join(f"{count:,} {outcome}" for outcome, count in training_set.unlabelled.items())
        progress.say(
            f"{training_set.rows:,} rows x {training_set.features} features; without a label: {left_out or 'none'}"
        )
    return training_set
