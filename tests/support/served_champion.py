"""A champion of a small problem with a log of what it answered, for tests of monitoring."""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.adapters.model_store.model_file import load_model
from flightline.adapters.prediction_log.label_table import record_labels
from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Monitoring, Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.inference.predict import predict_with
from flightline.monitoring.labels import known_labels
from flightline.training.fit import TrainingParameters
from flightline.training.splits import split
from pipelines.monitoring import MonitoringResult, run_monitoring
from pipelines.steps import compare as comparison
from pipelines.steps import models
from tests.support.filled_log import fill, logged_rows
from tests.support.small_training_set import START, run_in_flow, small_problem, write_training_set

RULE = Monitoring(
    windows=2, breaches=2, shown_windows=4, min_labels=50, min_days=3, drift_rows=400, label_delay=timedelta(days=1),
    min_anomaly_rows=10, promise_margin=0.1, calibration_margin=0.2, slope_margin=0.4, loss_margin=0.5,
)  # fmt: skip
CLOCK = START + timedelta(days=118, hours=5)


def project_of(settings: Settings, problem: Problem) -> Project:
    return replace(open_project(settings), problem=problem)


@dataclass(frozen=True)
class Served:
    """A small problem with a champion, and what the champion says of its test rows."""

    settings: Settings
    problem: Problem
    examples: pd.DataFrame
    features: pd.DataFrame
    predictions: np.ndarray
    version: str

    def log(self, predictions: np.ndarray | None = None, features: pd.DataFrame | None = None) -> "Served":
        given = self.features if features is None else features
        made = self.predictions if predictions is None else predictions
        fill(self.settings, logged_rows(self.problem, self.examples, given, made, self.version))
        return self

    def label(self, examples: pd.DataFrame | None = None) -> "Served":
        known = self.examples if examples is None else examples
        record_labels(self.settings, known_labels(known, self.problem, CLOCK, datetime.now(UTC), "data"))
        return self

    def monitor(self) -> MonitoringResult:
        set_clock(self.settings, CLOCK)
        return run_in_flow(lambda: run_monitoring(project_of(self.settings, self.problem)))

    def record(self) -> dict:
        return json.loads((self.settings.state_dir / "monitoring" / "latest_decision.json").read_text())


@pytest.fixture(scope="module", params=["classification", "multiclass", "regression"])
def trained(request, server: None, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A champion of each task."""
    task, folder = request.param, tmp_path_factory.mktemp("monitöred days")
    settings = Settings(root=folder)
    shutil.copytree(repository / "feature_repo", settings.feature_repo, ignore=shutil.ignore_patterns("__pycache__"))
    problem = replace(small_problem(task), entity_keys=("example_id",), slices=(), monitoring=RULE)
    key = f"key of {task}"
    training_set = write_training_set(settings.state_dir / "training_sets" / key[:16], task)
    name = "ridge_regression" if task == "regression" else "logistic_regression"
    asked = comparison.models_asked(problem, TrainingParameters(model=name, max_iterations=20))

    def story() -> str:
        best = comparison.train_each(project_of(settings, problem), asked, training_set)[0]
        lineage = Lineage("commit", False, "data", "service", "features", "lock", 0)
        made = models.register_model(
            project_of(settings, problem), best.parameters, lineage, training_set, best.model, best.evaluation
        )
        move_champion(settings, problem.model_name, made.version, by="person:test", why="test", evidence={"by": "hand"})
        return made.version

    version = run_in_flow(story)
    examples, features = pd.read_parquet(training_set.examples_file), pd.read_parquet(training_set.features_file)
    test = split(examples, problem.windows)["test"]
    found = registry.get_version(settings, problem.model_name, version)
    model = load_model(registry.download_model(settings, found))
    examples = examples[test].assign(outcome="sold")
    return Served(settings, problem, examples, features[test], predict_with(model, problem, features[test]), version)


@pytest.fixture
def served(trained: Served) -> Served:
    """The same, with an empty log."""
    file = trained.settings.prediction_log_file
    for name in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    return trained
