"""`make replay` after a training: by the settings of the champion, and a second time without any fit."""

from dataclasses import replace

import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines.monitoring_steps.champion import training_set_dir
from pipelines.promotion_steps.gate import gate
from pipelines.retraining.__main__ import make_plan, replay
from pipelines.steps import compare, models
from tests.pipelines.retraining.test_filling import FIRST
from tests.support.models.small_flows import LINEAGE, PROBLEM, small_project
from tests.support.small_training_set import run_in_flow, write_training_set

pytestmark = pytest.mark.system
KEY = "key of classification"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, server):
    """A project with a champion, trained on made-up rows."""
    settings = Settings(root=tmp_path_factory.mktemp("a replayed yéar"), threads=1)
    project = small_project(settings)
    given = write_training_set(training_set_dir(settings, KEY), "classification")
    asked = compare.models_asked(PROBLEM, TrainingParameters(model="logistic_regression", calibrations=()))

    def story():
        best = compare.train_each(project, asked, replace(given, key=KEY))[0]
        registered = models.register_model(project, best.parameters, LINEAGE, given, best.model, best.evaluation)
        return gate(project, given, best.evaluation, registered)[0]

    assert run_in_flow(story).decision is Decision.PROMOTE
    return project


def test_a_year_is_replayed_by_the_settings_of_the_champion(trained, capsys):
    plan, version = make_plan(trained, FIRST)
    assert plan.parameters.model == "logistic_regression"
    assert [name for name, _ in plan.parameters.settings] == ["inverse_regularisation"]
    page = replay(trained, price=None, seed=0, first=FIRST)
    printed = capsys.readouterr().out
    assert "12 of 12" in printed
    assert f"page: {page}" in printed
    assert f"version {version}" in page.read_text(encoding="utf-8")
    assert registry.version_of(trained.settings, PROBLEM.model_name, registry.CHAMPION).version == int(version)
    before = page.read_bytes()
    assert replay(trained, price=None, seed=0, first=FIRST).read_bytes() == before
    assert " to do in " not in capsys.readouterr().out


def test_a_price_changes_the_cost_and_nothing_is_fitted(trained, capsys):
    page = replay(trained, price=1e6, seed=0, first=FIRST)
    assert " to do in " not in capsys.readouterr().out
    assert "1,000,000.00 for each training" in page.read_text(encoding="utf-8")


def test_without_a_champion_it_says_what_to_run(tmp_path):
    with pytest.raises(RegistryError, match="run `make train`"):
        make_plan(small_project(Settings(root=tmp_path)))
