"""What takes seconds to make, once for each process that runs tests: a Prefect server, and MLflow's empty database."""

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flightline.adapters.mlflow import registry
from flightline.core.settings import Settings
from tests.proof.execution.commands import Processes
from tests.proof.execution.server import prefect_server, wait_until_ready
from tests.support.served_champion import served, trained  # noqa: F401 fixtures, for tests of two folders


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that many modules use."""
    folder = tmp_path_factory.mktemp("prefect sërver") / "server"
    with prefect_server(Processes(), folder, Path(__file__).parents[2]) as url:
        wait_until_ready(url, folder)
        yield url
        APILogHandler().flush()  # while somebody listens


@pytest.fixture(scope="module")
def server(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run flows against that server; results are kept for the module alone, so that none is another's."""
    home = tmp_path_factory.mktemp("prefect höme")
    own = {PREFECT_API_URL: prefect_api, PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "storage"}
    with pytest.MonkeyPatch.context() as patch, temporary_settings(own):
        patch.setenv("PREFECT_HOME", str(home))
        yield


@pytest.fixture(scope="session", autouse=True)
def copied_registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let each new SQLite file of MLflow begin as a copy of an empty one that MLflow made."""
    connect = registry.connect

    @cache
    def empty() -> Path:
        settings = Settings(root=tmp_path_factory.mktemp("empty_registry"))
        connect(settings).search_registered_models()
        return database_of(settings)

    def connect_to_copy(settings: Settings) -> MlflowClient:
        file = database_of(settings)
        if not settings.mlflow_tracking_uri and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(empty(), file)
        return connect(settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "connect", connect_to_copy)
        yield


def database_of(settings: Settings) -> Path:
    return settings.state_dir / "mlflow" / "mlflow.db"
