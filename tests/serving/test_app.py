"""The service as it starts: on real Feast and a real model file, and on what is missing or broken."""

import gc
import shutil
import subprocess
import sys
import weakref
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from fastapi.testclient import TestClient
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from flightline.adapters.event_clock import set_clock
from flightline.adapters.feast import feature_store
from flightline.adapters.model_store.model_file import digest_of_file, save_model
from flightline.core.project import Project
from flightline.core.settings import Settings
from serving.app import create_app, keep_from_collector
from serving.prediction.predictor import as_rows, columns_of
from tests.support.servers.service_process import environment_of, running
from tests.support.small_service import INSTANCE, NOON, PREDICT, STATUS, fitted, manifest_of, put_signed
from tests.support.waiting import wait_until
from tests.toy_problem import make_project, write_feature_repo

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
TRAINING_TOOLS = ("prefect", "dvc", "evidently", "mlflow", "optuna", "matplotlib", "pandera", "duckdb", "ibis")
AGE = timedelta(minutes=10)


def _write_tables(project: Project) -> list[str]:
    """Write for every declared view one row, of the keys of INSTANCE, with 1.0 in every feature."""
    settings = project.settings
    declarations = feature_store.load_declarations(settings)
    join_keys = {entity.name: entity.join_key for entity in declarations if hasattr(entity, "join_key")}
    requests = columns_of([project.schemas.instance(**INSTANCE)], project.request_fields)
    (keys_of_row,) = as_rows({**requests, **project.requests.keys(requests)}, 1)
    names = []
    tables = settings.features_dir / "current"
    tables.mkdir(parents=True)
    for view in [declared for declared in declarations if hasattr(declared, "batch_source")]:
        keys = {join_keys[entity]: keys_of_row[join_keys[entity]] for entity in view.entities}
        features = [field.name for field in view.schema if field.name not in keys]
        row = keys | dict.fromkeys(features, 1.0) | dict.fromkeys(("event_timestamp", "created_timestamp"), NOON - AGE)
        pd.DataFrame([row]).to_parquet(tables / f"{view.name}.parquet")
        names += features
    return names


@pytest.fixture(scope="module")
def filled_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the toy problem's declarations materialised to noon, a fitted model and a clock."""
    root = tmp_path_factory.mktemp("a fílled root")
    write_feature_repo(root)
    project = make_project(settings := Settings(root=root))
    names = _write_tables(project)
    feature_store.apply(settings)
    feature_store.materialise(settings, NOON)
    set_clock(settings, NOON)
    requests = columns_of([project.schemas.instance(**INSTANCE)], project.request_fields)
    requested = pd.DataFrame(project.requests.features(requests))
    kinds = dict.fromkeys(names, "float64") | {
        name: "float64" if dtype == np.float64 else "str" for name, dtype in requested.dtypes.items()
    }
    digest = save_model(fitted(kinds, "hist_gradient_boosting"), root / "model.skops")
    put_signed(settings, manifest_of(kinds, digest), root / "model.skops")
    return root


@pytest.fixture
def settings(filled_root: Path, tmp_path: Path) -> Settings:
    """A copy of it, to break."""
    shutil.copytree(filled_root, tmp_path / "root")
    return Settings(root=tmp_path / "root")


def _status(settings: Settings) -> dict:
    """Start the service, check that it lives, and that it predicts only if it is ready."""
    with TestClient(create_app(make_project(settings))) as client:
        assert client.get("/health/live").status_code == 200
        status = client.get(STATUS).json()
        answer = client.post(PREDICT, json={"instances": [INSTANCE]})
        assert answer.status_code == client.get("/health/ready").status_code == (200 if status["ready"] else 503)
        if not status["ready"]:
            assert answer.json()["error"] in status["reason"]
            assert "/" not in status["reason"]
        return status


def test_predicts_on_real_feast_and_a_real_model(settings: Settings) -> None:
    with TestClient(create_app(make_project(settings))) as client:
        answer = client.post(PREDICT, json={"instances": [INSTANCE, INSTANCE | {"shop": None}]})
        assert answer.status_code == 200
        whole, partial = answer.json()["predictions"]
        assert whole["missing_features"] == {}
        assert set(whole["feature_ages_seconds"].values()) == {AGE.total_seconds()}
        assert partial["missing_features"]
        assert set(partial["missing_features"].values()) == {"no value"}
        assert client.get(STATUS).json()["ready"] is True


@pytest.mark.parametrize(
    ("moved", "reason"), [(timedelta(days=400), "stale"), (-AGE - timedelta(minutes=1), "after the clock")]
)
def test_values_too_old_or_of_the_future_are_not_used(settings: Settings, moved: timedelta, reason: str) -> None:
    set_clock(settings, NOON + moved)
    later = INSTANCE | {"opens": (NOON + moved + timedelta(hours=20)).isoformat()}
    with TestClient(create_app(make_project(settings))) as client:
        (prediction,) = client.post(PREDICT, json={"instances": [later]}).json()["predictions"]
        nothing_known = later | {"shop": None}
        (without,) = client.post(PREDICT, json={"instances": [nothing_known]}).json()["predictions"]
    # The slot and the weekday of another day have no row at all.
    of_days = {"baking_plan", "shop_weekday"}
    assert {why for view, why in prediction["missing_features"].items() if view not in of_days} == {reason}
    assert set(without["missing_features"].values()) == {reason, "no value"}


def test_what_is_loaded_is_not_looked_at_by_the_collector_while_it_serves(settings: Settings) -> None:
    before = gc.get_freeze_count()
    with TestClient(create_app(make_project(settings))):
        assert gc.get_freeze_count() > before + 10_000
    assert gc.get_freeze_count() == before


def test_what_was_loaded_and_is_no_longer_used_is_collected() -> None:
    class Model:
        def __init__(self) -> None:
            self.itself = self

    old = Model()
    is_there = weakref.ref(old)
    keep_from_collector()
    del old
    gc.collect()
    assert is_there() is not None  # what is kept from it, it does not take either
    keep_from_collector()
    gc.unfreeze()
    assert is_there() is None


def test_starts_without_a_model_and_says_what_to_do(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(settings.serving_models_dir)
    status = _status(settings)
    assert status["version"] is None
    assert "no model has been promoted yet: run `make train`" in status["reason"]
    assert "no model has been promoted yet" in caplog.text


def test_starts_on_a_flipped_byte_and_does_not_serve_it(settings: Settings) -> None:
    file = settings.serving_models_dir / "3" / "model.skops"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "model.skops has sha256" in _status(settings)["reason"]


def test_starts_on_an_untrusted_type_and_does_not_load_it(settings: Settings) -> None:
    file = settings.root / "other.skops"
    skops.io.dump(Pipeline([("call", FunctionTransformer(eval))]), file)
    manifest = manifest_of({"a": "float64"}, digest_of_file(file))
    put_signed(settings, manifest, file)
    assert "outside the allow-list" in _status(settings)["reason"]


def test_starts_on_a_model_of_other_features_and_does_not_serve_it(settings: Settings) -> None:
    kinds = {"moon_phase": "float64"}
    digest = save_model(fitted(kinds), settings.root / "other.skops")
    put_signed(settings, manifest_of(kinds, digest), settings.root / "other.skops")
    assert "takes the column 'moon_phase'" in _status(settings)["reason"]


def test_opens_its_log_before_the_first_request_has_to_wait_for_it(settings: Settings) -> None:
    with TestClient(create_app(make_project(settings))):
        assert settings.prediction_log_file.is_file()


def test_starts_without_its_log_and_says_why(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.prediction_log_file.parent.write_text("in the way")
    with TestClient(create_app(make_project(settings))) as client:
        assert "predictions cannot be logged yet" in caplog.text
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503


def test_starts_without_a_feature_store_and_makes_none(settings: Settings) -> None:
    shutil.rmtree(settings.state_dir / "feast")
    assert "no Feast registry yet" in _status(settings)["reason"]
    assert not (settings.state_dir / "feast").exists()


def test_names_every_reason_at_once(tmp_path: Path) -> None:
    write_feature_repo(tmp_path)
    reason = _status(Settings(root=tmp_path))["reason"]
    assert all(part in reason for part in ("no model has been promoted", "no Feast registry", "clock has not been set"))


IMPORTED = """
import sys
import serving.__main__
from serving.app import create_worker_app
from serving.prediction.model_loader import ModelLoader

app = create_worker_app()
app.state.model_loader.refresh()
app.state.model_loader.close()
print(app.state.model_loader.state.reason)
print([name for name in {tools} if name in sys.modules])
"""


def _import_service(root: Path, **environment: str) -> tuple[str, str]:
    """Make and open a service in a process of its own; give why it is not ready, and the training tools imported."""
    command = [sys.executable, "-c", IMPORTED.format(tools=TRAINING_TOOLS)]
    done = subprocess.run(command, env=environment_of(root, **environment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reason, imported = done.stdout.splitlines()
    return reason, imported


def test_a_ready_service_has_imported_no_training_tool(filled_root: Path) -> None:
    # The problem is imported by its name, so import-linter cannot see what comes with it.
    assert _import_service(filled_root) == ("None", "[]")


def test_the_problem_of_this_project_brings_no_training_tool_either(tmp_path: Path) -> None:
    reason, imported = _import_service(tmp_path, FLIGHTLINE_PROBLEM_PACKAGE="flightline.problem")
    assert "no model has been promoted" in reason
    assert imported == "[]"


def test_two_workers_on_real_feast_count_together(settings: Settings) -> None:
    with running(settings.root, module="serving", workers=2) as service:
        for _ in range(12):
            assert service.ask(PREDICT, {"instances": [INSTANCE] * 2}).status == 200
        metrics = service.metrics()
        assert metrics['flightline_rows_total{endpoint="predict"}'] == 24
        wait_until(lambda: service.metrics().get("flightline_workers_ready") == 2, said="each worker has looked")
        ages = [value for name, value in metrics.items() if name.startswith("flightline_feature_age_seconds_count")]
        assert len(ages) > 1
        assert min(ages) >= 1
        assert service.stop() == 0
