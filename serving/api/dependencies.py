"""What routes are given, by name; tests give their own through `app.dependency_overrides`.

All are coroutines, because FastAPI runs plain functions in a thread pool, which costs more
than what they do.
"""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request

from flightline.adapters.event_clock import read_clock
from flightline.core.errors import ClockError, FeatureError, ModelFileError
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from serving.prediction.model_loader import Assets
from serving.prediction.prediction_logger import Recorder
from serving.prediction.predictor import Predictor, check_count


async def get_settings(request: Request) -> Settings:
    """Give the settings the app was made with."""
    return request.app.state.settings


async def get_assets(request: Request) -> Assets:
    """Give what is predicted with now; a request keeps what it was given."""
    return request.app.state.keeper.assets


SettingsDep = Annotated[Settings, Depends(get_settings)]
AssetsDep = Annotated[Assets, Depends(get_assets)]


ModelName = Annotated[str, Path(json_schema_extra={"enum": [PROBLEM.model_name]})]


async def known_model(name: ModelName) -> str:
    """Answer 404 for a model of another name."""
    if name != PROBLEM.model_name:
        raise HTTPException(404, f"got model {name[:80]!r}, expected {PROBLEM.model_name!r}")
    return name


async def bounded_json(request: Request, settings: SettingsDep) -> None:
    """Answer 415 for a body that does not say it is JSON, 422 for one with too many instances.

    Comes before the instances are validated, which for a million broken ones takes seconds.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "expected the header content-type: application/json")
    body = await request.json() if await request.body() else None
    instances = body.get("instances") if isinstance(body, dict) else None
    if isinstance(instances, list):
        check_count(instances, settings.serving.max_instances)


async def get_clock(settings: SettingsDep) -> datetime:
    """Tell where the event clock stands; it may have moved since the last request."""
    return read_clock(settings)


async def get_clock_if_set(settings: SettingsDep) -> datetime | None:
    """Tell where the event clock stands, or None."""
    try:
        return read_clock(settings)
    except ClockError:
        return None


async def get_predictor(assets: AssetsDep) -> Predictor:
    """Give the model and its features, or answer 503 with the reason."""
    if assets.predictor is None:
        raise ModelFileError(assets.reason or "no model is loaded")
    return assets.predictor


async def get_recorder(request: Request) -> Recorder:
    """Give the prediction log of this worker."""
    return request.app.state.recorder


RecorderDep = Annotated[Recorder, Depends(get_recorder)]


async def get_reason(assets: AssetsDep, settings: SettingsDep, recorder: RecorderDep) -> str | None:
    """Say why the service is not ready; None if it is."""
    reasons = [assets.reason, await recorder.why_not()]
    try:
        clock = read_clock(settings)
        if assets.predictor is not None:
            assets.predictor.features.read([{}], clock)
    except (ClockError, FeatureError) as err:
        reasons.append(str(err))
    return "; ".join(filter(None, reasons)) or None


KnownModel = Annotated[str, Depends(known_model)]
BoundedJson = Depends(bounded_json)
ClockDep = Annotated[datetime, Depends(get_clock)]
ClockIfSetDep = Annotated[datetime | None, Depends(get_clock_if_set)]
PredictorDep = Annotated[Predictor, Depends(get_predictor)]
ReasonDep = Annotated[str | None, Depends(get_reason)]
