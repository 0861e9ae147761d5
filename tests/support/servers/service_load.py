"""Clients that ask a service again and again, and keep account of every answer."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.settings import Settings
from tests.support.servers.service_process import ANSWER_SECONDS, Service
from tests.support.small_service import INSTANCE, PREDICT
from tests.support.waiting import wait_until

CLIENTS = 4
REQUESTS_A_CONNECTION = 20  # a new connection may come to another worker
PAUSE_SECONDS = 0.02  # leaves the machine room to start a process
# Hand-made features give the first a number above every model's bound, the second one below it.
HIGH, LOW = INSTANCE, INSTANCE | {"shop": "S02"}


@dataclass(frozen=True)
class Acknowledged:
    """One answer with status 200."""

    at: float
    version: str
    ids: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass
class Account:
    """What clients sent and what came back.

    Parameters
    ----------
    failed
        By what was seen in place of an answer with status 200: an exception's name, or the status and its reason.
    """

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    answers: list[Acknowledged] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """Every acknowledged prediction."""
        return [prediction_id for answer in self.answers for prediction_id in answer.ids]

    @property
    def versions(self) -> set[str]:
        """Every model version that answered."""
        return {answer.version for answer in self.answers}


class Load:
    """Asks from entering to leaving; `account` grows meanwhile."""

    def __init__(
        self, service: Service, instances: Sequence[dict] = (HIGH, LOW), clients: int = CLIENTS, path: str = PREDICT
    ):
        self.account = Account()
        self._path = path
        self._service = service
        self._body = json.dumps({"instances": list(instances)})
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish the request at work."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=ANSWER_SECONDS)

    def wait_for(self, answers: int) -> None:
        """Wait until so many more requests were answered."""
        aim = len(self.account.answers) + answers
        wait_until(lambda: len(self.account.answers) >= aim, said=lambda: f"{answers} answers; {self.account.failed}")

    def _ask_on(self) -> None:
        while not self._is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=ANSWER_SECONDS)
            try:
                for _ in range(REQUESTS_A_CONNECTION):
                    if self._is_over.is_set():
                        break
                    self._ask(connection)
                    self._is_over.wait(PAUSE_SECONDS)
            except (OSError, http.client.HTTPException) as err:
                with self._lock:
                    self.account.failed[type(err).__name__] += 1
                self._is_over.wait(PAUSE_SECONDS)
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self.account.sent += 1
        key = {"authorization": f"Bearer {self._service.key}"} if self._service.key else {}
        connection.request("POST", self._path, self._body, {"content-type": "application/json"} | key)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        with self._lock:
            if answer.status == 200:
                self.account.answers.append(_acknowledged(content))
            else:
                self.account.failed[f"{answer.status} {content['error']}"] += 1


def _acknowledged(content: dict) -> Acknowledged:
    predictions = content["predictions"]
    return Acknowledged(
        time.monotonic(),
        content["model"]["version"],
        tuple(one["prediction_id"] for one in predictions),
        tuple(one["probability"] for one in predictions),
    )


def lost_predictions(settings: Settings, ids: Sequence[str]) -> int:
    """Count the acknowledged predictions that the log does not hold; demand that it holds none twice."""
    log = PredictionLog(settings)
    try:
        held = Counter(log.read(columns=["prediction_id"])["prediction_id"])
    finally:
        log.close()
    assert len(set(ids)) == len(ids)
    assert not [one for one, times in held.items() if times > 1]
    return len(set(ids) - set(held))
