"""The application: what is opened, in which order, and closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from flightline.problem import PROBLEM
from flightline.settings import Settings
from serving.assets import open_assets
from serving.errors import add_error_handlers
from serving.metrics import begin_at_zero, set_ready, set_served
from serving.routes import router
from serving.start import add_safeguards, prepare_worker
from serving.tracing import start_tracing, stop_tracing


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    start_tracing(app.state.settings)
    assets = open_assets(app.state.settings)
    app.state.assets = assets
    begin_at_zero()
    set_ready(assets.reason is None)
    set_served("champion", assets.version, datetime.now(UTC))
    # One thread for each prediction: on a busy machine more of them wait for one another.
    with threadpool_limits(1):
        yield
    assets.close()
    stop_tracing()


def create_app(settings: Settings) -> FastAPI:
    """Make the service.

    Parameters
    ----------
    settings
        Where it runs; the model and the feature store are opened when it starts, not here.
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
    add_safeguards(app, settings)
    app.include_router(router)
    add_error_handlers(app)
    return app


def create_worker_app() -> FastAPI:
    """Make the service in a process of its own, where the environment says; uvicorn calls it by name."""
    settings = Settings()
    prepare_worker(settings)
    return create_app(settings)
