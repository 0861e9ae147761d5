"""The route that predicts and says what drove the answer: what the page asks."""

from typing import Annotated

from fastapi import APIRouter, Path

from flightline.core.project import Project
from flightline.core.response import Explanation, Explanations, Instances
from flightline.core.settings import ServingSettings
from serving.api.dependencies import ResourcesDep
from serving.api.openapi import REFUSALS
from serving.api.request_body import ModelRoute
from serving.prediction.explanation import explain, rows_explained
from serving.prediction.predictor import check_features, check_still_to_come, prediction_of, reference_of


class ExplainRoute(ModelRoute):
    """A route of few instances, of which the model answers each many times."""

    @staticmethod
    def max_instances(serving: ServingSettings) -> int:
        """Give how many instances a request may have."""
        return min(serving.max_explained, serving.max_instances)

    rows_each = staticmethod(rows_explained)


def make_explain_router(project: Project) -> APIRouter:
    """Make the route, typed by the project's schemas."""
    router = APIRouter(tags=["model"], route_class=ExplainRoute)
    Instance, Prediction = project.schemas.instance, project.schemas.prediction  # noqa: N806  # types
    ModelName = Annotated[str, Path(json_schema_extra={"enum": [project.problem.model_name]})]  # noqa: N806  # a type

    @router.post("/v1/models/{name}:explain", responses=REFUSALS)
    async def explain_predictions(
        name: ModelName,
        own: ResourcesDep,
        body: Instances[Instance],  # type: ignore[valid-type]  # FastAPI reads it when the route is made
    ) -> Explanations[Prediction]:  # type: ignore[valid-type]  # likewise
        """Predict with the champion for a few instances, log it as any prediction, and say what drove each answer."""
        instances, predictor, clock = body.instances, own.predictor, own.clock
        check_still_to_come(project, instances, clock)
        results = await own.large.predict(own.caller, lambda part: predictor.predict(part, clock), instances)
        check_features(project.problem, results)
        changes = await own.large.predict(
            own.caller, lambda part: explain(predictor, part), results, rows_explained(predictor)
        )
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
