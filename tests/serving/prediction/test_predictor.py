"""From features to the model's own columns."""

from datetime import timedelta

import pytest

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import ModelFileError
from flightline.problem.api_schema import EXAMPLE, Instance, Prediction, moment_of, prediction_time_of
from flightline.problem.config import PROBLEM
from flightline.training.zoo import ZOO
from serving.prediction.predictor import InstanceError, Predictor, check_still_to_come, input_rows
from serving.prediction.self_test import rehearse
from tests.support.small_service import INSTANCE, KINDS, NOON, HandMadeFeatures, fitted, manifest_of


def test_columns_come_in_the_models_order() -> None:
    rows = [FeatureRow({"b": 1.0, "a": None}, {}, {}), FeatureRow({"b": None, "a": 2.0}, {}, {})]
    requested = [{"word": "x", "hour": 3.0}, {"word": None, "hour": float("nan")}]
    inputs = input_rows({"hour": "float64", "a": "float64", "word": "str", "b": "float64"}, rows, requested)
    assert [list(row.items()) for row in inputs] == [
        [("hour", 3.0), ("a", None), ("word", "x"), ("b", 1.0)],
        [("hour", None), ("a", 2.0), ("word", None), ("b", None)],
    ]


def test_a_column_nobody_gives_is_refused_by_name() -> None:
    with pytest.raises(ModelFileError, match="takes the column 'wind'"):
        input_rows({"wind": "float64"}, [FeatureRow({"a": 1.0}, {}, {})], [{"word": "x"}])


@pytest.mark.parametrize("name", ZOO[PROBLEM.task])
def test_every_model_of_the_zoo_answers_with_and_without_features(name: str) -> None:
    predictor = Predictor(ServedModel(manifest_of(KINDS), fitted(KINDS, name)), HandMadeFeatures())
    asked = [Instance(**(INSTANCE | {"carrier": carrier})) for carrier in ("B6", "ZZ", None)]
    probabilities = [answered.value for answered in predictor.predict(asked, NOON)]
    assert all(0 <= probability <= 1 for probability in probabilities)


def test_more_recent_delay_makes_late_more_probable(model: ServedModel) -> None:
    delays = {"AA": -10.0, "B6": 60.0, "UA": 10.0}
    asked = [Instance(**(INSTANCE | {"carrier": carrier})) for carrier in ("AA", "UA", "B6")]
    predictions = Predictor(model, HandMadeFeatures(delays=delays)).predict(asked, NOON)
    probabilities = [answered.value for answered in predictions]
    assert probabilities == sorted(probabilities)


def test_what_the_model_does_not_take_changes_nothing(model: ServedModel) -> None:
    predictor = Predictor(model, HandMadeFeatures())
    first, second = predictor.predict(
        [Instance(**INSTANCE), Instance(**(INSTANCE | {"flight": 9, "dest": "BOS"}))], NOON
    )
    assert first.value == second.value


def test_what_was_answered_names_what_it_rests_on(model: ServedModel) -> None:
    (answered,) = Predictor(model, HandMadeFeatures()).predict([Instance(**INSTANCE)], NOON)
    assert answered.inputs == {"delay": 60.0, "carrier": "B6", "gust": None, "scheduled_minute": 9 * 60.0}
    assert answered.row is not None
    assert answered.row.missing == {"weather": "after the clock"}


def test_scoring_what_a_prediction_rests_on_gives_it_again(model: ServedModel) -> None:
    predictor = Predictor(model, HandMadeFeatures())
    answered = predictor.predict([Instance(**(INSTANCE | {"carrier": c})) for c in ("B6", None)], NOON)
    scored = predictor.score([one.inputs for one in answered])
    assert [(one.value, one.inputs) for one in scored] == [(one.value, one.inputs) for one in answered]


def test_a_column_left_out_of_a_row_is_missing(model: ServedModel) -> None:
    predictor = Predictor(model, HandMadeFeatures())
    without, with_none = predictor.score([{"delay": 60.0}, dict.fromkeys(KINDS) | {"delay": 60.0}])
    assert without == with_none


def test_a_model_that_cannot_take_todays_features_is_found_at_the_start(model: ServedModel) -> None:
    other = ServedModel(manifest_of({"wind": "float64"}), model.pipeline)
    with pytest.raises(ModelFileError, match="takes the column 'wind'"):
        rehearse(Predictor(other, HandMadeFeatures()))


def test_a_model_whose_manifest_is_wrong_is_found_at_the_start(model: ServedModel) -> None:
    other = ServedModel(manifest_of({"delay": "float64"}), model.pipeline)
    with pytest.raises(ModelFileError, match=r"cannot predict the example of api_schema\.py"):
        rehearse(Predictor(other, HandMadeFeatures()))


def test_an_example_that_is_no_instance_is_found_at_the_start(model: ServedModel, monkeypatch) -> None:
    monkeypatch.setitem(EXAMPLE, "origin", "nowhere")
    with pytest.raises(
        ModelFileError, match=r"api_schema\.py and config\.py of problem/ do not agree \(origin: Input should be"
    ):
        rehearse(Predictor(model, HandMadeFeatures()))


def test_of_many_that_are_over_the_first_are_named() -> None:
    with pytest.raises(InstanceError, match=r"^50 field\(s\)") as caught:
        check_still_to_come([Instance(**INSTANCE)] * 50, NOON + timedelta(hours=2))
    assert [field for field, _ in caught.value.faults][:2] == [
        "instances[0].scheduled_departure",
        "instances[1].scheduled_departure",
    ]
    assert len(caught.value.faults) == 20


def test_the_schemas_keep_what_the_problem_promises() -> None:
    assert {*PROBLEM.entity_keys, *PROBLEM.request_columns} == set(Instance.model_fields)
    assert PROBLEM.label in Prediction.model_fields
    instance = Instance(**INSTANCE)
    assert moment_of(instance) - prediction_time_of(instance) == PROBLEM.prediction_horizon
