"""Features of request and store together, as the service computes them: as of the clock, and as they were learned."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import ModelFileError
from flightline.core.project import Project
from serving.prediction.challenger import Challenger
from serving.prediction.predictor import PredictionResult, Predictor
from serving.prediction.self_test import run_self_test
from serving.prediction.side_thread import SideThread
from tests.serving.prediction.test_challenger import PATIENT_SECONDS, setting_of
from tests.serving.prediction.test_self_test import with_references
from tests.support.small_service import INSTANCE, KINDS, NOON, HandMadeFeatures, fitted, manifest_of
from tests.toy_problem import Instance

ADDED = {"hours_ahead": "float64", "units_by_hour": "float64", "word": "str"}
INSTANCES = [Instance(**(INSTANCE | {"shop": shop})) for shop in ("S01", "S99")]


def on_demand(requests: Any, features: Any) -> dict[str, np.ndarray]:
    moments = zip(requests["opens"], requests["as_of"], strict=True)
    hours = np.array([(opens - asked).total_seconds() / 3600 for opens, asked in moments])
    words = np.where(features["mean_units"] > 0, "some", None)
    return {"hours_ahead": hours, "units_by_hour": features["mean_units"] / hours, "word": words}


@pytest.fixture
def project(project: Project) -> Project:
    return replace(project, requests=replace(project.requests, on_demand=on_demand))


@pytest.fixture(scope="module")
def model() -> ServedModel:
    kinds = KINDS | ADDED
    return ServedModel(manifest_of(kinds), fitted(kinds), "classification")


@pytest.fixture
def predictor(project: Project, model: ServedModel) -> Predictor:
    return Predictor(project, model, HandMadeFeatures())


def added(result: PredictionResult) -> list[object]:
    return [result.inputs[name] for name in ADDED]


@pytest.mark.parametrize("hours", [-6, 0, 6], ids=["early", "at the prediction time", "late"])
def test_they_are_as_of_the_clock_as_stored_features_are(predictor: Predictor, hours: int) -> None:
    """What is missing in the store is NaN to them, and missing if nothing comes of it."""
    known, unknown = predictor.predict(INSTANCES, NOON + timedelta(hours=hours))
    assert added(known) == [12.0 - hours, 60.0 / (12 - hours), "some"]
    assert added(unknown) == [12.0 - hours, None, None]


def test_many_rows_are_answered_as_each_alone_and_as_ready_rows(predictor: Predictor) -> None:
    together = predictor.predict(INSTANCES * 60, NOON)
    alone = [predictor.predict([instance], NOON)[0] for instance in INSTANCES]
    scored = predictor.score([result.inputs for result in alone])
    assert [result.inputs for result in together] == [result.inputs for result in alone] * 60
    values = [result.value for result in alone]
    assert [result.value for result in scored] == values
    assert [result.value for result in together] == pytest.approx(values * 60, rel=1e-12)


def test_what_comes_out_otherwise_than_it_was_learned_is_refused(project: Project, model: ServedModel) -> None:
    recorded = with_references(project, model)
    run_self_test(Predictor(project, recorded, HandMadeFeatures()))

    def in_minutes(requests: Any, features: Any) -> dict[str, np.ndarray]:
        right = on_demand(requests, features)
        return right | {"hours_ahead": right["hours_ahead"] * 60}

    changed = replace(project, requests=replace(project.requests, on_demand=in_minutes))
    with pytest.raises(ModelFileError, match=r"trained with hours_ahead = 12.0 where request_features\.py .* 720\.0"):
        run_self_test(Predictor(changed, recorded, HandMadeFeatures()))


def test_a_challenger_that_alone_takes_them_has_them_as_of_the_clock(project: Project, predictor: Predictor) -> None:
    champion = Predictor(project, ServedModel(manifest_of(KINDS), fitted(), "classification"), HandMadeFeatures())
    clock = NOON - timedelta(hours=6)
    challenger = Challenger(setting_of(), predictor, SideThread("a test"), PATIENT_SECONDS)
    results = champion.predict(INSTANCES, clock)
    predicted = asyncio.run(challenger.predict(results, INSTANCES, clock, PATIENT_SECONDS))
    assert predicted is not None
    assert [result.inputs for result in predicted] == [result.inputs for result in predictor.predict(INSTANCES, clock)]
