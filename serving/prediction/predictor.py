"""From checked requests to predictions: the service's work, without HTTP.

Works for any problem: names come from `PROBLEM` and from the model's own columns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.clock import is_late_request
from flightline.core.errors import ModelFileError, RequestError
from flightline.core.prediction_record import Role
from flightline.inference.fast_pipeline import Value
from flightline.inference.predict import predict_rows
from flightline.problem.api_schema import MOMENT_FIELD, Instance, Prediction, moment_of, prediction_time_of
from flightline.problem.config import PROBLEM
from flightline.problem.request_features import request_features, request_keys
from serving.telemetry.tracing import span

SHOWN_FAULTS = 20
REQUEST_FIELDS = [*PROBLEM.entity_keys, *PROBLEM.request_columns]


class FeatureReader(Protocol):
    """What the service asks of a feature store."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features it gives."""
        ...

    @property
    def watermarks(self) -> Mapping[str, datetime]:
        """By view, up to when its values were materialised (UTC)."""
        ...

    @property
    def definitions_sha256(self) -> str:
        """Digest of what its views mean."""
        ...

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        """Give the features of each entity row, as of a moment."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
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
class Answered:
    """One prediction and what it rests on.

    Parameters
    ----------
    value
        The probability of a classification, the number of a regression.
    inputs
        The model's input by column; None where it is missing.
    row
        What the feature store knew; None if the features came with the request.
    by
        The model that gave it, if it was not the one that was asked first.
    role
        Whether it is the answer (champion, challenger) or made beside it (shadow).
    """

    value: float
    inputs: Mapping[str, Value]
    row: FeatureRow | None = None
    by: ServedModel | None = None
    role: Role = "champion"


@dataclass(frozen=True)
class Predictor:
    """A model with the features it needs."""

    model: ServedModel
    features: FeatureReader

    def predict(self, instances: Sequence[Instance], clock: datetime) -> list[Answered]:
        """Predict for instances with what is known at the event clock.

        Raises
        ------
        InstanceError
            If the moment of one is not after the clock.
        """
        check_still_to_come(instances, clock)
        requests = columns_of(instances)
        with span("features", rows=len(instances)):
            rows = self.features.read(as_rows({**requests, **request_keys(requests)}), clock)
        inputs = input_rows(self.model.kinds, rows, as_rows(request_features(requests)))
        return [Answered(*each) for each in zip(self._ask(inputs), inputs, rows, strict=True)]

    def score(self, rows: Sequence[Mapping[str, Value]]) -> list[Answered]:
        """Predict for ready rows of features, without the feature store.

        Parameters
        ----------
        rows
            The model's columns by name; one that is absent is missing.

        Raises
        ------
        InstanceError
            If a row has another column, or a value that is not of its column's kind.
        """
        kinds = self.model.kinds
        check_rows(kinds, rows)
        inputs = [{name: row.get(name) for name in kinds} for row in rows]
        return [Answered(*each) for each in zip(self._ask(inputs), inputs, strict=True)]

    def _ask(self, inputs: Sequence[Mapping[str, Value]]) -> list[float]:
        model = self.model
        with span("predict", rows=len(inputs)):
            return predict_rows(PROBLEM.task, model.pipeline, model.quick, model.kinds, inputs).tolist()


def columns_of(instances: Sequence[Instance]) -> dict[str, list[Any]]:
    """Lay the fields of instances out by column."""
    return {name: [getattr(instance, name) for instance in instances] for name in REQUEST_FIELDS}


def as_rows(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> list[dict[str, Any]]:
    """Turn columns of one length into rows of plain values."""
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]


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


def check_rows(kinds: Mapping[str, str], rows: Sequence[Mapping[str, Value]]) -> None:
    """Refuse rows with columns the model does not take, or values of another kind."""
    faults = []
    for index, row in enumerate(rows):
        for name, value in row.items():
            if reason := _why_no_value(kinds.get(name), value):
                faults.append((f"instances[{index}].{name[:80]}", reason))
    if faults:
        raise InstanceError(faults)


def _why_no_value(kind: str | None, value: Value) -> str | None:
    if kind is None:
        return "the model has no such column; GET the model's route for those it takes"
    if value is None:
        return None
    if kind == "str":
        return None if isinstance(value, str) else "expected text or null"
    return None if isinstance(value, int | float) and math.isfinite(value) else "expected a finite number or null"


def input_rows(
    kinds: Mapping[str, str], rows: Sequence[FeatureRow], requested: Sequence[Mapping[str, Any]]
) -> list[dict[str, Value]]:
    """Put features of both kinds into the columns and the order of the model's training.

    Parameters
    ----------
    kinds
        The model's columns: float64 or str.
    rows
        Features from the store, one row an instance.
    requested
        Features of the requests, one row an instance; NaN is missing.

    Raises
    ------
    ModelFileError
        If the model takes a column that neither gives.
    """
    inputs = []
    for row, own in zip(rows, requested, strict=True):
        given = {**row.values, **{name: None if value != value else value for name, value in own.items()}}
        try:
            inputs.append({name: given[name] for name in kinds})
        except KeyError as err:
            raise ModelFileError(
                f"the model takes the column {err}, which neither the feature service "
                f"{PROBLEM.feature_service} nor request_features gives; train a model on today's features"
            ) from err
    return inputs


def outcome_of(value: float) -> dict[str, object]:
    """Say in the words of the problem what a model answered."""
    if PROBLEM.task == "regression":
        return {PROBLEM.label: value}
    return {"probability": value, PROBLEM.label: value >= PROBLEM.decision_threshold}


def prediction_of(instance: Instance, answered: Answered, clock: datetime, prediction_id: str) -> Prediction:
    """Say what was answered, as of when it holds, and what it could not use."""
    prediction_time, row = prediction_time_of(instance), answered.row or FeatureRow({}, {}, {})
    return Prediction.model_validate(
        {
            **outcome_of(answered.value),
            "prediction_id": prediction_id,
            "prediction_time": prediction_time,
            "as_of": clock,
            "missing_features": row.missing,
            "feature_ages_seconds": {
                view: int((clock - stamp).total_seconds())
                for view, stamp in row.event_timestamps.items()
                if stamp <= clock
            },
            "answered_by": answered.by.manifest.version if answered.by else None,
            "notes": _notes(prediction_time, clock),
        }
    )


def _notes(prediction_time: datetime, clock: datetime) -> list[str]:
    if is_late_request(prediction_time, clock):
        return [f"The prediction time {prediction_time.isoformat()} is past: answered as of the clock."]
    if prediction_time > clock:
        return [
            f"Answered early: the prediction time is {prediction_time.isoformat()}, and what becomes known "
            "until then is not in it."
        ]
    return []
