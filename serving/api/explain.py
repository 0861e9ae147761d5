"""The route that predicts and says what drove the answer: what the page asks."""

from typing import Annotated

from fastapi import APIRouter, Path

from flightline.core.project import Project
from flightline.core.response import Explanation, Explanations, Instances
from serving.api.dependencies import ResourcesDep
from serving.api.openapi import REFUSALS
from serving.api.request_body import ModelRoute
from serving.prediction.explanation import explain
from serving.prediction.predictor import (
    check_features,
    check_still_to_come,
    prediction_of,
    reference_of,
    refuse_faults,
)
from serving.prediction.side_thread import run_beside_if_many


def make_explain_router(project: Project) -> APIRouter:
    """Make the route, typed by the project's schemas."""
    router = APIRouter(tags=["model"], route_class=ModelRoute)
    Instance, Prediction = project.schemas.instance, project.schemas.prediction  # noqa: N806  # types
    ModelName = Annotated[str, Path(json_schema_extra={"enum": [project.problem.model_name]})]  # noqa: N806  # a type
    most = project.settings.serving.max_explained

    @router.post("/v1/models/{name}:explain", responses=REFUSALS)
    async def explain_predictions(
        name: ModelName,
        own: ResourcesDep,
        body: Instances[Instance],  # type: ignore[valid-type]  # FastAPI reads it when the route is made
    ) -> Explanations[Prediction]:  # type: ignore[valid-type]  # likewise
        """Predict with the champion for a few instances, log it as any prediction, and say what drove each answer."""
        instances, predictor, clock = body.instances, own.predictor, own.clock
        if len(instances) > most:
            refuse_faults(
                [("instances", f"got {len(instances)}, expected {most} at most: each is predicted many times")]
            )
        check_still_to_come(project, instances, clock)
        results = await own.large.predict(own.caller, lambda part: predictor.predict(part, clock), instances)
        check_features(project.problem, results)
        rows = len(instances) * (len(predictor.features.views) + 2)  # each once more for every group
        changes = await run_beside_if_many(rows, lambda: explain(predictor, results))
        ids = await own.logger.record("predict", predictor, clock, results, instances)
        return Explanations[Prediction](  # type: ignore[valid-type]  # likewise
            explanations=[
                Explanation[Prediction](  # type: ignore[valid-type]  # likewise
                    prediction=prediction_of(project, instance, result, clock, prediction_id), changes=of_row
                )
                for instance, result, prediction_id, of_row in zip(instances, results, ids, changes, strict=True)
            ],
            model=reference_of(predictor),
        )

    return router
