"""What routes need, by name; tests give their own through `app.dependency_overrides`.

All are coroutines, because FastAPI runs plain functions in a thread pool, which costs more
than what they do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request

from flightline.adapters.event_clock import read_clock
from flightline.core.errors import ClockError, ModelFileError
from flightline.core.settings import Settings
from serving.api.request_body import check_body
from serving.prediction.large_requests import LargeRequests
from serving.prediction.model_loader import ServingState
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import Predictor


async def get_settings(request: Request) -> Settings:
    """Give the settings the app was made with."""
    return request.app.state.project.settings


async def get_serving_state(request: Request) -> ServingState:
    """Give what is predicted with now; a request keeps what it got here."""
    return request.app.state.model_loader.state


SettingsDep = Annotated[Settings, Depends(get_settings)]
ServingStateDep = Annotated[ServingState, Depends(get_serving_state)]


def known_model(model_name: str) -> Callable[[str], Awaitable[str]]:
    """Make the dependency that answers 404 for a model of another name."""
    ModelName = Annotated[str, Path(json_schema_extra={"enum": [model_name]})]  # noqa: N806  # a type

    async def check_name(name: ModelName) -> str:
        if name != model_name:
            raise HTTPException(404, f"got model {name[:80]!r}, expected {model_name!r}")
        return name

    return check_name


async def get_caller(request: Request) -> str:
    """Give the name of the key that asks, or where no keys are needed the address."""
    return request.scope.get("caller", "-")


async def get_large_requests(request: Request) -> LargeRequests:
    """Give what this worker predicts for large requests with."""
    return request.app.state.large_requests


CallerDep = Annotated[str, Depends(get_caller)]
LargeRequestsDep = Annotated[LargeRequests, Depends(get_large_requests)]


async def bounded_json(
    request: Request, settings: SettingsDep, large: LargeRequestsDep, caller: CallerDep
) -> AsyncIterator[None]:
    """Hold room for the instances of a body; answer 415 for one that does not say it is JSON, 422 if it is too large.

    Comes before the instances are validated, which for a million broken ones takes seconds.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "expected the header content-type: application/json")
    content = await request.body()
    count = check_body(content, await request.json() if content else None, settings.serving)
    with large.room(caller, count):
        yield


async def get_clock(settings: SettingsDep) -> datetime:
    """Read where the event clock stands; it may have moved since the last request."""
    return read_clock(settings)


async def get_clock_if_set(settings: SettingsDep) -> datetime | None:
    """Read where the event clock stands, or None."""
    try:
        return read_clock(settings)
    except ClockError:
        return None


async def get_predictor(state: ServingStateDep) -> Predictor:
    """Give the model and its features, or answer 503 with the reason."""
    if state.predictor is None:
        raise ModelFileError(state.reason or "no model is loaded")
    return state.predictor


async def get_prediction_logger(request: Request) -> PredictionLogger:
    """Give the prediction log of this worker."""
    return request.app.state.prediction_logger


LoggerDep = Annotated[PredictionLogger, Depends(get_prediction_logger)]


async def get_reason(request: Request, state: ServingStateDep) -> str | None:
    """Give the reason why the service is not ready; None if it is."""
    return await request.app.state.readiness.reason(state)


# Until the answer is made: a client that reads it slowly takes no room from others.
BoundedJson = Depends(bounded_json, scope="function")
ClockDep = Annotated[datetime, Depends(get_clock)]
ClockIfSetDep = Annotated[datetime | None, Depends(get_clock_if_set)]
PredictorDep = Annotated[Predictor, Depends(get_predictor)]
ReasonDep = Annotated[str | None, Depends(get_reason)]
