"""The model is swapped as a whole, only for one that works, and what is refused is said."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flightline.adapters.model_store.model_file import digest_of_file
from flightline.adapters.model_store.served_model import Refusal, switch_served_model, write_refusal, write_served_model
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from serving.prediction import model_loader as module
from serving.prediction.model_loader import ModelLoader
from serving.telemetry import metrics
from tests.support.small_service import HandMadeFeatures, put_model, stand_in_registry
from tests.support.waiting import HandClock
from tests.toy_problem import PROBLEM, make_project


class Store:
    """A feature store that can be told to fail, and counts how often it was opened."""

    def __init__(self) -> None:
        self.opened: list[HandMadeFeatures] = []
        self.definitions, self.is_down = "d" * 64, False

    def open(self, _: Project) -> HandMadeFeatures:
        if self.is_down:
            raise FeatureError("the online store cannot be read")
        self.opened.append(HandMadeFeatures(definitions_sha256=self.definitions))
        return self.opened[-1]


@pytest.fixture
def registry(settings: Settings) -> Path:
    """A registry file to touch; its declaration as a local store has it."""
    return stand_in_registry(settings.root)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def loader(settings: Settings, registry: Path, store: Store) -> ModelLoader:
    put_model(settings, "3")
    loader = ModelLoader(make_project(settings), store.open)
    assert loader.refresh()
    return loader


def test_what_has_not_changed_is_not_opened_again(loader: ModelLoader, store: Store) -> None:
    before = loader.state
    assert not loader.refresh()
    assert loader.state is before
    assert len(store.opened) == 1


def test_a_worker_that_cannot_predict_does_not_look_ready_for_a_new_look_at_the_models(
    settings, loader: ModelLoader
) -> None:
    """`Readiness` found that its log cannot be written, and alone may take that back."""
    metrics.set_ready(False)
    put_model(settings, "4")
    assert loader.refresh()
    assert metrics.WORKERS_READY._value.get() == 0


def test_a_new_champion_is_served_and_the_features_stay_open(settings, loader: ModelLoader, store: Store) -> None:
    before = loader.state
    put_model(settings, "4")
    assert loader.refresh()
    assert (before.version, loader.state.version, len(store.opened)) == ("3", "4", 1)
    assert loader.state.refused is None


def test_moving_back_is_the_rollback(settings, loader: ModelLoader) -> None:
    put_model(settings, "4")
    loader.refresh()
    switch_served_model(settings.serving_models_dir, "3")
    loader.refresh()
    assert loader.state.version == "3"


@pytest.mark.parametrize("broken", ["flipped byte", "other columns", "other feature views", "other problem"])
def test_what_cannot_serve_does_not_replace_what_does(settings, loader: ModelLoader, broken: str) -> None:
    if broken == "flipped byte":
        put_model(settings, "4")
        file = settings.serving_models_dir / "4" / "model.skops"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif broken == "other columns":
        put_model(settings, "4", {"moon": "float64"})
    elif broken == "other feature views":
        put_model(settings, "4", feature_views_sha256="a" * 64)
    else:
        put_model(settings, "4", feature_service="other_v1")
    predictor = loader.state.predictor
    loader.refresh()
    assert loader.state.predictor is predictor or loader.state.version == "3"
    assert loader.state.reason is None
    assert loader.state.refused is not None
    assert loader.state.refused.version == "4"
    assert loader.state.refused.reason


def test_what_was_refused_is_tried_again(settings, loader: ModelLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", clock := HandClock())
    put_model(settings, "4")
    file = settings.serving_models_dir / "4" / "model.skops"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    loader.refresh()
    assert not loader.refresh(), "it waits before it tries again"
    file.write_bytes(whole)
    clock.forward(module.RETRY_SECONDS)
    loader.refresh()
    assert (loader.state.version, loader.state.refused) == ("4", None)


def test_a_refused_model_stays_refused_when_the_feature_registry_changes(
    settings, loader: ModelLoader, registry: Path
) -> None:
    put_model(settings, "4", {"moon": "float64"})
    loader.refresh()
    refused = loader.state.refused
    registry.write_text("another")
    assert loader.refresh()
    assert (loader.state.version, loader.state.refused) == ("3", refused)


def test_features_that_cannot_be_opened_are_said_when_the_model_changes(
    settings, loader: ModelLoader, registry: Path, store: Store
) -> None:
    store.is_down = True
    registry.write_text("another")
    loader.refresh()
    put_model(settings, "4")
    assert loader.refresh()
    assert loader.state.refused is not None
    assert "the online store cannot be read" in loader.state.refused.reason


def test_a_refusal_of_the_model_sync_is_passed_on_and_taken_back(settings, loader: ModelLoader) -> None:
    refusal = Refusal(version="5", reason="model.skops has another digest")
    write_refusal(settings.serving_models_dir, refusal)
    loader.refresh()
    assert (loader.state.version, loader.state.refused) == ("3", refusal)
    switch_served_model(settings.serving_models_dir, "3")
    loader.refresh()
    assert loader.state.refused is None


def test_a_new_materialisation_opens_the_features_again(loader: ModelLoader, store: Store, registry: Path) -> None:
    registry.write_text("two, longer")
    loader.refresh()
    first, second = store.opened
    assert loader.state.predictor is not None
    assert loader.state.predictor.features is second
    registry.write_text("three, longer still")
    loader.refresh()
    assert first.is_closed
    assert not second.is_closed, "a request under way may still read it"


def test_a_registry_that_cannot_be_opened_leaves_the_old_features(loader, store: Store, registry: Path) -> None:
    before, store.is_down = loader.state.predictor, True
    registry.write_text("two, longer")
    loader.refresh()
    assert loader.state.predictor is not None
    assert loader.state.predictor.features is before.features
    assert "online store cannot be read" in loader.state.refused.reason


def test_new_definitions_wait_for_the_model_that_was_trained_on_them(settings, registry: Path, store: Store) -> None:
    put_model(settings, "3", feature_views_sha256="d" * 64)
    loader = ModelLoader(make_project(settings), store.open)
    loader.refresh()
    store.definitions = "e" * 64
    registry.write_text("two, longer")
    loader.refresh()
    assert loader.state.predictor.features.definitions_sha256 == "d" * 64
    assert "mean something else" in loader.state.refused.reason
    put_model(settings, "4", feature_views_sha256="e" * 64)
    registry.write_text("three, longer still")
    loader.refresh()
    assert (loader.state.version, loader.state.refused) == ("4", None)


def test_without_any_model_the_reason_is_given_until_one_comes(settings, registry: Path, store: Store) -> None:
    loader = ModelLoader(make_project(settings), store.open)
    loader.refresh()
    assert loader.state.reason == module.NO_MODEL
    put_model(settings, "1")
    loader.refresh()
    assert (loader.state.reason, loader.state.version) == (None, "1")


def test_the_folder_keeps_the_last_good_ones_only(settings, loader: ModelLoader) -> None:
    for version in ("4", "5", "6", "7"):
        put_model(settings, version)
    kept = sorted(entry.name for entry in settings.serving_models_dir.iterdir() if entry.is_dir())
    assert kept == ["5", "6", "7"]


def test_a_model_that_is_in_place_is_not_written_again(settings, loader: ModelLoader) -> None:
    file = settings.serving_models_dir / "3" / "model.skops"
    before = file.stat().st_ino
    digest = digest_of_file(file)
    delivered = shutil.copytree(file.parent, settings.root / "delivered")
    folder, keys = settings.serving_models_dir, read_trusted_keys(settings)
    write_served_model(folder, "3", delivered, keys, PROBLEM)
    assert file.stat().st_ino == before
    file.write_bytes(b"broken")
    write_served_model(folder, "3", delivered, keys, PROBLEM)
    assert digest_of_file(file) == digest


def test_closing_closes_all_that_was_opened(loader: ModelLoader, store: Store, registry: Path) -> None:
    registry.write_text("two, longer")
    loader.refresh()
    loader.close()
    assert all(opened.is_closed for opened in store.opened)


def test_a_folder_that_is_gone_leaves_the_model_in_memory(settings, loader: ModelLoader) -> None:
    shutil.rmtree(settings.serving_models_dir)
    loader.refresh()
    assert loader.state.version == "3"
    assert loader.state.refused is not None
    assert replace(loader.state, refused=None).reason is None
