"""A demo after the training of a regression, as a newcomer runs it: whole, on a registry of its own."""

import pandas as pd
import pytest

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import read_clock
from flightline.core.project import Project
from flightline.training.fit import TrainingParameters
from pipelines.demo.__main__ import DemoResult, run_demo, tell
from pipelines.replay.why import find_why, lines_of
from pipelines.training import run_training
from serving.app import create_app
from serving.page.routes import CONTENT
from tests.serving.conftest import TestClient
from tests.support.clones import make_toy_clone
from tests.support.small_training_set import run_in_flow
from tests.toy_regression import make_project

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    package = make_project.__module__
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", package)
        settings = make_toy_clone(tmp_path_factory.mktemp("a démo")).settings
        yield make_project(settings.model_copy(update={"problem_package": package}))


@pytest.fixture(scope="module")
def demo(project: Project, server: None) -> DemoResult:
    def story() -> DemoResult:
        run_training(project, TrainingParameters(model="ridge_regression"))
        return run_demo(project, read_data_version(project.settings), weeks=2)

    return run_in_flow(story)


def test_the_planted_fault_is_found(demo: DemoResult) -> None:
    found = {anomaly.column for anomaly in demo.monitored.decision.anomalies}
    assert demo.planted.feature in found


def test_the_challenger_was_judged_by_its_labels(demo: DemoResult) -> None:
    assert demo.canary.judged_days > 0


def test_it_says_where_to_look(demo: DemoResult, capsys: pytest.CaptureFixture[str]) -> None:
    tell(demo.project, demo.monitored, demo.planted)
    said = capsys.readouterr().out
    assert f"the planted fault, {demo.planted.feature} without values, was found" in said
    name = said.partition("PREDICTION=")[2].split()[0]
    assert "units = " in "\n".join(lines_of(demo.project, find_why(demo.project, name)))


def test_the_page_shows_its_weeks_and_what_comes_next(demo: DemoResult) -> None:
    with TestClient(create_app(demo.project)) as client:
        html = client.get(CONTENT).text
    assert "Last weeks, by label" in html
    assert "It gives a number, `units`" in html  # the model's card
    assert html.count('<th scope="row">') >= 1
    assert "What comes next" in html


def test_the_projects_own_state_is_left_alone(project: Project, demo: DemoResult) -> None:
    assert read_clock(project.settings) == project.problem.first_clock
    assert not (project.settings.state_dir / "prediction_log").exists()
    view = pd.read_parquet(project.settings.features_dir / "current" / "shop_recent.parquet")
    assert len(view)
