"""The service of a simulation ends with it, and knows nothing of the project's own settings."""

import os
import socket
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.ports import free_port
from flightline.core.errors import RequestError, StartError
from flightline.core.settings import Settings
from pipelines.replay import service as simulated_service
from pipelines.replay.root import simulated_settings
from pipelines.replay.service import Client, environment_of, running_service
from tests.support.small_service import NOON
from tests.support.waiting import wait_until
from tests.toy_problem import PROBLEM


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__URL", "postgresql://somebody@127.0.0.1:1/real")
    monkeypatch.setenv("FLIGHTLINE_SERVING__WORKERS", "3")
    monkeypatch.setenv("FLIGHTLINE_PROFILE", "stack")
    return simulated_settings(Settings(root=tmp_path / "project"), tmp_path, free_port())


def test_nothing_of_the_projects_own_place_reaches_the_service(
    simulated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("FLIGHTLINE_")]:
        monkeypatch.delenv(name)
    for name, value in environment_of(simulated).items():
        monkeypatch.setenv(name, value)
    there = Settings()
    assert there.prediction_log == simulated.prediction_log
    assert there.serving == simulated.serving
    assert (there.root, there.profile, there.clock) == (simulated.root, "local", "set")


@pytest.mark.system
def test_a_service_that_does_not_come_up_is_stopped_and_says_why(
    simulated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_service, "READY_SECONDS", 0.0)  # from its first answer on
    set_clock(simulated, NOON)
    with pytest.raises(StartError, match="no model has been promoted"), running_service(simulated, PROBLEM.model_name):
        pass
    assert nobody_listens(simulated)


@pytest.mark.system
def test_the_service_ends_with_the_block_however_it_ends(simulated: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_service, "_wait_until_ready", wait_until_it_listens)
    with pytest.raises(KeyboardInterrupt), running_service(simulated, PROBLEM.model_name):
        raise KeyboardInterrupt
    assert nobody_listens(simulated)


def wait_until_it_listens(client: Client, process: object, log: Path) -> None:
    def listens() -> bool:
        try:
            return bool(client.status())
        except RequestError:
            return False

    wait_until(listens, said=log.read_text)


def nobody_listens(settings: Settings) -> bool:
    with socket.socket() as taken:
        return taken.connect_ex(("127.0.0.1", settings.serving.port)) != 0
