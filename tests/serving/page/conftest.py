"""A running service of each kind of problem."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.project import Project
from flightline.core.settings import ServingSettings, Settings
from serving.api.dependencies import get_serving_state
from serving.app import create_app
from serving.prediction.model_loader import ServingState
from serving.prediction.predictor import Predictor
from tests import toy_multiclass, toy_problem, toy_regression
from tests.support.small_service import KINDS, NOON, HandMadeFeatures, always, fitted, manifest_of, profile_of
from tests.support.waiting import wait_until

MAKERS = {
    "classification": toy_problem.make_project,
    "multiclass": toy_multiclass.make_project,
    "regression": toy_regression.make_project,
}


def project_of(task: str, root: Path, **serving: Any) -> Project:
    settings = Settings(root=root, serving=ServingSettings(**serving))
    set_clock(settings, NOON)
    return MAKERS[task](settings)


def state_of(project: Project, version: str = "3") -> ServingState:
    problem = project.problem
    manifest = manifest_of(KINDS, problem=problem, version=version)
    name = "ridge_regression" if problem.task == "regression" else "logistic_regression"
    pipeline, card = fitted(KINDS, name, task=problem.task), "# Model card\n\n<b>late</b>\n"
    model = ServedModel(manifest, pipeline, problem.task, profile_of(problem), card=card)
    return ServingState(Predictor(project, model, HandMadeFeatures()), opened_at=NOON)


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    return lambda task="classification", **serving: project_of(task, tmp_path, **serving)


def app_of(project: Project, state: ServingState | None = None) -> Any:
    app = create_app(project)
    found = state or state_of(project)
    app.dependency_overrides[get_serving_state] = always(found)
    return app


def served(project: Project) -> AbstractContextManager[str]:
    """Serve a project."""
    return serving(app_of(project))


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback, in a thread, and give its address."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def without_profile(project: Project) -> ServingState:
    """Give the state of a service whose model was registered before there were profiles."""
    found = state_of(project)
    assert found.predictor is not None
    model = replace(found.predictor.model, profile=None, card=None)
    return replace(found, predictor=replace(found.predictor, model=model))
