"""The routes: KServe's V1 protocol, and what an orchestrator asks."""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Path, Response

from flightline.core.project import Project
from flightline.core.response import (
    Failure,
    FeatureRows,
    Health,
    Instances,
    ModelStatus,
    Predictions,
    RefusedModel,
    Score,
    Scores,
)
from serving.api.dependencies import ClockIfSetDep, PredictorDep, ReasonDep, ResourcesDep, ServingStateDep
from serving.api.explain import make_explain_router
from serving.api.openapi import ALWAYS, REFUSALS, documented
from serving.api.request_body import ModelRoute
from serving.prediction.predictor import (
    check_features,
    check_rows,
    check_still_to_come,
    prediction_of,
    reference_of,
    score_of,
)
from serving.prediction.side_thread import FEW_TO_LOG, run_beside_if_many
from serving.telemetry.metrics import CONTENT_TYPE, render

HEALTH: dict[int | str, dict[str, Any]] = documented(431, 500) | {503: {"model": Health | Failure}}


class Markdown(Response):
    """Text for people."""

    media_type = "text/markdown; charset=utf-8"


def add_routes(app: FastAPI, project: Project) -> None:
    """Give an app all routes; its `state` must hold what `dependencies` look up."""
    # Its routes themselves, before all others: one that is included as a router is looked for twice.
    makers = (make_prediction_router, make_status_router)
    app.router.routes[:0] = [route for make in makers for route in make(project, app).routes]
    app.include_router(make_explain_router(project))
    app.include_router(make_operations_router(project))


def make_prediction_router(project: Project, app: FastAPI) -> APIRouter:
    """Make the routes that predict; what they take and give is typed by the project's schemas."""
    router = APIRouter(tags=["model"], route_class=ModelRoute, dependency_overrides_provider=app)
    Instance, Prediction = project.schemas.instance, project.schemas.prediction  # noqa: N806  # types
    ModelName = Annotated[str, Path(json_schema_extra={"enum": [project.problem.model_name]})]  # noqa: N806  # a type

    @router.post("/v1/models/{name}:predict", responses=REFUSALS)
    async def predict(
        name: ModelName,
        own: ResourcesDep,
        body: Instances[Instance],  # type: ignore[valid-type]  # FastAPI reads it when the route is made
    ) -> Predictions[Prediction]:  # type: ignore[valid-type]  # likewise
        """Predict for one or more instances with what is known at the event clock."""
        instances, predictor, clock = body.instances, own.predictor, own.clock
        # Here and not in parts: each fault is named by its place in the request.
        check_still_to_come(project, instances, clock)
        results = await own.large.predict(own.caller, lambda part: predictor.predict(part, clock), instances)
        check_features(project.problem, results)
        if own.canary.challenger is not None:
            results = await own.canary.apply(predictor, results, instances, clock)
        ids = await own.logger.record("predict", predictor, clock, results, instances)

        def answer() -> Predictions[Prediction]:  # type: ignore[valid-type]  # likewise
            return Predictions[Prediction](  # type: ignore[valid-type]  # likewise
                predictions=[
                    prediction_of(project, instance, result, clock, prediction_id)
                    for instance, result, prediction_id in zip(instances, results, ids, strict=True)
                ],
                model=reference_of(predictor),
            )

        return await run_beside_if_many(len(instances), answer, FEW_TO_LOG)

    @router.post("/v1/models/{name}:score", responses=REFUSALS)
    async def score(
        name: ModelName,
        own: ResourcesDep,
        body: FeatureRows,
    ) -> Scores:
        """Predict for ready rows of features, as batch jobs and what-if questions have them."""
        predictor = own.predictor
        check_rows(predictor.model, body.instances)
        results = await own.large.predict(own.caller, predictor.score, body.instances)
        ids = await own.logger.record("score", predictor, own.clock, results, [None] * len(results))
        return Scores(
            predictions=[
                Score(prediction_id=prediction_id, value=score_of(project.problem, result.value))
                for prediction_id, result in zip(ids, results, strict=True)
            ],
            model=reference_of(predictor),
        )

    return router


def make_status_router(project: Project, app: FastAPI) -> APIRouter:
    """Make the routes that tell of the model."""
    router = APIRouter(tags=["model"], route_class=ModelRoute, dependency_overrides_provider=app)
    ModelName = Annotated[str, Path(json_schema_extra={"enum": [project.problem.model_name]})]  # noqa: N806  # a type

    @router.get("/v1/models/{name}", responses=documented(404) | ALWAYS)
    async def model_status(
        name: ModelName, state: ServingStateDep, clock: ClockIfSetDep, reason: ReasonDep
    ) -> ModelStatus:
        """Say what is being served, or why nothing is."""
        predictor, refused = state.predictor, state.refused
        return ModelStatus(
            name=name,
            ready=reason is None,
            version=state.version,
            feature_service=project.problem.feature_service,
            columns=dict(predictor.model.manifest.columns) if predictor else {},
            served_since=state.opened_at,
            watermarks=dict(predictor.features.watermarks) if predictor else {},
            clock=clock,
            refused=RefusedModel(version=refused.version, reason=refused.reason) if refused else None,
            reason=reason,
        )

    @router.get("/v1/models/{name}/card", response_class=Markdown, responses=documented(404) | ALWAYS)
    async def model_card(name: ModelName, predictor: PredictorDep) -> Markdown:
        """Give the card of the served version: what it is for, how good it is, what it was made of."""
        model = predictor.model
        if model.card is None:
            raise HTTPException(404, f"version {model.manifest.version} was registered without a card; train it again")
        return Markdown(model.card)

    return router


def make_operations_router(project: Project) -> APIRouter:
    """Make the routes that whoever runs the service asks."""
    router = APIRouter()

    @router.get("/health/live", responses=HEALTH, tags=["health"])
    async def live() -> Health:
        """Say that the process answers."""
        return Health(status="live")

    @router.get("/health/ready", responses=HEALTH, tags=["health"])
    async def ready(response: Response, reason: ReasonDep) -> Health:
        """Say whether predictions can be had."""
        if reason is None:
            return Health(status="ready")
        response.status_code = 503
        return Health(status="not ready", reason=reason)

    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """Give Prometheus what was counted; in a thread, because it reads the files of all workers."""
        return Response(render(), media_type=CONTENT_TYPE)

    if not project.settings.serving.page:

        @router.get("/", include_in_schema=False)
        async def index() -> dict[str, str]:
            """Say where things are."""
            return {"model": f"/v1/models/{project.problem.model_name}", "ready": "/health/ready", "docs": "/docs"}

    return router
