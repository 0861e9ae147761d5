"""One real service on a real small Feast store, for tests that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from tests.support.servers.service_process import Service, running
from tests.support.small_service import NOON
from tests.support.small_store import make_store


@pytest.fixture(scope="session")
def stored_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored")
    set_clock(Settings(root=root), NOON)
    make_store(Settings(root=root))
    return root


@pytest.fixture(scope="session")
def stored_service(stored_root: Path) -> Iterator[Service]:
    with running(stored_root, module="serving", watch=False, poll_seconds=0.2) as service:
        yield service
