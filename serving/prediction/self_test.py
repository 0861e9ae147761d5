"""What a model must do before it serves: answer the example, and give again the answers it was registered with."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from flightline.adapters.model_store.manifest import ReferencePrediction, check_meaning
from flightline.core.errors import FlightlineError, ModelFileError, describe
from flightline.core.project import Project
from serving.prediction.predictor import Predictor, columns_of, prediction_of

TOLERANCE = 1e-9  # a sum in another order, on another processor


def run_self_test(predictor: Predictor) -> None:
    """Refuse a model that would not serve as it was meant to.

    Raises
    ------
    ModelFileError
        If it cannot predict the example of `api_schema.py`, or predicts a reference row otherwise than when it
        was registered; a `MeaningError` if its features are defined otherwise here.
    FeatureError
        If the feature store cannot be read.
    """
    manifest = predictor.model.manifest
    features = predictor.features
    check_meaning(manifest, (features.definitions_sha256, features.brief_definitions_sha256))
    try:
        _predict_example(predictor)
        _predict_references(predictor)
    except FlightlineError:
        raise
    except Exception as err:  # whatever the problem's own code does
        raise ModelFileError(
            f"version {manifest.version} cannot predict the example of api_schema.py "
            f"({describe(err)}); correct that, or train a model on today's features"
        ) from err


def _predict_example(predictor: Predictor) -> None:
    project = predictor.project
    try:
        instance = project.schemas.instance.model_validate(project.schemas.example)
        clock = project.prediction_time_of(instance)
        for result in predictor.predict([instance], clock):
            prediction_of(project, instance, result, clock, "")
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in err.errors()[:3])
        raise ModelFileError(
            f"api_schema.py and config.py of problem/ do not agree ({wrong}): EXAMPLE must be an Instance, "
            "and a Prediction must take the label"
        ) from err


def _predict_references(predictor: Predictor) -> None:
    manifest = predictor.model.manifest
    if not manifest.reference_predictions:
        return
    _check_computed_features(predictor)
    # One at a time, as most requests come: many at once go another way (`merged_trees`).
    got = [predictor.score([row.features])[0].value for row in manifest.reference_predictions]
    expected = [row.prediction for row in manifest.reference_predictions]
    if not np.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE):
        worst = int(np.argmax(np.abs(np.subtract(got, expected)).reshape(len(got), -1).max(axis=1)))
        raise ModelFileError(
            f"version {manifest.version} answers {got[worst]!r} to a row for which it answered {expected[worst]!r} "
            "when it was registered: the libraries here are not those it was trained with; serve it from the lock "
            "it was trained with, or train it again"
        )


def _check_computed_features(predictor: Predictor) -> None:
    """Compute what no store holds of the reference rows again: training and service must not differ."""
    project, manifest = predictor.project, predictor.model.manifest
    rows = manifest.reference_predictions
    instances = [_instance_of(project, manifest.version, row) for row in rows]
    stored = {name: [row.features.get(name) for row in rows] for name in predictor.features.names}
    as_of = [project.prediction_time_of(instance) for instance in instances]
    requests = columns_of(instances, project.request_fields)
    code = project.requests
    if code.withheld:  # the rows hold what the model takes, so what on_demand read is not among it
        code = replace(code, on_demand=None)
    computed = code.computed_features(requests, stored, as_of)
    for name in (name for name, _ in manifest.columns if name in computed):
        for row, value in zip(rows, computed[name].tolist(), strict=True):
            if not _is_same(row.features.get(name), value):
                raise ModelFileError(
                    f"version {manifest.version} was trained with {name} = {row.features.get(name)!r} where "
                    f"request_features.py here computes {value!r}; train a model with today's code"
                )


def _instance_of(project: Project, version: str, row: ReferencePrediction) -> BaseModel:
    try:
        return project.schemas.instance.model_validate(row.request)
    except ValidationError as err:
        error = err.errors()[0]
        raise ModelFileError(
            f"api_schema.py refuses a row that version {version} was tested on "
            f"({'.'.join(map(str, error['loc']))}: {error['msg']}); make Instance take what the data holds"
        ) from err


def _is_same(recorded: object, computed: object) -> bool:
    if recorded is None or pd.isna(computed):
        return recorded is None and bool(pd.isna(computed))
    if isinstance(recorded, str):
        return recorded == computed
    return math.isclose(float(recorded), float(computed), rel_tol=TOLERANCE)  # type: ignore[arg-type]
