"""A problem without text, without anything from the request and without a horizon, by a model of another library."""

from pathlib import Path

import pandas as pd
import pytest
from prefect import flow

from flightline.adapters.event_clock import set_clock
from flightline.core.project import Project
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines.commands import request
from pipelines.replay.parity import check_parity
from pipelines.training import TrainingResult, run_training
from tests.bare_problem import make_project
from tests.serving.conftest import TestClient
from tests.support.clones import make_toy_clone
from tools.images.build import extras_of_model

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]


@flow(validate_parameters=False)
def bare_training(project: Project, model: str) -> TrainingResult:
    return run_training(project, TrainingParameters(model=model, max_iterations=30))


@pytest.mark.parametrize(("model", "extra"), [("lightgbm", "lightgbm"), ("keras_dense", "keras")])
def test_the_least_of_problems_is_served(
    model: str, extra: str, tmp_path: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.app import create_app

    package = make_project.__module__
    monkeypatch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", package)
    settings = make_toy_clone(tmp_path).settings
    project = make_project(settings.model_copy(update={"problem_package": package}))
    result = bare_training(project, model)
    assert result.verdict.decision is Decision.PROMOTE, result.verdict.reasons
    assert extras_of_model(settings.serving_models_dir) == [extra]  # what an image of this champion takes besides
    examples = pd.read_parquet(settings.features_dir / "current" / "examples" / "examples.parquet")
    set_clock(settings, examples["event_timestamp"].max().to_pydatetime())  # the moment of the last event itself
    with TestClient(create_app(project)) as client:
        body = {"instances": [request.next_instance(project)] * 3}
        answer = client.post(f"/v1/models/{project.problem.model_name}:predict", json=body)
    assert answer.status_code == 200, answer.text
    assert check_parity(project).mismatches == ()
