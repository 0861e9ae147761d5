"""A problem of three classes goes the whole loop: trained, promoted, served, logged, labelled, monitored, rebuilt."""

from pathlib import Path

import pytest
from prefect import flow

from flightline.core.project import Project
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines.commands import request
from pipelines.replay.parity import check_parity
from pipelines.training import TrainingResult, run_training
from tests.serving.conftest import TestClient
from tests.support.clones import make_toy_clone
from tests.toy_multiclass import make_project

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]


@flow(validate_parameters=False)
def train(project: Project) -> TrainingResult:
    return run_training(project, TrainingParameters(model="hist_gradient_boosting", max_iterations=30))


def test_three_classes(tmp_path: Path, server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving.app import create_app

    package = make_project.__module__
    monkeypatch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", package)
    settings = make_toy_clone(tmp_path).settings
    project = make_project(settings.model_copy(update={"problem_package": package}))
    result = train(project)
    print(result.evaluation.metrics, result.evaluation.baseline_metrics, result.verdict)
    assert result.verdict.decision is Decision.PROMOTE, result.verdict.reasons
    with TestClient(create_app(project)) as client:
        body = {"instances": [request.next_instance(project)] * 3}
        answer = client.post(f"/v1/models/{project.problem.model_name}:predict", json=body)
    assert answer.status_code == 200, answer.text
    print(answer.json())
    assert check_parity(project).mismatches == ()
