"""The model is swapped as a whole, only for one that works, and what is refused is said."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flightline.adapters.model_store.model_file import digest_of_file
from flightline.adapters.model_store.served_model import Refusal, switch_served_model, write_refusal, write_served_model
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import FeatureError
from flightline.core.settings import Settings
from serving.prediction import model_loader as assets
from serving.prediction.model_loader import AssetKeeper
from tests.support.small_service import HandMadeFeatures, put_model


class Store:
    """A feature store that can be told to fail, and counts how often it was opened."""

    def __init__(self) -> None:
        self.opened: list[HandMadeFeatures] = []
        self.definitions, self.is_down = "d" * 64, False

    def open(self, settings: Settings) -> HandMadeFeatures:
        if self.is_down:
            raise FeatureError("the online store cannot be read")
        self.opened.append(HandMadeFeatures(definitions_sha256=self.definitions))
        return self.opened[-1]


@pytest.fixture
def registry(settings: Settings) -> Path:
    """A registry file to touch; its declaration as a local store has it."""
    settings.feature_repo.mkdir()
    (settings.feature_repo / "feature_store.yaml").write_text("registry: ../registry.db\n")
    file = settings.root / "registry.db"
    file.write_text("one")
    return file


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def keeper(settings: Settings, registry: Path, store: Store) -> AssetKeeper:
    put_model(settings, "3")
    keeper = AssetKeeper(settings, store.open)
    assert keeper.refresh()
    return keeper


def test_what_has_not_changed_is_not_opened_again(keeper: AssetKeeper, store: Store) -> None:
    before = keeper.assets
    assert not keeper.refresh()
    assert keeper.assets is before
    assert len(store.opened) == 1


def test_a_new_champion_is_served_and_the_features_stay_open(settings, keeper: AssetKeeper, store: Store) -> None:
    before = keeper.assets
    put_model(settings, "4")
    assert keeper.refresh()
    assert (before.version, keeper.assets.version, len(store.opened)) == ("3", "4", 1)
    assert keeper.assets.refused is None


def test_moving_back_is_the_rollback(settings, keeper: AssetKeeper) -> None:
    put_model(settings, "4")
    keeper.refresh()
    switch_served_model(settings.serving_models_dir, "3")
    keeper.refresh()
    assert keeper.assets.version == "3"


@pytest.mark.parametrize("broken", ["flipped byte", "other columns", "other feature views", "other problem"])
def test_what_cannot_serve_does_not_replace_what_does(settings, keeper: AssetKeeper, broken: str) -> None:
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
    predictor = keeper.assets.predictor
    keeper.refresh()
    assert keeper.assets.predictor is predictor or keeper.assets.version == "3"
    assert keeper.assets.reason is None
    assert keeper.assets.refused is not None
    assert keeper.assets.refused.version == "4"
    assert keeper.assets.refused.reason


def test_what_was_refused_is_tried_again(settings, keeper: AssetKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    put_model(settings, "4")
    file = settings.serving_models_dir / "4" / "model.skops"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    keeper.refresh()
    assert not keeper.refresh(), "it waits before it tries again"
    file.write_bytes(whole)
    monkeypatch.setattr(assets.time, "monotonic", lambda: float("inf"))
    keeper.refresh()
    assert (keeper.assets.version, keeper.assets.refused) == ("4", None)


def test_a_word_of_the_watcher_is_passed_on_and_taken_back(settings, keeper: AssetKeeper) -> None:
    refusal = Refusal(version="5", reason="model.skops has another digest")
    write_refusal(settings.serving_models_dir, refusal)
    keeper.refresh()
    assert (keeper.assets.version, keeper.assets.refused) == ("3", refusal)
    switch_served_model(settings.serving_models_dir, "3")
    keeper.refresh()
    assert keeper.assets.refused is None


def test_a_new_materialisation_opens_the_features_again(keeper: AssetKeeper, store: Store, registry: Path) -> None:
    registry.write_text("two, longer")
    keeper.refresh()
    first, second = store.opened
    assert keeper.assets.predictor is not None
    assert keeper.assets.predictor.features is second
    registry.write_text("three, longer still")
    keeper.refresh()
    assert first.is_closed
    assert not second.is_closed, "a request under way may still read it"


def test_a_registry_that_cannot_be_opened_leaves_the_old_features(keeper, store: Store, registry: Path) -> None:
    before, store.is_down = keeper.assets.predictor, True
    registry.write_text("two, longer")
    keeper.refresh()
    assert keeper.assets.predictor is not None
    assert keeper.assets.predictor.features is before.features
    assert "online store cannot be read" in keeper.assets.refused.reason


def test_new_definitions_wait_for_the_model_that_was_trained_on_them(settings, registry: Path, store: Store) -> None:
    put_model(settings, "3", feature_views_sha256="d" * 64)
    keeper = AssetKeeper(settings, store.open)
    keeper.refresh()
    store.definitions = "e" * 64
    registry.write_text("two, longer")
    keeper.refresh()
    assert keeper.assets.predictor.features.definitions_sha256 == "d" * 64
    assert "mean something else" in keeper.assets.refused.reason
    put_model(settings, "4", feature_views_sha256="e" * 64)
    registry.write_text("three, longer still")
    keeper.refresh()
    assert (keeper.assets.version, keeper.assets.refused) == ("4", None)


def test_without_any_model_the_reason_is_told_until_one_comes(settings, registry: Path, store: Store) -> None:
    keeper = AssetKeeper(settings, store.open)
    keeper.refresh()
    assert keeper.assets.reason == assets.NO_MODEL
    put_model(settings, "1")
    keeper.refresh()
    assert (keeper.assets.reason, keeper.assets.version) == (None, "1")


def test_the_folder_keeps_the_last_good_ones_only(settings, keeper: AssetKeeper) -> None:
    for version in ("4", "5", "6", "7"):
        put_model(settings, version)
    kept = sorted(entry.name for entry in settings.serving_models_dir.iterdir() if entry.is_dir())
    assert kept == ["5", "6", "7"]


def test_a_model_that_is_in_place_is_not_written_again(settings, keeper: AssetKeeper) -> None:
    file = settings.serving_models_dir / "3" / "model.skops"
    before = file.stat().st_ino
    digest = digest_of_file(file)
    delivered = shutil.copytree(file.parent, settings.root / "delivered")
    folder, keys = settings.serving_models_dir, read_trusted_keys(settings)
    write_served_model(folder, "3", delivered, keys)
    assert file.stat().st_ino == before
    file.write_bytes(b"broken")
    write_served_model(folder, "3", delivered, keys)
    assert digest_of_file(file) == digest


def test_closing_closes_all_that_was_opened(keeper: AssetKeeper, store: Store, registry: Path) -> None:
    registry.write_text("two, longer")
    keeper.refresh()
    keeper.close()
    assert all(opened.is_closed for opened in store.opened)


def test_a_folder_that_is_gone_leaves_the_model_in_memory(settings, keeper: AssetKeeper) -> None:
    shutil.rmtree(settings.serving_models_dir)
    keeper.refresh()
    assert keeper.assets.version == "3"
    assert keeper.assets.refused is not None
    assert replace(keeper.assets, refused=None).reason is None
