"""The application: what is opened, in which order, kept fresh, and closed again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from flightline.problem import PROBLEM
from flightline.settings import Settings
from serving.assets import AssetKeeper
from serving.errors import add_error_handlers
from serving.limits import BodyLimit
from serving.routes import router

LOG = logging.getLogger("serving")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    keeper = AssetKeeper(app.state.settings)
    keeper.refresh()
    app.state.keeper = keeper
    fresh = asyncio.create_task(_keep_fresh(keeper, app.state.settings.serving.poll_seconds))
    # One thread for each prediction: on a busy machine more of them wait for one another.
    with threadpool_limits(1):
        yield
    fresh.cancel()
    with suppress(asyncio.CancelledError):
        await fresh
    keeper.close()


async def _keep_fresh(keeper: AssetKeeper, seconds: float) -> None:
    """Look for a new model or new features again and again, beside the requests."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(keeper.refresh)
        except Exception:
            # Whatever it is, what is served now is whole and goes on.
            LOG.exception("looking for a new model failed; the one that is served stays")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the service.

    Parameters
    ----------
    settings
        Where it runs; by default as the environment says, which is how workers are made. The
        model and the feature store are opened when it starts, not here.
    """
    settings = settings or Settings()
    app = FastAPI(title=f"Predictions of {PROBLEM.model_name}", version="1", lifespan=_lifespan)
    app.state.settings = settings
    app.add_middleware(BodyLimit, max_bytes=settings.serving.max_body_bytes)
    app.include_router(router)
    add_error_handlers(app)
    return app
