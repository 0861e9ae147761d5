"""The model sync on a real registry: it brings the champion, refuses what it must, and leaves what is good."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from flightline.adapters.event_clock import read_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import digest_of_file
from flightline.adapters.model_store.served_model import current_manifest, folder_stamp, read_refusal
from flightline.core.errors import RegistryError
from flightline.core.settings import ServingSettings, Settings
from pipelines.commands import model_sync
from pipelines.commands.champion import roll_back
from pipelines.commands.model_sync import IMPATIENCE, LONGEST_PAUSE_SECONDS, ModelSync, watch
from tests.support.models.small_registry import crown, model_file_of, sign_unseen
from tests.support.models.small_registry import register as register_model
from tests.support.small_service import KINDS, fitted
from tests.support.waiting import wait_until
from tests.toy_problem import PROBLEM, make_project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Register = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, serving=ServingSettings(watch_seconds=0.05))


@pytest.fixture
def register(settings: Settings) -> Register:
    """Register a small model as training does, with changes to its tags, and make it champion."""

    def register(model: str = "logistic_regression", *, with_reference_predictions: bool = True, **tags: str) -> str:
        version = register_model(
            settings, fitted(KINDS, model), with_reference_predictions=with_reference_predictions, **tags
        )
        crown(settings, version)
        return version

    return register


def served(settings: Settings) -> str | None:
    manifest = current_manifest(settings.serving_models_dir)
    return manifest.version if manifest else None


def test_without_a_champion_nothing_is_done(settings: Settings) -> None:
    ModelSync(make_project(settings)).poll()
    assert served(settings) is None


def test_the_champion_is_followed_forth_and_back(settings: Settings, register: Register) -> None:
    sync = ModelSync(make_project(settings))
    for _ in range(2):
        version = register()
        sync.poll()
        assert served(settings) == version
    roll_back(make_project(settings), "a test")
    sync.poll()
    assert served(settings) == "1"
    manifest = current_manifest(settings.serving_models_dir)
    assert manifest is not None
    assert len(manifest.reference_predictions) == 2


def test_rolling_back_goes_further_back_each_time(settings: Settings, register: Register) -> None:
    for _ in range(3):
        register()
    roll_back(make_project(settings), "a test")
    roll_back(make_project(settings), "a test")
    assert registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version in (1, "1")
    with pytest.raises(RegistryError, match="has stood at no other version before"):
        roll_back(make_project(settings), "a test")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"feature_service": "other_v1"}, "on feature service 'other_v1', expected"),
    ],
)
def test_what_does_not_fit_never_enters_the_folder(settings, register: Register, tags: dict, reason: str) -> None:
    sync = ModelSync(make_project(settings))
    register()
    sync.poll()
    bad = register("decision_tree", **tags)
    sync.poll()
    refusal = read_refusal(settings.serving_models_dir)
    assert served(settings) == "1"
    assert refusal is not None
    assert refusal.version == bad
    assert pd.Series([refusal.reason]).str.contains(reason).all()
    crown(settings, "1")
    sync.poll()
    assert read_refusal(settings.serving_models_dir) is None


def test_a_model_with_an_untrusted_type_is_refused(settings: Settings, register: Register) -> None:
    version = register()
    evil = settings.root / "evil.skops"
    skops.io.dump(Pipeline([("call", FunctionTransformer(eval))]), evil)
    registry.tag_version(settings, PROBLEM.model_name, version, {"model_sha256": digest_of_file(evil)})
    shutil.copyfile(evil, model_file_of(settings, version))
    sign_unseen(settings, version)
    ModelSync(make_project(settings)).poll()
    refusal = read_refusal(settings.serving_models_dir)
    assert refusal is not None
    assert "outside the allow-list" in refusal.reason
    assert served(settings) is None


def test_a_served_file_that_was_damaged_is_brought_again(settings: Settings, register: Register) -> None:
    sync = ModelSync(make_project(settings))
    register()
    sync.poll()
    file = settings.serving_models_dir / "1" / "model.skops"
    whole, before = file.read_bytes(), folder_stamp(settings.serving_models_dir)
    file.write_bytes(whole[:-1])
    sync.poll()
    assert file.read_bytes() == whole
    assert folder_stamp(settings.serving_models_dir) != before


def test_a_registry_that_does_not_answer_changes_nothing(settings, register: Register, caplog, monkeypatch) -> None:
    for name, value in IMPATIENCE.items():
        monkeypatch.setenv(name, value)
    register()
    ModelSync(make_project(settings)).poll()
    away = Settings(root=settings.root, mlflow_tracking_uri="http://127.0.0.1:9")
    looking = ModelSync(make_project(away))
    looking.poll()
    looking.poll()
    assert served(settings) == "1"
    assert caplog.text.count("the registry does not answer") == 1


def test_a_registry_whose_files_were_removed_changes_nothing(settings: Settings, register: Register) -> None:
    register()
    ModelSync(make_project(settings)).poll()
    shutil.rmtree(settings.state_dir / "mlflow")
    ModelSync(make_project(settings)).poll()
    assert served(settings) == "1"


def test_a_champion_without_its_files_is_refused_the_sync_goes_on(settings: Settings, register: Register) -> None:
    sync = ModelSync(make_project(settings))
    register()
    sync.poll()
    version = register()
    model_file_of(settings, version).unlink()
    shutil.rmtree(model_file_of(settings, version).parent)
    assert sync.poll()
    refusal = read_refusal(settings.serving_models_dir)
    assert refusal is not None
    assert (refusal.version, served(settings)) == (version, "1")


def test_a_refused_version_is_not_fetched_at_each_look(settings: Settings, register: Register) -> None:
    moments = [0.0]
    sync = ModelSync(make_project(settings), now=lambda: moments[-1])
    file = model_file_of(settings, register())
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    for _ in range(3):  # the first look at what is signed of it is the second
        sync.poll()
    file.write_bytes(whole)
    sync.poll()
    assert served(settings) is None
    moments.append(LONGEST_PAUSE_SECONDS)
    sync.poll()
    assert (served(settings), read_refusal(settings.serving_models_dir)) == ("1", None)


def test_a_new_machine_serves_the_one_before_a_broken_champion(settings: Settings, register: Register) -> None:
    register()
    broken = register()
    shutil.rmtree(model_file_of(settings, broken).parent)
    assert ModelSync(make_project(settings)).poll()
    refusal = read_refusal(settings.serving_models_dir)
    assert refusal is not None
    assert (served(settings), refusal.version) == ("1", broken)
    assert "the registry gives no model file of version 2" in refusal.reason


def test_a_version_without_reference_predictions_is_not_registered(settings: Settings, register: Register) -> None:
    with pytest.raises(RegistryError, match=r"was registered without evaluation/probe\.json"):
        register(with_reference_predictions=False)
    assert registry.find_version(settings, PROBLEM.model_name, {}) is None


def test_it_watches_until_it_is_told_to_end(settings: Settings, register: Register) -> None:
    is_over = threading.Event()
    thread = threading.Thread(target=watch, args=(make_project(settings), is_over))
    thread.start()
    register()
    wait_until(lambda: served(settings) == "1", said="it is served")
    is_over.set()
    thread.join(120)
    assert served(settings) == "1"
    assert not thread.is_alive()


def look_twice(settings: Settings, looked: Path) -> None:
    watch(make_project(settings), threading.Event(), is_orphan=iter([False, False, True]).__next__, looked=looked)


def test_the_first_look_is_told_once_the_champion_is_in_place(settings: Settings, register, tmp_path) -> None:
    register()
    looked = tmp_path / "looked"
    watch(make_project(settings), threading.Event(), is_orphan=iter([False, True]).__next__, looked=looked)
    assert looked.exists()
    assert served(settings) == "1"


def test_a_registry_without_a_champion_was_looked_at_too(settings: Settings, tmp_path) -> None:
    look_twice(settings, tmp_path / "looked")
    assert (tmp_path / "looked").exists()


def test_a_silent_registry_is_waited_for_and_not_for_ever(settings, tmp_path, monkeypatch) -> None:
    for name, value in IMPATIENCE.items():
        monkeypatch.setenv(name, value)
    away = settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    look_twice(away, tmp_path / "looked")
    assert not (tmp_path / "looked").exists()
    monkeypatch.setattr(model_sync, "PATIENCE_SECONDS", 0)
    look_twice(away, tmp_path / "looked")
    assert (tmp_path / "looked").exists()


STARTER = """
import os, subprocess, sys
command = [sys.executable, "-m", "pipelines.commands.model_sync", "--parent", str(os.getpid())]
print(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)
"""


def test_it_ends_when_the_service_that_started_it_is_gone(settings: Settings) -> None:
    environment = os.environ | {"FLIGHTLINE_ROOT": str(settings.root), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    started = subprocess.run(
        [sys.executable, "-c", STARTER], env=environment, capture_output=True, text=True, check=True
    )
    pid = int(started.stdout)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), said="it has ended")


def test_without_a_clock_a_place_begins_where_a_training_would(tmp_path):
    looked = tmp_path / "looked"
    looked.touch()
    # Nobody's child ends at once, after it has set the clock and before its first look.
    command = [sys.executable, "-m", "pipelines.commands.model_sync", "--parent", "0", "--looked", str(looked)]
    given = {**os.environ, "FLIGHTLINE_ROOT": str(tmp_path)}
    subprocess.run(command, cwd=Path(__file__).parents[3], env=given, check=True, capture_output=True)
    assert read_clock(Settings(root=tmp_path)) == PROBLEM.first_clock
    assert not looked.exists()
