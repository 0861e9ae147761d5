"""What routes need, by name; tests give their own through `app.dependency_overrides`.

All are coroutines, because FastAPI runs plain functions in a thread pool, which costs more
than what they do.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from flightline.adapters.event_clock import read_clock
from flightline.core.errors import ClockError, ModelFileError
from serving.prediction.canary import Canary
from serving.prediction.large_requests import LargeRequests
from serving.prediction.model_loader import ServingState
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import Predictor


async def get_serving_state(request: Request) -> ServingState:
    """Give what is predicted with now; a request keeps what it got here."""
    return request.app.state.model_loader.state


ServingStateDep = Annotated[ServingState, Depends(get_serving_state)]


async def get_clock(request: Request) -> datetime:
    """Read where the event clock stands; it may have moved since the last request."""
    return read_clock(request.app.state.project.settings)


async def get_clock_if_set(request: Request) -> datetime | None:
    """Read where the event clock stands, or None."""
    try:
        return read_clock(request.app.state.project.settings)
    except ClockError:
        return None


def _predictor(state: ServingState) -> Predictor:
    if state.predictor is None:
        raise ModelFileError(state.reason or "no model is loaded")
    return state.predictor


async def get_predictor(state: ServingStateDep) -> Predictor:
    """Give the model and its features, or answer 503 with the reason."""
    return _predictor(state)


async def get_reason(request: Request, state: ServingStateDep) -> str | None:
    """Give the reason why the service is not ready; None if it is."""
    return await request.app.state.readiness.reason(state)


ClockIfSetDep = Annotated[datetime | None, Depends(get_clock_if_set)]
PredictorDep = Annotated[Predictor, Depends(get_predictor)]
ReasonDep = Annotated[str | None, Depends(get_reason)]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a request for predictions is answered with.

    Parameters
    ----------
    logger, canary, large
        Of this worker: the prediction log, the challenger, what large requests are predicted with.
    caller
        The name of the key that asks, or where no keys are needed the address.
    """

    predictor: Predictor
    clock: datetime
    logger: PredictionLogger
    canary: Canary
    large: LargeRequests
    caller: str


async def get_resources(request: Request) -> Resources:
    """Give all that predictions are made with; what it depends on is called here, since each takes FastAPI 20 us."""
    own, overrides = request.app.state, request.app.dependency_overrides
    state = await overrides.get(get_serving_state, get_serving_state)(request)
    return Resources(
        _predictor(state),
        await overrides.get(get_clock, get_clock)(request),
        own.prediction_logger,
        own.canary,
        own.large_requests,
        request.scope.get("caller", "-"),
    )


ResourcesDep = Annotated[Resources, Depends(get_resources)]
