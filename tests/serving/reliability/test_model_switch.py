"""Another model under load: nobody notices but by the version in the answer."""

from pathlib import Path

import pytest

from flightline.adapters.model_store.served_model import switch_served_model
from flightline.core.settings import Settings
from tests.support.servers.service_process import running
from tests.support.servers.service_scenarios import flip_model, registry_with_two
from tests.support.small_service import INSTANCE, PREDICT, STATUS, fitted, put_model
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
TIMES = 3
POLLS = {"poll_seconds": 0.5, "watch_seconds": 0.5}
NOWHERE = "http://127.0.0.1:9"


def test_the_model_in_the_folder_changes_and_no_request_fails(tmp_path: Path) -> None:
    settings, contrary = Settings(root=tmp_path), {"1": False, "2": True}
    for version in ("2", "1"):
        put_model(settings, version, pipeline=fitted(is_contrary=contrary[version]))
    figures = flip_model(
        tmp_path, TIMES, lambda version: switch_served_model(settings.serving_models_dir, version), contrary, **POLLS
    )
    assert figures.failed == {}
    assert figures.lost == 0


@pytest.fixture(scope="module")
def registry_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


def test_the_alias_moves_in_a_real_registry_and_no_request_fails(registry_root: Path) -> None:
    with registry_with_two(registry_root) as (contrary, crown):
        figures = flip_model(registry_root, TIMES, crown, contrary, watch=True, **POLLS)
    assert figures.failed == {}
    assert figures.lost == 0


def test_without_the_registry_a_service_starts_on_the_last_good_model(registry_root: Path) -> None:
    with running(registry_root, watch=True, FLIGHTLINE_MLFLOW_TRACKING_URI=NOWHERE, **POLLS) as service:
        answer = service.ask(PREDICT, {"instances": [INSTANCE]})
        assert answer.status == 200
        version = answer.json()["model"]["version"]
        said = "the registry does not answer"
        wait_until(lambda: said in service.log.read_text(errors="replace"), said=f"the model sync says: {said}")
        status = service.ask(STATUS).json()
        assert (status["ready"], status["version"], status["refused"]) == (True, version, None)
