"""From checked requests to predictions: the service's work, without HTTP, by names of the project and the model."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel

from flightline.adapters.feast.online_features import FeatureColumns, FeatureRow
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.clock import is_late_request
from flightline.core.errors import ModelFileError, RequestError
from flightline.core.prediction_record import MAX_TEXT_LENGTH, Predicted, Role
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.response import ModelReference
from flightline.inference.fast_pipeline import Value
from flightline.inference.predict import predict_rows
from serving.telemetry.tracing import span

SHOWN_ERRORS, MAX_NAME_LENGTH = 20, 100
WITHOUT_FEATURES = "The feature store has no value for these keys: the answer rests on the request alone."
NOTHING_KNOWN = FeatureRow({}, {}, {})


class FeatureReader(Protocol):
    """What the service asks of a feature store."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features it gives."""
        ...

    @property
    def views(self) -> Mapping[str, Sequence[str]]:
        """By view, the names of its features."""
        ...

    @property
    def watermarks(self) -> Mapping[str, datetime]:
        """By view, up to when its values were materialised (UTC)."""
        ...

    @property
    def definitions_sha256(self) -> str:
        """Digest of what its views mean."""
        ...

    @property
    def brief_definitions_sha256(self) -> str:
        """The same, as models that were registered before December 2026 have it."""
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
    field_errors
        Field and reason, for the first `SHOWN_ERRORS`.
    """

    def __init__(self, field_errors: Sequence[tuple[str, str]]):
        count = len(field_errors)
        at_least = "at least " if count == SHOWN_ERRORS else ""
        super().__init__(f"{at_least}{count} field(s) of the request are not as expected")
        self.field_errors = tuple(field_errors)


@dataclass(frozen=True)
class PredictionResult:
    """One prediction and what it rests on.

    Parameters
    ----------
    value
        The probability of a classification, the number of a regression, the probabilities of a multiclass problem.
    inputs
        The model's input by column; None where it is missing.
    row
        What the feature store knew; None if the features came with the request.
    model
        The model that made it, if that was not the champion.
    role
        Whether it is the answer (champion, challenger) or made beside it (shadow).
    """

    value: Predicted
    inputs: Mapping[str, Value]
    row: FeatureRow | None = None
    model: ServedModel | None = None
    role: Role = "champion"

    @property
    def is_without_features(self) -> bool:
        """Whether the feature store was asked and had no value at all."""
        values = self.row.values.values() if self.row is not None else ()
        return bool(values) and all(value is None for value in values)


@dataclass(frozen=True)
class Predictor:
    """A model with the features it needs."""

    project: Project
    model: ServedModel
    features: FeatureReader

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of an instance that are keys or request columns; looked up once, not by request."""
        return self.project.request_fields

    def predict(self, instances: Sequence[BaseModel], clock: datetime) -> list[PredictionResult]:
        """Predict for instances, which `check_still_to_come` let pass, with what is known at the event clock."""
        columns, request_code = columns_of(instances, self.fields), self.project.requests
        with span("features", rows=len(instances)):
            rows = self.features.read(as_rows({**columns, **request_code.keys(columns)}, len(instances)), clock)
        inputs = self.inputs(columns, rows, clock)
        return [PredictionResult(*each) for each in zip(self._values(inputs), inputs, rows, strict=True)]

    def inputs(
        self, columns: Mapping[str, Sequence[Any]], rows: Sequence[FeatureRow], clock: datetime
    ) -> list[dict[str, Value]]:
        """Give the model's columns for requests, row by row.

        Parameters
        ----------
        columns
            Of the requests.
        rows
            What the feature store gave for each of them, as of the clock.
        """
        stored = FeatureColumns(self.features.names, rows)
        computed = self.project.requests.computed_features(columns, stored, [clock] * len(rows))
        return input_rows(self.model, rows, as_rows(computed, len(rows)))

    def score(self, rows: Sequence[Mapping[str, Value]]) -> list[PredictionResult]:
        """Predict for ready rows of features, without the feature store.

        Parameters
        ----------
        rows
            The model's columns by name, as `check_rows` let them pass; one that is absent is missing.
        """
        names = tuple(self.model.kinds)
        inputs = [row if tuple(row) == names else {name: row.get(name) for name in names} for row in rows]
        return [PredictionResult(*each) for each in zip(self._values(inputs), inputs, strict=True)]

    def _values(self, inputs: Sequence[Mapping[str, Value]]) -> list[Predicted]:
        with span("predict", rows=len(inputs)):
            return predict_with(self.model, inputs)


def predict_with(model: ServedModel, inputs: Sequence[Mapping[str, Value]]) -> list[Predicted]:
    """Predict for rows of a model's own columns."""
    answers: list[Predicted] = predict_rows(
        model.task, model.pipeline, model.fast_pipeline, model.kinds, inputs
    ).tolist()
    return answers


def columns_of(instances: Sequence[BaseModel], fields: Sequence[str]) -> dict[str, list[Any]]:
    """Lay the fields of instances out by column."""
    return {name: [getattr(instance, name) for instance in instances] for name in fields}


def as_rows(columns: Mapping[str, Sequence[Any] | np.ndarray], count: int) -> list[dict[str, Any]]:
    """Turn columns of one length into so many rows of plain values, which are empty if there is no column."""
    if not columns:
        return [{} for _ in range(count)]
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]


def refuse_faults(field_errors: Iterable[tuple[str, str]]) -> None:
    """Refuse a request for the first of its faults, if it has any; no more of them are looked for.

    Raises
    ------
    InstanceError
        With field and reason of each.
    """
    if shown := list(islice(field_errors, SHOWN_ERRORS)):
        raise InstanceError(shown)


def check_still_to_come(project: Project, instances: Sequence[BaseModel], clock: datetime) -> None:
    """Refuse instances whose event is past: not yet for `request_delay`, if it is predicted at its own moment."""
    problem, event_time_of = project.problem, project.schemas.event_time_of
    earliest = clock if problem.prediction_horizon else clock - problem.request_delay
    refuse_faults(
        (
            f"instances[{index}].{project.schemas.event_time_field}",
            f"got {event_time.isoformat()}, but the event clock stands at {clock.isoformat()}: "
            "only what is still to come is predicted",
        )
        for index, instance in enumerate(instances)
        if (event_time := event_time_of(instance)) < earliest or (event_time == clock and problem.prediction_horizon)
    )


def check_features(problem: Problem, results: Sequence[PredictionResult]) -> None:
    """Refuse instances for which the feature store had no value at all, if the problem wants that."""
    if problem.without_features == "answer":
        return
    refuse_faults(
        (
            f"instances[{index}]",
            "the feature store has no value for it "
            f"({', '.join(f'{name}: {why}' for name, why in result.row.missing.items()) if result.row else ''}), and "
            "this model answers no such request: are its keys known, and is it asked too early?",
        )
        for index, result in enumerate(results)
        if result.is_without_features
    )


def check_rows(model: ServedModel, rows: Sequence[Mapping[str, Value]]) -> None:
    """Refuse rows with columns the model does not take, or values of another kind."""
    kinds, numbers = model.kinds, model.numbers
    refuse_faults(
        (f"instances[{index}].{name[:80]}", reason)
        for index, row in enumerate(rows)
        for name, value in row.items()
        # Most are numbers, and of those most are in order: a call for each takes longer than the model.
        if not (value.__class__ is float and name in numbers and -math.inf < value < math.inf)
        and (reason := _why_no_value(kinds.get(name), value))
    )


def _why_no_value(kind: str | None, value: Value) -> str | None:
    if kind is None:
        return "the model has no such column; GET the model's route for those it takes"
    if value is None:
        return None
    if kind == "str":
        is_text = isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH
        return None if is_text else f"expected text or null, {MAX_TEXT_LENGTH} characters at most"
    return None if isinstance(value, int | float) and math.isfinite(value) else "expected a finite number or null"


def input_rows(
    model: ServedModel, rows: Sequence[FeatureRow], computed: Sequence[Mapping[str, Any]]
) -> list[dict[str, Value]]:
    """Put stored and computed features into the columns and the order of the model's training.

    Parameters
    ----------
    model
        Whose columns are filled.
    rows
        Features from the store, one row an instance.
    computed
        Features that no store holds, one row an instance; NaN is missing.

    Raises
    ------
    ModelFileError
        If the model takes a column that neither gives.
    """
    inputs = []
    for row, added in zip(rows, computed, strict=True):
        known = {**row.values, **{name: None if value != value else value for name, value in added.items()}}
        try:
            inputs.append({name: known[name] for name in model.kinds})
        except KeyError as err:
            raise ModelFileError(
                f"the model takes the column {err}, which neither the feature service "
                f"{model.manifest.feature_service} nor request_features.py gives; train a model on today's features"
            ) from err
    return inputs


def score_of(problem: Problem, value: Predicted) -> float | dict[str, float]:
    """Give a model's value as `:score` answers it: probabilities by the name of their class."""
    return dict(zip(problem.classes, value, strict=True)) if isinstance(value, list) else value


def outcome_of(problem: Problem, value: Predicted) -> dict[str, object]:
    """Give a model's value as the fields that a prediction has for it."""
    if isinstance(value, list):
        return {"probabilities": score_of(problem, value), problem.label: problem.classes[value.index(max(value))]}
    if problem.task == "regression":
        return {problem.label: value}
    return {"probability": value, problem.label: value >= problem.decision_threshold}


def reference_of(predictor: Predictor) -> ModelReference:
    """Name the model of a predictor, as every answer does."""
    manifest = predictor.model.manifest
    return ModelReference(name=manifest.name, version=manifest.version, feature_service=manifest.feature_service)


def prediction_of(
    project: Project, instance: BaseModel, result: PredictionResult, clock: datetime, prediction_id: str
) -> BaseModel:
    """Write a prediction as the service answers it: as of when it holds, and what it could not use."""
    prediction_time, row = project.prediction_time_of(instance), result.row or NOTHING_KNOWN
    return project.schemas.prediction.model_validate(
        {
            **outcome_of(project.problem, result.value),
            "prediction_id": prediction_id,
            "prediction_time": prediction_time,
            "as_of": clock,
            "missing_features": row.missing,
            "feature_ages_seconds": {
                view: int((clock - stamp).total_seconds())
                for view, stamp in row.event_timestamps.items()
                if stamp <= clock
            },
            "answered_by": result.model.manifest.version if result.model else None,
            "notes": _notes(prediction_time, clock) + ([WITHOUT_FEATURES] if result.is_without_features else []),
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
