"""A Prefect server for the tests of flows: one for each process that runs tests, which takes ten seconds to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from tests.proof.commands import Processes
from tests.proof.server import prefect_server, wait_until_ready


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
