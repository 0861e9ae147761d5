"""Flows for a worker of the tests, which end in seconds.

The training is a real one on made-up rows: fitted, registered and judged. It waits for as long as
a file `hold` is there, and notes when it ran.
"""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from prefect import flow

from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Thresholds
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.monitoring.decision import Action
from flightline.training.fit import TrainingParameters
from pipelines.common.artifacts import TrainingSet
from pipelines.common.events import announce_decision, announce_verdict
from pipelines.promotion_steps.gate import gate
from pipelines.steps import compare as comparison
from pipelines.steps import models
from tests import toy_problem
from tests.support.small_training_set import small_problem, write_training_set
from tests.support.waiting import wait_until

PROBLEM = replace(
    small_problem("classification"),
    model_name=toy_problem.PROBLEM.model_name,  # only a model of this name may be served
    thresholds=Thresholds(floors={"roc_auc": 0.6}, ceilings={"brier": 0.3}, implausible={"roc_auc": 0.999}),
)
LINEAGE = Lineage("c0ffee", False, "first.dir", "service", "features", "lock", 0)


def small_project(settings: Settings) -> Project:
    """Give the toy project, with the small problem in the place of its own."""
    return replace(toy_problem.make_project(settings), problem=PROBLEM)


def root_of(settings: Settings) -> Path:
    folder = settings.state_dir / "small_worker"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def training_set(settings: Settings) -> TrainingSet:
    folder = settings.state_dir / "training_sets" / "small"
    if folder.exists():
        return TrainingSet("key of classification", folder, 2_400, 3, {}, PROBLEM.windows)
    return write_training_set(folder, "classification")


@flow(name="training", log_prints=True)
def training(model: str = "logistic_regression", data_md5: str = "first.dir") -> None:
    settings = Settings()
    project, folder = small_project(settings), root_of(settings)
    note = folder / f"run-{uuid4().hex}"
    note.write_text("running")
    wait_until(lambda: not (folder / "hold").exists(), 600, "the hold is taken away")
    parameters, given = TrainingParameters(model=model), training_set(settings)
    best = comparison.train_each(project, comparison.models_asked(PROBLEM, parameters), given)[0]
    lineage = replace(LINEAGE, data_md5=data_md5)
    registered = models.register_model(project, best.parameters, lineage, given, best.model, best.evaluation)
    verdict, champion = gate(project, given, best.evaluation, registered)
    announce_verdict(PROBLEM, verdict, registered.version, champion.version if champion else None)
    note.write_text("ended")


@flow(name="monitoring")
def monitoring(action: str = "retrain") -> None:
    announce_decision(PROBLEM, Action(action), f"{action}: made up", ("the loss rose",))


@flow(name="labels")
def labels() -> None:
    raise ValueError("the labels cannot be had")


FLOWS = {"training": training, "monitoring": monitoring, "labels": labels}
