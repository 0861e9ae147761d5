"""Whatever is done to a delivered model without the key, the service goes on with the last good one, and says so."""

import shutil
from pathlib import Path

import pytest

from flightline.adapters.model_store.served_model import Refusal, switch_served_model, write_refusal
from flightline.core.errors import SignatureError
from flightline.core.settings import Settings
from serving.prediction.model_loader import AssetKeeper
from serving.telemetry.metrics import render
from tests.support.damaged_models import DAMAGES, deliver_damaged
from tests.support.small_service import HandMadeFeatures, put_model


def refused(role: str = "champion") -> float:
    """Read how many looks found a bad signature."""
    lines = render().decode().splitlines()
    name = f'flightline_signatures_refused_total{{role="{role}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture
def keeper(tmp_path: Path) -> AssetKeeper:
    settings = Settings(root=tmp_path)
    settings.feature_repo.mkdir()
    (settings.feature_repo / "feature_store.yaml").write_text("registry: ../registry.db\n")
    (settings.root / "registry.db").write_text("one")
    put_model(settings, "3")
    keeper = AssetKeeper(settings, lambda _: HandMadeFeatures(definitions_sha256="d" * 64))
    assert keeper.refresh()
    return keeper


@pytest.mark.parametrize("name", DAMAGES)
def test_the_last_good_model_stays(keeper: AssetKeeper, tmp_path: Path, name: str) -> None:
    counted = refused()
    deliver_damaged(Settings(root=tmp_path), name)
    keeper.refresh()
    assert keeper.assets.version == "3"
    assert keeper.assets.refused is not None
    assert keeper.assets.refused.version == "4"
    is_counted = name != "model file"  # a file cut short is no attack, and has its own metric and words
    assert refused() == counted + is_counted


@pytest.mark.parametrize("name", DAMAGES)
def test_a_rollback_to_a_damaged_version_is_refused(keeper: AssetKeeper, tmp_path: Path, name: str) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "4")
    put_model(settings, "5")
    keeper.refresh()
    assert keeper.assets.version == "5"
    DAMAGES[name][0](settings, settings.serving_models_dir / "4")
    (settings.serving_models_dir / "current.json").write_text('{"version": "4"}')
    keeper.refresh()
    assert (keeper.assets.version, keeper.assets.refused.version) == ("5", "4")
    (settings.serving_models_dir / "current.json").write_text('{"version": "3"}')
    keeper.refresh()
    assert (keeper.assets.version, keeper.assets.refused) == ("3", None)


def test_without_a_good_one_the_service_is_not_ready_and_says_why(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "3")
    (settings.serving_models_dir / "3" / "model.intoto.json").unlink()
    keeper = AssetKeeper(settings, lambda _: HandMadeFeatures())
    keeper.refresh()
    assert keeper.assets.predictor is None
    assert "make sign VERSION=3" in str(keeper.assets.reason)


def test_without_the_public_key_nothing_is_believed(keeper: AssetKeeper, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "4")
    shutil.rmtree(settings.signing_dir)
    keeper.refresh()
    assert keeper.assets.version == "3"
    assert "there is no readable public key" in keeper.assets.refused.reason


def test_what_the_watcher_refused_for_its_signature_is_counted_too(keeper: AssetKeeper, tmp_path: Path) -> None:
    counted, folder = refused(), Settings(root=tmp_path).serving_models_dir
    write_refusal(folder, Refusal.of("4", SignatureError("version 4 has no signature")))
    keeper.refresh()
    assert (keeper.assets.version, refused()) == ("3", counted + 1)
    write_refusal(folder, Refusal.of("4", ValueError("something else")))
    keeper.refresh()
    assert refused() == counted + 1
    switch_served_model(folder, "3")
    keeper.refresh()
    assert keeper.assets.refused is None
