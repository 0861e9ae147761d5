"""Moves of `champion` by hand, and what status says of them."""

import shutil

import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings
from pipelines.commands.champion import promote, roll_back
from tests.support.models.small_registry import crown, model_file_of, register
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM, make_project


@pytest.mark.slow
def test_a_version_whose_files_are_gone_is_not_promoted(tmp_path):
    settings = Settings(root=tmp_path)
    project = make_project(settings)
    for _ in range(2):
        version = register(settings, fitted(KINDS))
        crown(settings, version)
    shutil.rmtree(model_file_of(settings, "1").parent)
    for move in (lambda: promote(project, "1", "ada", "better"), lambda: roll_back(project, "worse")):
        with pytest.raises(RegistryError, match=r"(gives no model file|holds no model\.skops) of version 1"):
            move()
    assert str(registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version) == "2"
    assert not registry.has_model_file(settings, registry.get_version(settings, PROBLEM.model_name, "1"))
