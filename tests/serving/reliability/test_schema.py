"""Whatever schemathesis makes of the OpenAPI document: no 5xx, no undocumented answer, all of its checks."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.settings import ServingSettings, Settings
from serving.api.dependencies import get_serving_state
from serving.app import create_app
from serving.middleware.api_keys import issue_key
from serving.prediction.model_loader import ServingState
from serving.prediction.predictor import Predictor
from tests.support.small_service import KINDS, NOON, HandMadeFeatures, always, fitted, manifest_of
from tests.toy_problem import make_project

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # third parties' own business, while they are imported
    import schemathesis
    from schemathesis.config import SchemathesisConfig

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore")]
EXAMPLES = 40
# Whether a moment is past, or a column is the model's, no schema can say: 422 tells it.
CONFIG = {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 404, 422, 429]}}}
OPERATIONS = [
    "POST /v1/models/{name}:predict",
    "POST /v1/models/{name}:score",
    "GET /v1/models/{name}",
    "GET /health/live",
    "GET /health/ready",
]


def schema_of(root: Path, **serving: object):
    settings = Settings(root=root, serving=ServingSettings(**serving))
    set_clock(settings, NOON)
    app = create_app(project := make_project(settings))
    model = ServedModel(manifest_of(KINDS), fitted(KINDS), "classification")
    state = ServingState(Predictor(project, model, HandMadeFeatures()))
    app.dependency_overrides[get_serving_state] = always(state)
    return app, schemathesis.openapi.from_dict(app.openapi(), config=SchemathesisConfig.from_dict(CONFIG))


def check_all(app, schema, label: str, headers: dict[str, str], mode) -> set[int]:
    """Send what is generated, run every check on each answer, and give the statuses seen."""
    schema.app = app
    operation = next(found.ok() for found in schema.get_all_operations() if found.ok().label == label)
    seen: set[int] = set()

    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case) -> None:
        seen.add(case.call_and_validate(headers=headers).status_code)

    send()
    return seen


@pytest.mark.parametrize("label", OPERATIONS)
def test_valid_requests(tmp_path: Path, label: str) -> None:
    app, schema = schema_of(tmp_path)
    seen = check_all(app, schema, label, {}, schemathesis.GenerationMode.POSITIVE)
    assert seen <= {200, 422}
    assert label.startswith("POST") or seen == {200}


@pytest.mark.parametrize("label", OPERATIONS[:2])
def test_requests_that_break_the_schema(tmp_path: Path, label: str) -> None:
    app, schema = schema_of(tmp_path)
    seen = check_all(app, schema, label, {}, schemathesis.GenerationMode.NEGATIVE)
    assert min(seen) >= 400
    assert max(seen) < 500


@pytest.mark.parametrize("label", OPERATIONS[:3])
def test_where_keys_are_needed(tmp_path: Path, label: str) -> None:
    key = issue_key(Settings(root=tmp_path).api_keys_file, "schemathesis")
    off_loopback = {"host": "192.0.2.1", "failed_keys_per_minute": 1_000_000}  # only named: nobody listens in this test
    app, schema = schema_of(tmp_path, **off_loopback)
    assert set(app.openapi()["components"]["securitySchemes"]) == {"bearer", "header"}
    authorised = {"Authorization": f"Bearer {key}"}
    seen = check_all(app, schema, label, authorised, schemathesis.GenerationMode.POSITIVE)
    # A key in the other header, which schemathesis makes up at times, does not hide the right one.
    assert seen & {200, 422}
    assert seen <= {200, 422}
    wrong = {"Authorization": "Bearer wrong"}
    assert check_all(app, schema, label, wrong, schemathesis.GenerationMode.POSITIVE) == {401}


@pytest.mark.parametrize("label", OPERATIONS[:2])
def test_too_many_requests_is_documented(tmp_path: Path, label: str) -> None:
    app, schema = schema_of(tmp_path, requests_per_minute=3)
    assert 429 in check_all(app, schema, label, {}, schemathesis.GenerationMode.POSITIVE)
