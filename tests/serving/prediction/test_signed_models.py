"""Whatever is done to a delivered model without the key, the service goes on with the last good one, and says so."""

import shutil
from pathlib import Path

import pytest
from feast.protos.feast.core.Registry_pb2 import Registry

from flightline.adapters.model_store.canary_setting import canary_folder
from flightline.adapters.model_store.served_model import Refusal, switch_served_model, write_refusal
from flightline.core.errors import ChampionMoveError, SignatureError
from flightline.core.settings import Settings
from serving.prediction.canary import Canary
from serving.prediction.model_loader import ModelLoader, ServingState
from serving.prediction.prediction_logger import PredictionLogger
from serving.telemetry.metrics import render
from tests.support import small_store
from tests.support.models.damaged_models import DAMAGES, deliver_damaged
from tests.support.small_service import HandMadeFeatures, put_model, stand_in_registry
from tests.toy_problem import make_project


def refused(role: str = "champion") -> float:
    """Read how many looks found a bad signature."""
    lines = render().decode().splitlines()
    name = f'flightline_signatures_refused_total{{role="{role}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture
def loader(tmp_path: Path) -> ModelLoader:
    settings = Settings(root=tmp_path)
    stand_in_registry(tmp_path)
    put_model(settings, "3")
    loader = ModelLoader(make_project(settings), lambda _: HandMadeFeatures(definitions_sha256="d" * 64))
    assert loader.refresh()
    return loader


@pytest.mark.parametrize("name", DAMAGES)
def test_the_last_good_model_stays(loader: ModelLoader, tmp_path: Path, name: str) -> None:
    counted = refused()
    deliver_damaged(Settings(root=tmp_path), name)
    loader.refresh()
    assert loader.state.version == "3"
    assert loader.state.refused is not None
    assert loader.state.refused.version == "4"
    assert refused() == counted + 1


def registries_refused() -> float:
    (line,) = [
        line for line in render().decode().splitlines() if line.startswith("flightline_registries_refused_total ")
    ]
    return float(line.split()[1])


def test_features_of_another_meaning_are_not_taken_and_counted(tmp_path: Path) -> None:
    settings, meant = Settings(root=tmp_path), HandMadeFeatures(definitions_sha256="d" * 64)
    registry = stand_in_registry(tmp_path)
    put_model(settings, "3", feature_views_sha256="d" * 64)
    opened = [meant, HandMadeFeatures(definitions_sha256="e" * 64)]
    loader = ModelLoader(make_project(settings), lambda _: opened.pop(0))
    loader.refresh()
    counted = refused("features"), refused()
    registry.write_text("two, longer")
    loader.refresh()
    assert loader.state.predictor.features is meant
    assert "somebody has written to Feast's registry" in loader.state.refused.reason
    assert refused("features") > counted[0]
    assert refused() == counted[1]


def test_code_in_the_registry_is_refused_while_the_service_runs(tmp_path: Path) -> None:
    settings, marker = Settings(root=tmp_path), tmp_path / "marker"
    small_store.make_store(settings)
    put_model(settings, "3", feature_views_sha256=small_store.definitions_digest(settings))
    loader = ModelLoader(make_project(settings))
    assert loader.refresh()
    before, counted = loader.state.predictor, registries_refused()
    file = settings.state_dir / "feast" / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    planted = registry.feature_views[0].spec.feature_transformation.user_defined_function
    planted.mode, planted.body_text = "python", f"open({str(marker)!r}, 'w').close()\ndef planted(rows): return rows"
    file.write_bytes(registry.SerializeToString())
    assert loader.refresh()
    assert not marker.exists()
    assert loader.state.predictor.features is before.features
    assert loader.state.reason is None
    assert "holds what Feast would run" in loader.state.refused.reason
    assert registries_refused() == counted + 1
    loader.close()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_rollback_to_a_damaged_version_is_refused(loader: ModelLoader, tmp_path: Path, name: str) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "4")
    put_model(settings, "5")
    loader.refresh()
    assert loader.state.version == "5"
    DAMAGES[name][0](settings, settings.serving_models_dir / "4")
    (settings.serving_models_dir / "current.json").write_text('{"version": "4"}')
    loader.refresh()
    assert (loader.state.version, loader.state.refused.version) == ("5", "4")
    (settings.serving_models_dir / "current.json").write_text('{"version": "3"}')
    loader.refresh()
    assert (loader.state.version, loader.state.refused) == ("3", None)


def test_without_a_good_one_the_service_is_not_ready_and_says_why(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "3")
    (settings.serving_models_dir / "3" / "model.intoto.json").unlink()
    loader = ModelLoader(make_project(settings), lambda _: HandMadeFeatures())
    loader.refresh()
    assert loader.state.predictor is None
    assert "make sign VERSION=3" in str(loader.state.reason)


def test_without_the_public_key_nothing_is_believed(loader: ModelLoader, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    put_model(settings, "4")
    shutil.rmtree(settings.signing_dir)
    loader.refresh()
    assert loader.state.version == "3"
    assert "there is no readable public key" in loader.state.refused.reason


def test_what_the_model_sync_refused_for_its_signature_is_counted_too(loader: ModelLoader, tmp_path: Path) -> None:
    counted, folder = refused(), Settings(root=tmp_path).serving_models_dir
    write_refusal(folder, Refusal.of("4", SignatureError("version 4 has no signature")))
    loader.refresh()
    assert (loader.state.version, refused()) == ("3", counted + 1)
    write_refusal(folder, Refusal.of("4", ValueError("something else")))
    loader.refresh()
    assert refused() == counted + 1
    write_refusal(folder, Refusal.of("4", ChampionMoveError("champion points at version 4")))
    loader.refresh()
    assert 'flightline_model_refused{about="move"} 1.0' in render().decode()
    switch_served_model(folder, "3")
    loader.refresh()
    assert loader.state.refused is None
    assert 'flightline_model_refused{about="move"} 0.0' in render().decode()


def test_a_challenger_that_the_model_sync_refused_is_counted_too(tmp_path: Path) -> None:
    settings, counted = Settings(root=tmp_path), refused("challenger")
    project = make_project(settings)
    write_refusal(canary_folder(settings), Refusal.of("4", SignatureError("version 4 has no approval")))
    Canary(project, PredictionLogger(settings)).refresh(ServingState())
    assert refused("challenger") == counted + 1
