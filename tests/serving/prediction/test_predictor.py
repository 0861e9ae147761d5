"""From features to the model's own columns."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import ModelFileError
from flightline.core.problem_spec import Task
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.zoo import ZOO
from serving.prediction.predictor import (
    InstanceError,
    Predictor,
    check_still_to_come,
    input_rows,
    prediction_of,
    score_of,
)
from tests import toy_multiclass, toy_regression
from tests.support.small_service import INSTANCE, KINDS, NOON, HandMadeFeatures, fitted, manifest_of
from tests.toy_problem import Instance, make_project

MAKE_PROJECT = {
    "classification": make_project,
    "multiclass": toy_multiclass.make_project,
    "regression": toy_regression.make_project,
}
MODELS = [(task, name) for task, models in ZOO.items() for name in models if not models[name].reads_series]


@pytest.fixture
def predictor(project: Project, model: ServedModel) -> Predictor:
    return Predictor(project, model, HandMadeFeatures())


def predictor_of(settings: Settings, task: Task, name: str, features: HandMadeFeatures | None = None) -> Predictor:
    model = ServedModel(manifest_of(KINDS), fitted(KINDS, name, task=task), task)
    return Predictor(MAKE_PROJECT[task](settings), model, features or HandMadeFeatures())


def instances_of(*shops: str | None) -> list[Instance]:
    return [Instance(**(INSTANCE | {"shop": shop})) for shop in shops]


def taking(**kinds: str) -> ServedModel:
    """A model of which only the columns matter."""
    return ServedModel(manifest_of(kinds), fitted(), "classification")


def test_columns_come_in_the_models_order() -> None:
    rows = [FeatureRow({"b": 1.0, "a": None}, {}, {}), FeatureRow({"b": None, "a": 2.0}, {}, {})]
    requested = [{"word": "x", "hour": 3.0}, {"word": None, "hour": float("nan")}]
    inputs = input_rows(taking(hour="float64", a="float64", word="str", b="float64"), rows, requested)
    assert [list(row.items()) for row in inputs] == [
        [("hour", 3.0), ("a", None), ("word", "x"), ("b", 1.0)],
        [("hour", None), ("a", 2.0), ("word", None), ("b", None)],
    ]


def test_from_its_moment_on_an_event_is_predicted_only_without_a_horizon(project: Project) -> None:
    instances, event = [Instance(**INSTANCE)], Instance(**INSTANCE).opens
    with pytest.raises(InstanceError):
        check_still_to_come(project, instances, event)
    problem = replace(project.problem, prediction_horizon=timedelta(0), request_delay=timedelta(minutes=5))
    at_the_event = replace(project, problem=problem)
    check_still_to_come(at_the_event, instances, event)
    check_still_to_come(at_the_event, instances, event + timedelta(minutes=5))
    with pytest.raises(InstanceError):
        check_still_to_come(at_the_event, instances, event + timedelta(minutes=5, seconds=1))


def test_a_column_nobody_gives_is_refused_by_name() -> None:
    with pytest.raises(ModelFileError, match="takes the column 'wind', which neither the feature service toy_v1"):
        input_rows(taking(wind="float64"), [FeatureRow({"a": 1.0}, {}, {})], [{"word": "x"}])


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_every_model_of_the_zoo_answers_with_and_without_features(settings: Settings, task: Task, name: str) -> None:
    predictor = predictor_of(settings, task, name)
    values = [result.value for result in predictor.predict(instances_of("S01", "S99", None), NOON)]
    assert len(values) == 3
    low, high = (-1000, 1000) if task == "regression" else (0, 1)
    assert all(low <= value <= high for value in np.ravel(values))
    assert np.shape(values) == ((3, 3) if task == "multiclass" else (3,))


@pytest.mark.parametrize("task", MAKE_PROJECT)
def test_an_answer_has_the_fields_of_its_task(settings: Settings, task: Task) -> None:
    predictor = predictor_of(settings, task, "decision_tree")
    (instance,) = instances_of("S01")
    (result,) = predictor.predict([instance], NOON)
    answer = prediction_of(predictor.project, instance, result, NOON, "an id").model_dump()
    named = {"probability", "sold_out", "units", "probabilities", "left_over"}
    outcome = {name: answer[name] for name in answer if name in named}
    if task == "classification":
        assert outcome == {"probability": result.value, "sold_out": result.value >= 0.5}
    elif task == "multiclass":
        assert list(outcome["probabilities"].values()) == result.value
        assert outcome == {"probabilities": score_of(predictor.project.problem, result.value), "left_over": "much"}
    else:
        assert outcome == {"units": result.value}
    assert answer["prediction_time"] == NOON


@pytest.mark.parametrize(
    ("task", "name"), [("classification", "logistic_regression"), ("regression", "ridge_regression")]
)
def test_a_higher_feature_makes_a_higher_prediction(settings: Settings, task: Task, name: str) -> None:
    features = HandMadeFeatures(mean_units={"S01": 60.0, "S02": -10.0, "S03": 10.0})
    predictor = predictor_of(settings, task, name, features)
    values = [result.value for result in predictor.predict(instances_of("S02", "S03", "S01"), NOON)]
    assert values == sorted(values)
    assert len(set(values)) == 3


def test_what_the_model_does_not_take_changes_nothing(predictor: Predictor) -> None:
    other = Instance(**(INSTANCE | {"city": "Tartu"}))
    first, second = predictor.predict([Instance(**INSTANCE), other], NOON)
    assert first.value == second.value


def test_a_result_names_what_it_rests_on(predictor: Predictor) -> None:
    (result,) = predictor.predict([Instance(**INSTANCE)], NOON)
    assert result.inputs == {"mean_units": 60.0, "shop": "S01", "seats": None, "opening_hour": 0.0}
    assert result.row is not None
    assert result.row.missing == {"plan": "after the clock"}


def test_scoring_what_a_prediction_rests_on_gives_it_again(predictor: Predictor) -> None:
    predicted = predictor.predict(instances_of("S01", None), NOON)
    scored = predictor.score([result.inputs for result in predicted])
    assert [(result.value, result.inputs) for result in scored] == [
        (result.value, result.inputs) for result in predicted
    ]


def test_a_column_left_out_of_a_row_is_missing(predictor: Predictor) -> None:
    without, with_none = predictor.score([{"mean_units": 60.0}, dict.fromkeys(KINDS) | {"mean_units": 60.0}])
    assert without == with_none


def test_of_many_that_are_over_the_first_are_named(project: Project) -> None:
    with pytest.raises(InstanceError, match=r"^at least 20 field\(s\)") as caught:
        check_still_to_come(project, [Instance(**INSTANCE)] * 50, NOON + timedelta(hours=12))
    assert [field for field, _ in caught.value.field_errors][:2] == ["instances[0].opens", "instances[1].opens"]
    assert len(caught.value.field_errors) == 20


def test_the_schemas_keep_what_the_problem_promises(project: Project) -> None:
    assert set(project.request_fields) == set(project.schemas.instance.model_fields)
    assert project.problem.label in project.schemas.prediction.model_fields
    instance = Instance(**INSTANCE)
    assert instance.opens - project.prediction_time_of(instance) == project.problem.prediction_horizon
