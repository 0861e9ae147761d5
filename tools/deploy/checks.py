"""The deployed service as a client sees it: alive, ready, and predictions in time."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flightline.core.project import Project, open_project
from tools.deploy.steps import DeployError, wait_until

TIMEOUT_SECONDS = 20
ALIVE_SECONDS = 300
READY_SECONDS = 300
# A refusal may pass, as when the registry did not give the whole file; one that stays is the model's.
REFUSED_SECONDS = 20
PREDICTIONS = 20
READY_CHECKS = 5
# The bound that infra/modules/alarms has, over the internet from wherever this runs.
SLOWEST_SECONDS = 1.0
OK, UNAVAILABLE = 200, 503


class ModelError(DeployError):
    """The service refuses the model that is champion, and serves another one or none."""


@dataclass(frozen=True)
class Answer:
    """A status, a body and how long it took."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> dict[str, Any]:
        """Read the body; raises DeployError if it is no JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError as err:
            raise DeployError(f"the service answered {self.status} with what is no JSON: {self.body[:200]!r}") from err
        if not isinstance(found, dict):
            raise DeployError(f"the service answered {self.status} with {self.body[:200]!r}, expected a JSON object")
        return found


@dataclass(frozen=True)
class Service:
    """The deployed service.

    Parameters
    ----------
    url
        Its public address.
    key
        An API key; it is sent to that address only.
    project
        Which model it serves, and for which instances it predicts.
    """

    url: str
    key: str = ""
    project: Project = field(default_factory=open_project, repr=False)

    def ask(self, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Ask, following no redirection.

        Raises
        ------
        OSError
            If nothing answers.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.url}{path}", data, headers)  # noqa: S310  # https, or http to an emulator
        started = time.monotonic()
        try:
            with urllib.request.build_opener(_NoRedirection).open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Answer(answer.status, answer.read(), time.monotonic() - started)
        except urllib.error.HTTPError as err:
            return Answer(err.code, err.read(), time.monotonic() - started)

    def wait_until_alive(self) -> None:
        """Wait until it answers at all."""

        def check() -> str | None:
            try:
                found = self.ask("/health/live")
            except OSError as err:
                return f"no answer: {err}"
            return None if found.status == OK else f"{found.status}: {found.body[:200].decode(errors='replace')}"

        wait_until(check, ALIVE_SECONDS, f"{self.url} alive")

    def why_not_ready(self) -> str | None:
        """Give a reason for not being ready, or None if it is; each task, and each process in it, speaks for itself."""
        for _ in range(READY_CHECKS):
            found = self.ask("/health/ready")
            if found.status == UNAVAILABLE:
                return str(found.json().get("reason") or "no reason given")
            if found.status != OK:
                raise DeployError(f"/health/ready answered {found.status}, expected 200 or 503")
        return None

    def wait_until_ready(self) -> None:
        """Wait until predictions can be had; a new task brings its model first.

        Raises
        ------
        ModelError
            If it goes on refusing the champion, and has no other model.
        """
        refusing_since: list[float] = []

        def check() -> str | None:
            why = self.why_not_ready()
            refused = self.status().get("refused") if why else None
            if not refused:
                refusing_since.clear()
                return why
            refusing_since.append(time.monotonic())
            if refusing_since[-1] - refusing_since[0] > REFUSED_SECONDS:
                raise ModelError(f"model version {refused['version']} is refused: {refused['reason']}")
            return why

        wait_until(check, READY_SECONDS, f"{self.url} ready")

    def status(self) -> dict[str, Any]:
        """Ask what it serves."""
        found = self.ask(f"/v1/models/{self.project.problem.model_name}")
        if found.status != OK:
            raise DeployError(f"the model's route answered {found.status}: {found.body[:300].decode(errors='replace')}")
        return found.json()

    def demand_champion(self) -> str:
        """Demand that it serves the champion and refuses nothing; give the version.

        Raises
        ------
        ModelError
            If it refuses the champion.
        """
        found = self.status()
        if refused := found.get("refused"):
            raise ModelError(f"model version {refused['version']} is refused: {refused['reason']}")
        return str(found["version"])

    def smoke(self) -> tuple[int, float]:
        """Ask for predictions of the example at event times still to come.

        Returns
        -------
        int
            How many were answered.
        float
            The time that 19 of 20 took at most, in seconds.

        Raises
        ------
        DeployError
            If one is not answered, or they take too long.
        """
        problem, schemas = self.project.problem, self.project.schemas
        clock = self.status()["clock"]
        now = datetime.fromisoformat(clock) if clock else datetime.now(UTC)
        seconds = []
        for number in range(PREDICTIONS):
            event_time = now + problem.prediction_horizon + timedelta(minutes=number + 1)
            instance = {**schemas.example, schemas.event_time_field: event_time.isoformat()}
            found = self.ask(f"/v1/models/{problem.model_name}:predict", {"instances": [instance]})
            if found.status != OK or len(found.json().get("predictions", [])) != 1:
                body = found.body[:300].decode(errors="replace")
                raise DeployError(f"prediction {number + 1} of {PREDICTIONS} was answered with {found.status}: {body}")
            seconds.append(found.seconds)
        slow = sorted(seconds)[int(0.95 * PREDICTIONS) - 1]
        if slow > SLOWEST_SECONDS:
            raise DeployError(f"one in twenty predictions takes {slow:.2f} s, expected {SLOWEST_SECONDS:.2f} s at most")
        return PREDICTIONS, slow


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection would carry the key to another address."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Follow none."""
