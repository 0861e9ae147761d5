"""What happens to a service under load, and how often."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flightline.core.settings import Settings
from tests.support.servers.service_load import Account, Load, lost_predictions
from tests.support.servers.service_process import Service, running
from tests.support.waiting import wait_until

WORKERS = 2
# A disk that stands still for seconds, as under other tests, is not what happens here; test_log.py has that.
PATIENT = {"FLIGHTLINE_PREDICTION_LOG__BUSY_TIMEOUT_SECONDS": 30}
# For which of the two instances a client asks about the model of a version says yes.
EXPECTED = {False: (True, False), True: (False, True)}


@dataclass
class Figures:
    """What a scenario did to the clients.

    Parameters
    ----------
    lost
        Acknowledged predictions that the log does not hold.
    seconds
        Each time, until all was as before: every worker back, or on the new version. For a benchmark to tell; no
        test demands how long it takes.
    """

    times: int = 0
    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, account: Account) -> None:
        """Add what clients counted."""
        self.sent += account.sent
        self.failed += account.failed
        self.acknowledged += len(account.ids)


def all_ready(service: Service) -> bool:
    """Say whether all workers run and can predict."""
    metrics = service.metrics()
    return metrics["flightline_workers"] == metrics["flightline_workers_ready"] == WORKERS


def kill_workers(root: Path, times: int, **how: object) -> Figures:
    """Kill one of two workers with SIGKILL, again and again, while clients ask; each time wait for the next one."""
    figures = Figures()
    with running(root, workers=WORKERS, **PATIENT, **how) as service, Load(service) as load:
        for _ in range(times):
            load.wait_for(random.randint(5, 50))
            killed = random.choice(sorted(service.workers()))
            os.kill(killed, signal.SIGKILL)
            figures.seconds.append(_seconds_until(_is_replaced(service, killed), "the worker is replaced"))
            figures.times += 1
        load.wait_for(20)
    figures.add(load.account)
    figures.lost = lost_predictions(Settings(root=root), load.account.ids)
    return figures


def _seconds_until(condition: Callable[[], bool], said: str) -> float:
    began = time.monotonic()
    wait_until(condition, said=said)
    return time.monotonic() - began


def _is_replaced(service: Service, killed: int) -> Callable[[], bool]:
    return lambda: all_ready(service) and killed not in service.workers()


def kill_service(root: Path, times: int, **how: object) -> Figures:
    """Kill all processes of the service at once while clients ask, and start it anew as an orchestrator would."""
    figures, ids = Figures(), []
    dead_since: float | None = None
    for number in range(times + 1):
        with running(root, workers=WORKERS, **PATIENT, **how) as service, Load(service) as load:
            load.wait_for(random.randint(20, 100))
            if dead_since is not None:
                figures.seconds.append(load.account.answers[0].at - dead_since)
            if number < times:
                service.kill()
                dead_since = time.monotonic()
                load.stop()
                figures.times += 1
        figures.add(load.account)
        ids += load.account.ids
    figures.lost = lost_predictions(Settings(root=root), ids)
    return figures


def flip_model(
    root: Path, times: int, flip: Callable[[str], None], contrary: dict[str, bool], **how: object
) -> Figures:
    """Let the service change between versions under load, each time until all workers have the new one.

    Parameters
    ----------
    flip
        Makes a version the one to be served.
    contrary
        By version, in the order to be taken, whether its model is the contrary one.
    """
    figures, versions = Figures(), list(contrary)
    with running(root, workers=WORKERS, **PATIENT, **how) as service:
        wait_until(_is_served(service, versions[0]), said=f"version {versions[0]} is served")
        with Load(service) as load:
            for number in range(1, times + 1):
                load.wait_for(20)
                version = versions[number % len(versions)]
                flip(version)
                figures.seconds.append(_seconds_until(_is_served(service, version), f"version {version} is served"))
                figures.times += 1
            load.wait_for(20)
    check_answers(load.account, contrary)
    figures.add(load.account)
    figures.lost = lost_predictions(Settings(root=root), load.account.ids)
    return figures


def _is_served(service: Service, version: str) -> Callable[[], bool]:
    name = f'flightline_model_workers{{role="champion",version="{version}"}}'
    return lambda: service.metrics().get(name) == WORKERS


def check_answers(account: Account, contrary: dict[str, bool]) -> None:
    """Demand that every answer is that of the version it names: no answer is half of two models."""
    wrong = [
        answer
        for answer in account.answers
        if tuple(value > 0.5 for value in answer.probabilities) != EXPECTED[contrary[answer.version]]
    ]
    assert wrong == []
    assert account.versions == set(contrary)


@contextmanager
def registry_with_two(
    root: Path, views_sha256: str = "d" * 64
) -> Iterator[tuple[dict[str, bool], Callable[[str], None]]]:
    """Make a real registry with two models that contradict each other, and give how to crown each.

    Parameters
    ----------
    views_sha256
        Digest of what the service's feature views mean; that of the hand-made ones if not given.
    """
    from tests.support.models.small_registry import crown, register
    from tests.support.small_service import fitted

    settings = Settings(root=root)
    told = {"feature_views_sha256": views_sha256}
    contrary = {register(settings, fitted(is_contrary=opposite), **told): opposite for opposite in (False, True)}
    crown(settings, next(iter(contrary)))
    yield contrary, lambda version: crown(settings, version)
