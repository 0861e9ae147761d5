"""A registration is whole or not found again, whatever broke it off, and whatever columns the model takes."""

import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.profile import CARD_FILE
from flightline.core.lineage import Lineage
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.fit import TrainingParameters
from pipelines.common.artifacts import Registered, TrainingSet
from pipelines.evaluation_steps.held_out import SLICES_FILE
from pipelines.promotion_steps.refit import _without_evaluation
from pipelines.steps import models
from pipelines.steps.signing import read_signed
from tests.support.small_training_set import small_project, write_training_set

pytestmark = pytest.mark.slow

LINEAGE = Lineage("commit", False, "data", "service", "features", "lock", 0)
PARAMETERS = TrainingParameters(model="decision_tree")


@pytest.fixture
def project(isolated_root) -> Project:
    return small_project(Settings(root=isolated_root), "classification")


@pytest.fixture
def training_set(project: Project) -> TrainingSet:
    return write_training_set(project.settings.root / "training_set", "classification")


@pytest.fixture
def register(project: Project, training_set: TrainingSet) -> Callable[..., Registered]:
    """Fit a model when it is first called, and register it, as often as it is called."""
    made = []

    def register(slices: str = "") -> Registered:
        if not made:
            model = models.fit_model.function(
                "k" * 64, project.settings, project.problem, PARAMETERS, training_set, 1.0
            )
            made.extend([model, _without_evaluation(project, model, training_set)])
        if slices:
            (made[1].folder / SLICES_FILE).write_text(slices)
        return models.register_model.fn(project, PARAMETERS, LINEAGE, training_set, *made)

    return register


def break_off(found: registry.ModelVersion) -> None:
    raise KeyboardInterrupt


def is_signed(project: Project, version: str) -> bool:
    found = registry.get_version(project.settings, project.problem.model_name, version)
    return read_signed(project, found, "shadow").version == version


def test_the_same_is_registered_once(project, register):
    assert register() == register()


@pytest.mark.parametrize("can_tidy", [True, False], ids=["interrupted", "killed"])
def test_what_was_broken_off_before_it_was_signed_is_registered_anew(project, register, monkeypatch, can_tidy):
    with monkeypatch.context() as patch:
        patch.setattr(models, "signer_of_registration", lambda *_: break_off)
        if not can_tidy:
            patch.setattr(MlflowClient, "delete_model_version", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            register()
    left = registry.find_version(project.settings, project.problem.model_name, {})
    assert (left is None) == can_tidy
    assert is_signed(project, register().version)


def test_a_version_whose_file_the_registry_has_lost_is_registered_anew(project, register):
    first = register()
    found = registry.get_version(project.settings, project.problem.model_name, first.version)
    shutil.rmtree(registry.download_model(project.settings, found).parent)
    second = register()
    assert second.version != first.version
    assert is_signed(project, second.version)
    assert register() == second


def test_a_text_that_only_later_rows_have_is_a_column_of_text(project, training_set, register):
    features = pd.read_parquet(training_set.features_file)
    features["late"] = np.where(np.arange(len(features)) < 2 * models.SIGNATURE_ROWS, None, features["side"])
    features.to_parquet(training_set.features_file)
    found = registry.get_version(project.settings, project.problem.model_name, register().version)
    kinds = {"first": "float64", "second": "float64", "side": "str", "late": "str"}
    assert dict(registry.input_columns(project.settings, found)) == kinds


def test_the_card_names_slices_as_the_data_does(project, register):
    rows = "".join(f"side,{value},300,0.5,0.4,0.6,0.5,0.5\n" for value in ("NA", "None", "007"))
    made = register(f"slice,value,rows,log_loss,lower,upper,predicted,observed\n{rows}")
    found = registry.get_version(project.settings, project.problem.model_name, made.version)
    card = registry.read_text(project.settings, found, f"signed/version_{made.version}/{CARD_FILE}")
    assert [line.split("|")[1] for line in card.splitlines() if line.startswith("| side")] == [
        " side = NA ",
        " side = None ",
        " side = 007 ",
    ]
