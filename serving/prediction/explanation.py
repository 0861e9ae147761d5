"""What drove an answer, by group of features, in the shape the service answers it."""

from collections.abc import Sequence

from flightline.core.response import Change
from flightline.inference.contributions import contributions, group_columns
from serving.prediction.predictor import PredictionResult, Predictor, predict_with, score_of
from serving.telemetry.tracing import span


def rows_explained(predictor: Predictor) -> int:
    """Give how many rows the model answers to explain one, at most: for each view, the request, and what needs both."""
    return len(predictor.features.views) + 2


def explain(predictor: Predictor, results: Sequence[PredictionResult]) -> list[list[Change]]:
    """Explain a predictor's own answers, in one call of its model; empty if it has no typical values.

    Parameters
    ----------
    results
        Of `Predictor.predict`.

    Returns
    -------
    list
        For each result its changes, the largest first.
    """
    model, problem = predictor.model, predictor.project.problem
    if model.profile is None:
        return [[] for _ in results]
    groups = group_columns(model.kinds, predictor.features.views, predictor.project.request_features)
    with span("explain", rows=len(results) * len(groups)):
        found = contributions(
            lambda rows: predict_with(model, rows),
            [result.inputs for result in results],
            [result.value for result in results],
            groups,
            model.profile.typical,
        )
    return [
        [
            Change(
                group=each.group,
                values=dict(each.values),
                typical=dict(each.typical),
                if_typical=score_of(problem, each.if_typical),
                change=score_of(problem, each.change),
            )
            for each in row
        ]
        for row in found
    ]
