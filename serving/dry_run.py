"""Answers requests once as the service would, without HTTP, log or metrics: `python -m serving.dry_run FOLDER`.

A training asks it about real examples before the gate: what the service cannot answer, or answers otherwise, is not
promoted. The requests come as JSON on standard input, the answers go as JSON to standard output.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.model_store.served_model import load_served_model
from flightline.core.clock import parse_moment
from flightline.core.errors import FlightlineError, ModelFileError, RequestError, describe
from flightline.core.project import Project, open_project
from serving.prediction.predictor import PredictionResult, Predictor, check_rows, prediction_of
from serving.prediction.self_test import run_self_test

ROWS_AT_ONCE = 100  # many go another way through the trees than few (`merged_trees`)
TOLERANCE = 1e-12  # of a sum in another order


def answer(project: Project, folder: Path, asked: Mapping[str, Any]) -> list[dict[str, object]]:
    """Answer requests one by one, all at once, and by their features alone, which must give the same.

    Parameters
    ----------
    folder
        Of served models; the current version need not be approved yet.
    asked
        `clock`, as of which is answered, and `requests`, each an instance in JSON's values.

    Returns
    -------
    list of dict
        For each request `inputs`, the model's columns by name, and `prediction`, a number or a list of them.

    Raises
    ------
    FlightlineError
        Saying which request cannot be answered, in which field, and why.
    """
    clock, requests = parse_moment(asked["clock"]), asked["requests"]
    model = load_served_model(folder, project, "shadow")
    if model is None:
        raise ModelFileError(f"there is no model in {folder}")
    features = OnlineFeatures.open(project.settings, project.problem.feature_service)
    try:
        predictor = Predictor(project, model, features)
        run_self_test(predictor)
        instances = [_instance_of(project, request) for request in requests]
        alone = [_answer_alone(predictor, *pair, clock) for pair in zip(requests, instances, strict=True)]
        repeated = instances * (ROWS_AT_ONCE // len(instances) + 1)
        _compare("many requests at once", requests, alone, predictor.predict(repeated, clock))
        rows = [result.inputs for result in alone]
        check_rows(model, rows)
        _compare("its features, sent to :score,", requests, alone, predictor.score(rows))
    finally:
        features.close()
    return [{"inputs": dict(result.inputs), "prediction": result.value} for result in alone]


def _instance_of(project: Project, request: Mapping[str, Any]) -> BaseModel:
    try:
        return project.schemas.instance.model_validate_json(json.dumps(request))
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise RequestError(f"api_schema.py refuses {json.dumps(request)}: {field}: {first['msg']}") from err


def _answer_alone(
    predictor: Predictor, request: Mapping[str, Any], instance: BaseModel, clock: datetime
) -> PredictionResult:
    try:
        (result,) = predictor.predict([instance], clock)
        prediction_of(predictor.project, instance, result, clock, "")
    except FlightlineError:
        raise
    except Exception as err:
        raise RequestError(f"{json.dumps(request)} cannot be answered: {describe(err)}") from err
    return result


def _compare(
    how: str, requests: Sequence[object], alone: Sequence[PredictionResult], again: Sequence[PredictionResult]
) -> None:
    for request, one, other in zip(requests, alone, again, strict=False):
        if np.abs(np.subtract(one.value, other.value)).max() > TOLERANCE:
            raise RequestError(
                f"{json.dumps(request)} is answered with {one.value!r} alone, and {how} with {other.value!r}; a row "
                "must not depend on its neighbours: look for means over the request in request_features.py"
            )


def main(arguments: list[str] | None = None) -> int:
    """Read the requests, print the answers; 1 with the reason on standard error."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        answers = answer(open_project(), Path(folder), json.load(sys.stdin))
    except FlightlineError as err:
        sys.stderr.write(f"{type(err).__name__}: {err}\n")
        return 1
    json.dump(answers, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
