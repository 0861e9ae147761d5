"""The application: what is opened, in which order, kept fresh, and closed again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from serving.api.errors import add_error_handlers
from serving.api.openapi import require_keys
from serving.api.routes import router
from serving.middleware.auth import needs_key
from serving.prediction.canary import Canary
from serving.prediction.model_loader import AssetKeeper
from serving.prediction.prediction_logger import Recorder
from serving.server import add_safeguards, prepare_worker
from serving.telemetry.metrics import begin_at_zero
from serving.telemetry.tracing import start_tracing, stop_tracing

LOG = logging.getLogger("serving")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = app.state.settings
    start_tracing(settings)
    begin_at_zero()
    app.state.keeper = keeper = AssetKeeper(settings)
    keeper.refresh()
    canary = app.state.canary
    canary.refresh(keeper.assets)
    await app.state.recorder.open()
    beside = [
        asyncio.create_task(task)
        for task in (_keep_fresh(keeper, canary, settings.serving.poll_seconds), canary.run(), canary.keep_counts())
    ]
    # One thread for each prediction: on a busy machine more of them wait for one another.
    with threadpool_limits(1):
        yield
    for task in beside:
        task.cancel()
    for task in beside:
        with suppress(asyncio.CancelledError):
            await task
    await canary.close()
    keeper.close()
    app.state.recorder.close()
    stop_tracing()


async def _keep_fresh(keeper: AssetKeeper, canary: Canary, seconds: float) -> None:
    """Look for a new model or new features again and again, beside the requests."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(keeper.refresh)
            await asyncio.to_thread(canary.refresh, keeper.assets)
        except Exception:
            # Whatever it is, what is served now is whole and goes on.
            LOG.exception("looking for a new model failed; the one that is served stays")


def create_app(settings: Settings) -> FastAPI:
    """Make the service.

    Parameters
    ----------
    settings
        Where it runs; the model, the feature store and the log are opened when it starts, not here.
    """
    app = FastAPI(
        title=f"Predictions of {PROBLEM.model_name}",
        version="1",
        lifespan=_lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # it would send clients where their own Host header says
    )
    app.state.settings = settings
    app.state.recorder = recorder = Recorder(settings)
    app.state.canary = Canary(settings, recorder)
    add_safeguards(app, settings)
    app.include_router(router)
    add_error_handlers(app)
    if needs_key(settings):
        require_keys(app)
    return app


def create_worker_app() -> FastAPI:
    """Make the service in a process of its own, where the environment says; uvicorn calls it by name."""
    settings = Settings()
    prepare_worker(settings)
    return create_app(settings)
