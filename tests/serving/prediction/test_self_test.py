"""A model serves only if it answers here as it did when it was registered."""

import json
from dataclasses import replace

import pytest

from flightline.adapters.model_store.manifest import ModelManifest, ReferencePrediction
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import MeaningError, ModelFileError
from flightline.core.project import Project
from serving.prediction.predictor import Predictor
from serving.prediction.self_test import run_self_test
from tests.support.small_service import INSTANCE, KINDS, NOON, HandMadeFeatures, fitted, manifest_of
from tests.toy_problem import Instance

FEATURES = HandMadeFeatures()


def with_references(project: Project, model: ServedModel, **changes: object) -> ServedModel:
    """Record two reference predictions, as registration does, and changes to the manifest."""
    requests = [INSTANCE | {"shop": shop} for shop in ("S01", None)]
    results = Predictor(project, model, FEATURES).predict([Instance(**request) for request in requests], NOON)
    rows = [
        ReferencePrediction(request=request, features=dict(result.inputs), prediction=result.value)
        for request, result in zip(requests, results, strict=True)
    ]
    return replace(model, manifest=model.manifest.model_copy(update={"reference_predictions": tuple(rows)} | changes))


def altered(model: ServedModel, **changes: object) -> ServedModel:
    first, *others = model.manifest.reference_predictions
    rows = (first.model_copy(update=changes), *others)
    return replace(model, manifest=model.manifest.model_copy(update={"reference_predictions": rows}))


@pytest.fixture
def recorded(project: Project, model: ServedModel) -> ServedModel:
    return with_references(project, model)


def test_a_model_that_answers_as_it_did_may_serve(project: Project, model: ServedModel) -> None:
    # The second is what models were signed with before they were signed with all that features mean.
    for meaning in (FEATURES.definitions_sha256, FEATURES.brief_definitions_sha256):
        recorded = with_references(project, model, feature_views_sha256=meaning)
        run_self_test(Predictor(project, recorded, FEATURES))


def test_a_manifest_keeps_its_reference_predictions_in_json(recorded: ServedModel) -> None:
    written = recorded.manifest.model_dump_json()
    assert ModelManifest.model_validate_json(written) == recorded.manifest


def test_a_manifest_that_calls_them_a_probe_is_read_too(recorded: ServedModel) -> None:
    content = json.loads(recorded.manifest.model_dump_json())
    content["probe"] = content.pop("reference_predictions")
    assert ModelManifest.model_validate_json(json.dumps(content)) == recorded.manifest


def test_a_model_that_answers_otherwise_is_refused(project: Project, recorded: ServedModel) -> None:
    answer = recorded.manifest.reference_predictions[0].prediction
    with pytest.raises(ModelFileError, match=r"to a row for which it answered .* when it was registered"):
        run_self_test(Predictor(project, altered(recorded, prediction=answer + 1e-6), FEATURES))


def test_another_pipeline_under_the_same_manifest_is_refused(project: Project, recorded: ServedModel) -> None:
    other = replace(recorded, pipeline=fitted(KINDS, "decision_tree"))
    with pytest.raises(ModelFileError, match="libraries here are not those"):
        run_self_test(Predictor(project, other, FEATURES))


def test_feature_views_that_mean_something_else_are_refused(project: Project, model: ServedModel) -> None:
    other = with_references(project, model, feature_views_sha256="a" * 64)
    with pytest.raises(MeaningError, match=r"trained on feature views that mean something else .*digest aaaa"):
        run_self_test(Predictor(project, other, FEATURES))


def test_request_features_that_come_out_otherwise_are_refused(project: Project, recorded: ServedModel) -> None:
    def an_hour_later(requests):
        columns = project.requests.features(requests)
        return columns | {"opening_hour": columns["opening_hour"] + 1}

    changed = replace(project, requests=replace(project.requests, features=an_hour_later))
    with pytest.raises(ModelFileError, match=r"trained with opening_hour = 0.0 where .* computes .*1\.0"):
        run_self_test(Predictor(changed, recorded, FEATURES))


def test_a_request_schema_that_refuses_what_the_data_holds_is_found(project: Project, recorded: ServedModel) -> None:
    request = recorded.manifest.reference_predictions[0].request | {"city": "nowhere"}
    with pytest.raises(ModelFileError, match=r"api_schema\.py refuses a row .* \(city: "):
        run_self_test(Predictor(project, altered(recorded, request=request), FEATURES))


def test_without_reference_predictions_only_the_example_is_predicted(project: Project, model: ServedModel) -> None:
    run_self_test(Predictor(project, model, FEATURES))


def test_a_model_that_cannot_take_todays_features_is_found(project: Project, model: ServedModel) -> None:
    other = ServedModel(manifest_of({"wind": "float64"}), model.pipeline, model.task)
    with pytest.raises(ModelFileError, match="takes the column 'wind'"):
        run_self_test(Predictor(project, other, HandMadeFeatures()))


def test_a_model_whose_manifest_is_wrong_is_found(project: Project, model: ServedModel) -> None:
    other = ServedModel(manifest_of({"mean_units": "float64"}), model.pipeline, model.task)
    with pytest.raises(ModelFileError, match=r"cannot predict the example of api_schema\.py"):
        run_self_test(Predictor(project, other, HandMadeFeatures()))


def test_an_example_that_is_no_instance_is_found(project: Project, model: ServedModel) -> None:
    example = {**project.schemas.example, "city": "nowhere"}
    other = replace(project, schemas=replace(project.schemas, example=example))
    with pytest.raises(ModelFileError, match=r"api_schema\.py and config\.py of problem/ do not agree \(city: String"):
        run_self_test(Predictor(other, model, HandMadeFeatures()))
