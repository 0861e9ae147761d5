"""What counts as a new data version: the one data.dvc names, unless the newest model has learned from it."""

from pathlib import Path

import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import DataVersionError
from flightline.core.settings import Settings
from pipelines.data_check import DataCheck, check_data_version
from tests.support.models.small_registry import crown, register
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM, make_project

FIRST, SECOND = "1" * 32 + ".dir", "2" * 32 + ".dir"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    name(Settings(root=tmp_path), SECOND)
    return Settings(root=tmp_path)


def name(settings: Settings, md5: str) -> None:
    """Let data.dvc name a version."""
    pointer = f"outs:\n- md5: {md5}\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: data\n"
    (settings.root / "data.dvc").write_text(pointer, encoding="utf-8")


def learn(settings: Settings, md5: str, **verdict: str) -> str:
    """Register a model that learned from a version, as training does."""
    version = register(settings, fitted(KINDS, "logistic_regression"), **{"lineage.data_md5": md5}, **verdict)
    registry.set_challenger(settings, PROBLEM.model_name, version)
    return version


def test_without_a_model_every_version_is_new(settings: Settings) -> None:
    assert check_data_version(make_project(settings)) == DataCheck(named=SECOND, learned=None)
    assert check_data_version(make_project(settings)).is_new


def test_what_the_newest_model_learned_from_is_not_new(settings: Settings) -> None:
    learn(settings, SECOND, verdict="REJECT")
    assert not check_data_version(make_project(settings)).is_new
    name(settings, FIRST)
    assert check_data_version(make_project(settings)) == DataCheck(named=FIRST, learned=SECOND)
    assert check_data_version(make_project(settings)).is_new


def test_a_version_that_was_tried_and_kept_out_is_not_new(settings: Settings) -> None:
    crown(settings, learn(settings, FIRST, verdict="PROMOTE"))
    assert check_data_version(make_project(settings)).is_new
    learn(settings, SECOND, verdict="HOLD")  # the gate left the champion where it was
    assert not check_data_version(make_project(settings)).is_new


def test_a_version_whose_training_ended_before_the_gate_is_new(settings: Settings) -> None:
    learn(settings, SECOND)
    assert check_data_version(make_project(settings)).is_new


def test_an_unreadable_pointer_is_an_error_and_no_new_version(settings: Settings) -> None:
    (settings.root / "data.dvc").write_text("nothing", encoding="utf-8")
    with pytest.raises(DataVersionError, match="unreadable"):
        check_data_version(make_project(settings))
