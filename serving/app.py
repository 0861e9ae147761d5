"""The application: what is opened, in which order, and closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from flightline.problem import PROBLEM
from flightline.settings import Settings
from serving.assets import open_assets
from serving.errors import add_error_handlers
from serving.limits import BodyLimit
from serving.routes import router


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    assets = open_assets(app.state.settings)
    app.state.assets = assets
    # One thread for each prediction: on a busy machine more of them wait for one another.
    with threadpool_limits(1):
        yield
    assets.close()


def create_app(settings: Settings) -> FastAPI:
    """Make the service.

    Parameters
    ----------
    settings
        Where it runs; the model and the feature store are opened when it starts, not here.
    """
    app = FastAPI(title=f"Predictions of {PROBLEM.model_name}", version="1", lifespan=_lifespan)
    app.state.settings = settings
    app.add_middleware(BodyLimit, max_bytes=settings.serving.max_body_bytes)
    app.include_router(router)
    add_error_handlers(app)
    return app
