"""The service on hand-made features and a tiny fitted model: no store, no file but the clock's."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.exceptions import StarletteDeprecationWarning

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.project import Project
from flightline.core.settings import ServingSettings, Settings
from serving.api.dependencies import get_serving_state
from serving.app import create_app
from serving.prediction.model_loader import ServingState
from serving.prediction.predictor import Predictor
from tests.support.small_service import INSTANCE, KINDS, NOON, PREDICT, HandMadeFeatures, always, fitted, manifest_of
from tests.toy_problem import make_project

with warnings.catch_warnings():
    # Starlette asks for httpx2, a package this project does not need for anything else.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient


@pytest.fixture(scope="session")
def model() -> ServedModel:
    return ServedModel(manifest_of(KINDS), fitted(KINDS), "classification")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(root=tmp_path, serving=ServingSettings(max_instances=5, max_body_bytes=20_000))
    set_clock(settings, NOON)
    return settings


@pytest.fixture
def project(settings: Settings) -> Project:
    return make_project(settings)


@pytest.fixture
def features() -> HandMadeFeatures:
    return HandMadeFeatures()


@pytest.fixture
def state(project: Project, model: ServedModel, features: HandMadeFeatures) -> ServingState:
    return ServingState(Predictor(project, model, features))


@pytest.fixture
def app(project: Project, state: ServingState) -> FastAPI:
    app = create_app(project)
    app.dependency_overrides[get_serving_state] = always(state)
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    # Not entered, so that nothing is opened: what it needs is given above.
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def ask(client: TestClient) -> Callable[..., dict]:
    """Predict for one instance with changes to it, and give the prediction."""

    def predict(**changes: object) -> dict:
        answer = client.post(PREDICT, json={"instances": [INSTANCE | changes]})
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"][0]

    return predict
