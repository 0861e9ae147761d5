"""A model serves only if it answers here as it did when it was registered."""

from dataclasses import replace

import pytest

from flightline.adapters.model_store.manifest import ModelManifest, ProbeRow
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import ModelFileError
from flightline.problem.api_schema import Instance
from serving.prediction import self_test as rehearsal
from serving.prediction.predictor import Predictor
from serving.prediction.self_test import rehearse
from tests.support.small_service import INSTANCE, KINDS, NOON, HandMadeFeatures, fitted, manifest_of

FEATURES = HandMadeFeatures()


def probed(model: ServedModel, **changes: object) -> ServedModel:
    """The model with a probe of two rows, as registration records it, and changes to its manifest."""
    requests = [INSTANCE | {"carrier": carrier} for carrier in ("B6", None)]
    answered = Predictor(model, FEATURES).predict([Instance(**request) for request in requests], NOON)
    rows = [
        ProbeRow(request=request, features=dict(one.inputs), prediction=one.value)
        for request, one in zip(requests, answered, strict=True)
    ]
    return replace(model, manifest=model.manifest.model_copy(update={"probe": tuple(rows)} | changes))


def altered(model: ServedModel, **changes: object) -> ServedModel:
    first, *others = model.manifest.probe
    probe = (first.model_copy(update=changes), *others)
    return replace(model, manifest=model.manifest.model_copy(update={"probe": probe}))


def test_a_model_that_answers_as_it_did_may_serve(model: ServedModel) -> None:
    rehearse(Predictor(probed(model, feature_views_sha256=FEATURES.definitions_sha256), FEATURES))


def test_a_manifest_keeps_its_probe_in_json(model: ServedModel) -> None:
    manifest = probed(model).manifest
    assert ModelManifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_model_that_answers_otherwise_is_refused(model: ServedModel) -> None:
    other = probed(model)
    answer = other.manifest.probe[0].prediction
    with pytest.raises(ModelFileError, match=r"to a row for which it answered .* when it was registered"):
        rehearse(Predictor(altered(other, prediction=answer + 1e-6), FEATURES))


def test_another_pipeline_under_the_same_manifest_is_refused(model: ServedModel) -> None:
    other = replace(probed(model), pipeline=fitted(KINDS, "decision_tree"))
    with pytest.raises(ModelFileError, match="libraries here are not those"):
        rehearse(Predictor(other, FEATURES))


def test_feature_views_that_mean_something_else_are_refused(model: ServedModel) -> None:
    with pytest.raises(ModelFileError, match=r"trained on feature views that mean something else .*digest aaaa"):
        rehearse(Predictor(probed(model, feature_views_sha256="a" * 64), FEATURES))


def test_request_features_that_come_out_otherwise_are_refused(model: ServedModel, monkeypatch) -> None:
    def an_hour_later(requests):
        columns = computed(requests)
        return columns | {"scheduled_minute": columns["scheduled_minute"] + 60}

    computed = rehearsal.request_features
    monkeypatch.setattr(rehearsal, "request_features", an_hour_later)
    with pytest.raises(ModelFileError, match=r"trained with scheduled_minute = 540.0 where .* computes .*600\.0"):
        rehearse(Predictor(probed(model), FEATURES))


def test_a_request_schema_that_refuses_what_the_data_holds_is_found(model: ServedModel) -> None:
    request = probed(model).manifest.probe[0].request | {"origin": "BOS"}
    with pytest.raises(ModelFileError, match=r"api_schema\.py refuses a row .* \(origin: "):
        rehearse(Predictor(altered(probed(model), request=request), FEATURES))


def test_a_model_without_a_probe_is_asked_the_example_only() -> None:
    rehearse(Predictor(ServedModel(manifest_of(KINDS), fitted(KINDS)), FEATURES))
