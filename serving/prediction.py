"""From checked instances to predictions: the service's work, without HTTP.

Works for any problem: names come from `PROBLEM` and from the model's own columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd
from pydantic import ValidationError

from flightline.adapters.feast_online import FeatureRow
from flightline.adapters.served_model import ServedModel
from flightline.clock import is_late_request
from flightline.errors import ModelFileError, RequestError
from flightline.problem import PROBLEM
from flightline.request_features import request_features, request_keys
from serving.schemas import EXAMPLE, MOMENT_FIELD, Instance, Prediction, moment_of, prediction_time_of
from serving.tracing import span

SHOWN_FAULTS = 20


class FeatureReader(Protocol):
    """What the service asks of a feature store."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features it gives."""
        ...

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        """Give the features of each entity row, as of a moment."""
        ...


class InstanceError(RequestError):
    """Some instances cannot be predicted for.

    Parameters
    ----------
    faults
        Field and reason, for each.
    """

    def __init__(self, faults: Sequence[tuple[str, str]]):
        super().__init__(f"{len(faults)} field(s) of the request are not as expected")
        self.faults = tuple(faults[:SHOWN_FAULTS])


@dataclass(frozen=True)
class Predictor:
    """A model with the features it needs."""

    model: ServedModel
    features: FeatureReader

    def predict(self, instances: Sequence[Instance], clock: datetime) -> list[Prediction]:
        """Predict for instances with what is known at the event clock.

        Raises
        ------
        InstanceError
            If the moment of one is not after the clock.
        """
        check_still_to_come(instances, clock)
        requests = pd.DataFrame(
            [[getattr(instance, name) for name in _REQUEST] for instance in instances], columns=_REQUEST
        )
        with span("features", rows=len(instances)):
            rows = self.features.read(request_keys(requests).to_dict("records"), clock)
        requested = request_features(requests)
        frame = input_frame(self.model.manifest.columns, rows, requested)
        with span("predict", rows=len(instances)):
            outcomes = self._outcomes(frame)
        return [
            Prediction.model_validate({**outcome, **_circumstances(instance, row, clock)})
            for instance, row, outcome in zip(instances, rows, outcomes, strict=True)
        ]

    def _outcomes(self, frame: pd.DataFrame) -> list[dict[str, object]]:
        if PROBLEM.task == "regression":
            return [{PROBLEM.label: float(value)} for value in self.model.pipeline.predict(frame)]
        probabilities = self.model.pipeline.predict_proba(frame)[:, 1]
        return [{"probability": float(p), PROBLEM.label: bool(p >= PROBLEM.decision_threshold)} for p in probabilities]


_REQUEST = [*PROBLEM.entity_keys, *PROBLEM.request_columns]


def check_still_to_come(instances: Sequence[Instance], clock: datetime) -> None:
    """Refuse instances whose moment is not after the clock."""
    faults = [
        (
            f"instances[{index}].{MOMENT_FIELD}",
            f"got {moment_of(instance).isoformat()}, but the event clock stands at {clock.isoformat()}: "
            "only what is still to come is predicted",
        )
        for index, instance in enumerate(instances)
        if moment_of(instance) <= clock
    ]
    if faults:
        raise InstanceError(faults)


def check_count(instances: Sequence[object], most: int) -> None:
    """Refuse more instances than one request may hold."""
    if len(instances) > most:
        raise InstanceError([("instances", f"got {len(instances)}, expected at most {most}; send them in parts")])


def input_frame(
    columns: Sequence[tuple[str, str]], rows: Sequence[FeatureRow], requested: pd.DataFrame
) -> pd.DataFrame:
    """Put features of both kinds into the columns, the order and the types of the model's training.

    Parameters
    ----------
    columns
        Name and kind of each, as in the model's manifest.
    rows
        Features from the store, one row an instance; None becomes NaN.
    requested
        Features of the requests, one row an instance.

    Raises
    ------
    ModelFileError
        If the model takes a column that neither gives.
    """
    given: dict[str, np.ndarray] = {}
    for name, kind in columns:
        if name in requested:
            given[name] = requested[name].to_numpy(dtype=np.float64 if kind == "float64" else object)
        elif rows and name in rows[0].values:
            given[name] = np.array([row.values[name] for row in rows], dtype=np.float64)
        else:
            raise ModelFileError(
                f"the model takes the column {name!r}, which neither the feature service "
                f"{PROBLEM.feature_service} nor request_features gives; train a model on today's features"
            )
    return pd.DataFrame(given, copy=False)


def rehearse(predictor: Predictor) -> None:
    """Predict for the example of `schemas.py`, so that a model that cannot is refused at the start.

    Raises
    ------
    ModelFileError
        If it cannot be done.
    FeatureError
        If the feature store cannot be read.
    """
    try:
        instance = Instance.model_validate(EXAMPLE)
        predictor.predict([instance], prediction_time_of(instance))
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in err.errors()[:3])
        raise ModelFileError(
            f"serving/schemas.py does not agree with itself or with problem.py ({wrong}): EXAMPLE must be an Instance, "
            "and a Prediction must take the label"
        ) from err
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as err:
        raise ModelFileError(
            f"version {predictor.model.manifest.version} cannot predict the example of schemas.py "
            f"({type(err).__name__}); train a model on today's features"
        ) from err


def _circumstances(instance: Instance, row: FeatureRow, clock: datetime) -> dict[str, object]:
    prediction_time = prediction_time_of(instance)
    return {
        "prediction_time": prediction_time,
        "as_of": clock,
        "missing_features": row.missing,
        "feature_ages_seconds": {
            view: int((clock - stamp).total_seconds()) for view, stamp in row.event_timestamps.items() if stamp <= clock
        },
        "notes": _notes(prediction_time, clock),
    }


def _notes(prediction_time: datetime, clock: datetime) -> list[str]:
    if is_late_request(prediction_time, clock):
        return [f"The prediction time {prediction_time.isoformat()} is past: answered as of the clock."]
    if prediction_time > clock:
        return [
            f"Answered early: the prediction time is {prediction_time.isoformat()}, and what becomes known "
            "until then is not in it."
        ]
    return []
