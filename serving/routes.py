"""The routes: KServe's V1 protocol, and what an orchestrator asks."""

from typing import Any

from fastapi import APIRouter, Response

from flightline.problem import PROBLEM
from serving.dependencies import (
    AssetsDep,
    BoundedJson,
    ClockDep,
    ClockIfSetDep,
    KnownModel,
    PredictorDep,
    ReasonDep,
)
from serving.metrics import CONTENT_TYPE, record_features, record_rows, render, set_ready
from serving.protocol import Failure, Health, Instances, ModelReference, ModelStatus, Predictions
from serving.schemas import Instance, Prediction

router = APIRouter()
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Failure} for code in (400, 401, 404, 408, 413, 415, 422, 429, 503)
}


@router.post("/v1/models/{name}:predict", dependencies=[BoundedJson], responses=REFUSALS, tags=["model"])
async def predict(
    name: KnownModel, predictor: PredictorDep, clock: ClockDep, body: Instances[Instance]
) -> Predictions[Prediction]:
    """Predict for one or more instances with what is known at the event clock."""
    manifest = predictor.model.manifest
    # In the event loop: handing it to a thread takes longer than predicting.
    predictions = predictor.predict(body.instances, clock)
    record_rows("predict", len(predictions), manifest.version, "champion")
    record_features(
        (prediction.missing_features for prediction in predictions),
        (prediction.feature_ages_seconds for prediction in predictions),
    )
    return Predictions[Prediction](
        predictions=predictions,
        model=ModelReference(name=name, version=manifest.version, feature_service=manifest.feature_service),
    )


@router.get("/v1/models/{name}", responses={404: {"model": Failure}}, tags=["model"])
async def model_status(name: KnownModel, assets: AssetsDep, clock: ClockIfSetDep, reason: ReasonDep) -> ModelStatus:
    """Say what is being served, or why nothing is."""
    return ModelStatus(
        name=name,
        ready=reason is None,
        version=assets.version,
        feature_service=PROBLEM.feature_service,
        clock=clock,
        reason=reason,
    )


@router.get("/health/live", tags=["health"])
async def live() -> Health:
    """Say that the process answers."""
    return Health(status="live")


@router.get("/health/ready", responses={503: {"model": Health}}, tags=["health"])
async def ready(response: Response, reason: ReasonDep) -> Health:
    """Say whether predictions can be had."""
    set_ready(reason is None)
    if reason is None:
        return Health(status="ready")
    response.status_code = 503
    return Health(status="not ready", reason=reason)


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Tell Prometheus what was counted; in a thread, because it reads the files of all workers."""
    return Response(render(), media_type=CONTENT_TYPE)


@router.get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """Say where things are."""
    return {"model": f"/v1/models/{PROBLEM.model_name}", "ready": "/health/ready", "docs": "/docs"}
