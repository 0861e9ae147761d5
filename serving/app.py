"""The application: what is opened, in which order, kept fresh, and closed again."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from flightline.core.project import Project, open_project
from serving.api.errors import add_error_handlers
from serving.api.openapi import require_keys
from serving.api.routes import add_routes
from serving.middleware.auth import needs_key
from serving.page.routes import make_page_router
from serving.prediction.canary import Canary
from serving.prediction.large_requests import LargeRequests
from serving.prediction.model_loader import ModelLoader, open_feature_service
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import FeatureReader
from serving.prediction.readiness import Readiness
from serving.server import add_middleware, prepare_worker
from serving.telemetry.metrics import begin_at_zero
from serving.telemetry.tracing import start_tracing, stop_tracing

LOG = logging.getLogger("serving")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    loader, canary, logger = app.state.model_loader, app.state.canary, app.state.prediction_logger
    settings = app.state.project.settings
    start_tracing(settings)
    begin_at_zero()
    loader.refresh()
    canary.refresh(loader.state)
    await logger.open()
    beside = (
        _poll_models(loader, canary, app.state.readiness, settings.serving.poll_seconds),
        app.state.readiness.keep(lambda: loader.state),
        canary.run(),
        canary.keep_counts(),
        logger.keep_free_bytes(),
    )
    tasks = [asyncio.create_task(work) for work in beside]
    keep_from_collector()
    # One thread for each prediction: on a busy machine more of them wait for one another.
    with threadpool_limits(1):
        try:
            yield
        finally:
            gc.unfreeze()
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    await canary.close()
    loader.close()
    logger.close()
    stop_tracing()


def keep_from_collector() -> None:
    """Let Python's garbage collector look at no more than what came since, after it has taken what is no longer used.

    It would look at all that is loaded, half a million objects, every few thousand requests: 200 ms, in which nobody is
    answered, and in vain.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _poll_models(loader: ModelLoader, canary: Canary, readiness: Readiness, seconds: float) -> None:
    """Look for a new model or new features again and again, beside the requests."""
    while True:
        await asyncio.sleep(seconds)
        try:
            is_new = await asyncio.to_thread(loader.refresh)
            await asyncio.to_thread(canary.refresh, loader.state)
            if is_new:
                keep_from_collector()
                await readiness.reason(loader.state)  # the other workers go by what this one shows
        except Exception:
            # Whatever it is, what is served now is whole and goes on.
            LOG.exception("looking for a new model failed; the one that is served stays")


def create_app(project: Project, open_features: Callable[[Project], FeatureReader] = open_feature_service) -> FastAPI:
    """Make the service.

    Parameters
    ----------
    project
        Where it runs and what it predicts; the model, the feature store and the log are opened when it starts, not
        here.
    open_features
        From the project to the feature store; tests open another one.
    """
    app = FastAPI(
        title=f"Predictions of {project.problem.model_name}",
        version="1",
        lifespan=_lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # it would send clients where their own Host header says
        # Traces and metrics are our own; FastAPI would look at each request whether anybody wants its.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.project = project
    app.state.model_loader = ModelLoader(project, open_features)
    app.state.prediction_logger = logger = PredictionLogger(project.settings)
    app.state.canary = Canary(project, logger)
    app.state.large_requests = LargeRequests(project.settings.serving)
    app.state.readiness = Readiness(project.settings, logger)
    add_middleware(app, project.settings)
    add_routes(app, project)
    if project.settings.serving.page:
        app.include_router(make_page_router(project))
    add_error_handlers(app)
    if needs_key(project.settings):
        require_keys(app)
    return app


def create_worker_app() -> FastAPI:
    """Make the service in a process of its own, where the environment says; uvicorn calls it by name."""
    project = open_project()
    prepare_worker(project.settings)
    return create_app(project)
