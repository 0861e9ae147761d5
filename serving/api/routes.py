"""The routes: KServe's V1 protocol, and what an orchestrator asks."""

from typing import Any

from fastapi import APIRouter, Request, Response

from flightline.core.response import (
    Failure,
    FeatureRows,
    Health,
    Instances,
    ModelReference,
    ModelStatus,
    Predictions,
    RefusedModel,
    Score,
    Scores,
)
from flightline.problem.api_schema import Instance, Prediction
from flightline.problem.config import PROBLEM
from serving.api.dependencies import (
    AssetsDep,
    BoundedJson,
    ClockDep,
    ClockIfSetDep,
    KnownModel,
    PredictorDep,
    ReasonDep,
    RecorderDep,
)
from serving.api.openapi import documented
from serving.prediction.predictor import Predictor, prediction_of
from serving.telemetry.metrics import CONTENT_TYPE, render, set_ready

router = APIRouter()
# Every answer that a route may give besides its own. 431 and a 400 for what is no HTTP come before there is a route.
ALWAYS = documented(401, 403, 429, 431, 500, 503)
REFUSALS = documented(400, 404, 408, 413, 415, 422) | ALWAYS
HEALTH: dict[int | str, dict[str, Any]] = documented(431, 500) | {503: {"model": Health | Failure}}


@router.post("/v1/models/{name}:predict", dependencies=[BoundedJson], responses=REFUSALS, tags=["model"])
async def predict(
    request: Request,
    name: KnownModel,
    predictor: PredictorDep,
    clock: ClockDep,
    recorder: RecorderDep,
    body: Instances[Instance],
) -> Predictions[Prediction]:
    """Predict for one or more instances with what is known at the event clock."""
    # In the event loop: handing it to a thread takes longer than predicting.
    answered = predictor.predict(body.instances, clock)
    # Not a dependency: solving one takes 9 us, and mostly no challenger runs.
    canary = request.app.state.canary
    if canary.challenger is not None:
        answered = await canary.answer(predictor, answered, body.instances, clock)
    ids = await recorder.record("predict", predictor, clock, answered, body.instances)
    return Predictions[Prediction](
        predictions=[
            prediction_of(instance, one, clock, prediction_id)
            for instance, one, prediction_id in zip(body.instances, answered, ids, strict=True)
        ],
        model=_reference(predictor),
    )


@router.post("/v1/models/{name}:score", dependencies=[BoundedJson], responses=REFUSALS, tags=["model"])
async def score(
    name: KnownModel, predictor: PredictorDep, clock: ClockDep, recorder: RecorderDep, body: FeatureRows
) -> Scores:
    """Predict for ready rows of features, as batch jobs and what-if questions have them."""
    answered = predictor.score(body.instances)
    ids = await recorder.record("score", predictor, clock, answered, [None] * len(answered))
    return Scores(
        predictions=[
            Score(prediction_id=prediction_id, value=one.value)
            for prediction_id, one in zip(ids, answered, strict=True)
        ],
        model=_reference(predictor),
    )


def _reference(predictor: Predictor) -> ModelReference:
    manifest = predictor.model.manifest
    return ModelReference(name=manifest.name, version=manifest.version, feature_service=manifest.feature_service)


@router.get("/v1/models/{name}", responses=documented(404) | ALWAYS, tags=["model"])
async def model_status(name: KnownModel, assets: AssetsDep, clock: ClockIfSetDep, reason: ReasonDep) -> ModelStatus:
    """Say what is being served, or why nothing is."""
    predictor, refused = assets.predictor, assets.refused
    return ModelStatus(
        name=name,
        ready=reason is None,
        version=assets.version,
        feature_service=PROBLEM.feature_service,
        columns=dict(predictor.model.manifest.columns) if predictor else {},
        served_since=assets.opened_at,
        watermarks=dict(predictor.features.watermarks) if predictor else {},
        clock=clock,
        refused=RefusedModel(version=refused.version, reason=refused.reason) if refused else None,
        reason=reason,
    )


@router.get("/health/live", responses=HEALTH, tags=["health"])
async def live() -> Health:
    """Say that the process answers."""
    return Health(status="live")


@router.get("/health/ready", responses=HEALTH, tags=["health"])
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
