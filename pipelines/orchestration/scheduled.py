"""The flows as Prefect's deployments run them: the same stories, tried again after a failure, and heard of.

By hand a flow fails at once, for a person waits; here what may pass by itself is given time. A
retry is cheap: what the failed run finished is reused.
"""

from prefect import flow

from flightline.core.project import open_project
from flightline.training.fit import TrainingParameters
from pipelines.canary import judge_canary
from pipelines.labels import run_labels
from pipelines.monitoring import print_result, run_monitoring
from pipelines.orchestration.events import announce_decision, announce_new_data, announce_verdict
from pipelines.steps.data_check import check_data_version
from pipelines.training import run_training

RETRY_SECONDS = 120


@flow(name="labels", log_prints=True, retries=2, retry_delay_seconds=RETRY_SECONDS)
def labels() -> None:
    """Join outcomes that are known by the event clock to logged predictions."""
    run_labels(open_project())


@flow(name="monitoring", log_prints=True, retries=2, retry_delay_seconds=RETRY_SECONDS)
def monitoring() -> None:
    """Judge the champion's logged predictions; a decision to retrain starts a training."""
    project = open_project()
    result = run_monitoring(project)
    print_result(result)
    announce_decision(project.problem, result.decision)


@flow(name="canary", log_prints=True, retries=2, retry_delay_seconds=RETRY_SECONDS)
def canary() -> None:
    """Judge what runs beside the champion, if something does: promote, keep watching, drop, or roll back."""
    judge_canary(open_project())


@flow(name="data-check", log_prints=True, retries=2, retry_delay_seconds=RETRY_SECONDS)
def data_check() -> None:
    """Look whether data.dvc names what no model has learned from; if so, a training starts."""
    project = open_project()
    found = check_data_version(project)
    print(f"data.dvc names {found.named}; the newest model learned from {found.learned or 'nothing: there is none'}")
    if found.is_new:
        announce_new_data(project.problem, found.learned, found.named)


@flow(name="training", log_prints=True, retries=1, retry_delay_seconds=RETRY_SECONDS)
def training(model: str = TrainingParameters.model, seed: int = TrainingParameters.seed) -> None:
    """Train, evaluate, register and judge a model on data up to the event clock; the gate decides."""
    project = open_project()
    result = run_training(project, TrainingParameters(model=model, seed=seed))
    champion = result.champion.version if result.champion else None
    announce_verdict(project.problem, result.verdict, result.registered.version, champion)
