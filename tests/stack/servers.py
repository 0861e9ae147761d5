"""The stack as processes: Debian's PostgreSQL, Redis and Prometheus, moto for S3, and the project's own services."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import psycopg
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import ScheduleSettings, Settings
from pipelines.common.servers.processes import Program, Running, answers, running
from tests.stack.composed import PORTS, PREDICT, PROJECT, REPOSITORY, Composed
from tests.stack.watching import alertmanager_program, find_program, gauges_program, prometheus_program
from tests.support.servers import postgres, redis_server
from tests.support.servers.postgres import PostgresServer, find_postgres, run_postgres
from tests.support.servers.redis_server import RedisServer, run_redis
from tests.support.servers.service_process import Service, free_port
from tests.support.waiting import wait_until
from tools.stack.secrets import ensure_secrets, read_environment

MOTO = REPOSITORY / ".tools" / "moto" / "bin" / "moto_server"
START_SECONDS, RUN_SECONDS = 600, 1800
BUCKET = "mlflow"
# Tests ask for each run; one that fell due by the time of day would get in between.
UNSCHEDULED = {
    f"FLIGHTLINE_SCHEDULES__{name.upper()}": "" for name in ScheduleSettings.model_fields if name != "timezone"
}


def demand_programs() -> None:
    """Skip, or in CI fail, where a server program is missing."""
    demand({
        "PostgreSQL (Debian: postgresql)": find_postgres(),
        "Redis (Debian: redis-server)": shutil.which("redis-server"),
        "Prometheus (Debian: prometheus)": shutil.which("prometheus"),
        "Alertmanager (Debian: prometheus-alertmanager)": find_program("alertmanager"),
        "the exporter (Debian: prometheus-node-exporter)": find_program("node-exporter")
        or find_program("node_exporter"),
        "moto (make .tools/moto/.installed)": MOTO.exists() or None,
    })  # fmt: skip


def demand(found: Mapping[str, object]) -> None:
    """Skip the test where one of the named programs is None; in CI nobody would see that, so there it fails."""
    missing = [name for name, path in found.items() if path is None]
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not on this machine: {', '.join(missing)}")


@dataclass
class Stack:
    """What runs, and how to ask, stop and start each part of it."""

    composed: Composed
    postgres: PostgresServer
    redis: RedisServer
    _opened: dict[str, tuple[AbstractContextManager, Running]] = field(default_factory=dict)

    def start(self, *services: str, is_waited_for: bool = True, **more: str) -> None:
        """Start services together, and wait until each is healthy by the check that compose makes."""
        for name in services:
            self._enter(self.composed.program(name, **more))
        if is_waited_for:
            self.wait_for(*services)

    def wait_for(self, *services: str) -> None:
        """Wait until each is healthy."""
        for name in services:
            wait_until(lambda name=name: self._is_up(name), START_SECONDS, lambda name=name: self.log(name))

    def start_program(self, program: Program) -> None:
        """Start one that is not described in compose as it is run here."""
        self._enter(program)

    def stop(self, name: str) -> None:
        opened, _ = self._opened.pop(name)
        opened.__exit__(None, None, None)

    def stop_all(self) -> None:
        for name in reversed(list(self._opened)):
            self.stop(name)

    def log(self, name: str) -> str:
        return self._opened[name][1].log.read_text(errors="replace")[-3000:]

    def pid(self, name: str) -> int:
        return self._opened[name][1].process.pid

    @property
    def service(self) -> Service:
        """The running service, asked with the key of the stack."""
        one = self._opened["service"][1]
        key = (self.composed.folder / "stack" / "api_key").read_text().strip()
        return Service(self.composed.ports["service"], one.process, one.log, key)

    @property
    def flows(self) -> Settings:
        """What the worker has on its disk."""
        return Settings(root=self.composed.folder / "volumes" / "worker" / "work")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.composed.ports[name]}"

    def database(self, user: str) -> str:
        """Give the URL of a database, as its own user."""
        password = self.composed.variables[f"STACK_{user.upper()}_PASSWORD"]
        return f"postgresql://{user}:{password}@127.0.0.1:{self.postgres.port}/{user}"

    def ask_database(self, query: str, *values: object, user: str = "predictions") -> list[tuple]:
        with psycopg.connect(self.database(user)) as connection:
            return connection.execute(query, values).fetchall()

    def objects(self) -> list[str]:
        """Name what lies in the artifact store."""
        return [one["Key"] for one in self.store().list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def store(self) -> Any:
        return store_at(self.url("artifacts"))

    def set_clock(self, moment: datetime) -> None:
        """Let a moment come for the flows; the service has a clock of its own."""
        set_clock(self.flows, moment)

    def logged(self) -> set[str]:
        """Give the id of every prediction in the log."""
        return {name for (name,) in self.ask_database("SELECT prediction_id FROM predictions")}

    def answers(self, instances: list[dict]) -> list[dict]:
        """Ask the service, and give its answers without the id that each has of its own."""
        given = self.service.ask(PREDICT, {"instances": instances}).json()["predictions"]
        return [{name: value for name, value in answer.items() if name != "prediction_id"} for answer in given]

    def at_prefect(self) -> AbstractContextManager[None]:
        """Let Prefect's client of this process ask the stack's server."""
        return at_prefect(self.url("prefect"), self.composed.variables["STACK_PREFECT_PASSWORD"])

    def ask_for(self, flow: str, **parameters: object) -> UUID:
        """Ask for a run of a deployment."""
        with self.at_prefect():
            return run_of(flow, **parameters)

    def finish(self, run_id: UUID) -> None:
        """Wait until a run has ended well; one that has failed once is not waited for."""
        with self.at_prefect():
            finish_run(run_id, lambda: self.log("worker"), RUN_SECONDS)

    def _enter(self, program: Program) -> None:
        opened = running([program], self.composed.folder / "logs", START_SECONDS)
        (one,) = opened.__enter__()
        self._opened[program.name] = (opened, one)

    def _is_up(self, name: str) -> bool:
        assert self._opened[name][1].is_alive, self.log(name)
        return self.composed.is_healthy(name)


@contextmanager
def at_prefect(url: str, password: str) -> Iterator[None]:
    """Let Prefect's client of this process ask a server."""
    with temporary_settings({PREFECT_API_URL: f"{url}/api", PREFECT_API_AUTH_STRING: f"admin:{password}"}):
        yield


def run_of(flow: str, **parameters: object) -> UUID:
    """Ask for a run of a deployment."""
    return run_deployment(f"{flow}/{PROJECT.problem.model_name}", parameters=parameters, timeout=0).id


def finish_run(run_id: UUID, say: Callable[[], str], seconds: float) -> None:
    """Wait until a run has ended well; one that has failed once is not waited for."""
    with get_client(sync_client=True) as client:

        def state() -> State:
            return client.read_flow_run(run_id).state

        wait_until(
            lambda: (found := state()).is_final() or found.name == "AwaitingRetry",
            seconds,
            lambda: f"{state()}\n{say()}",
        )
        assert state().is_completed(), f"{state()!r}\n{say()}"


def store_at(url: str) -> Any:
    """Open a client of an S3 that takes any key."""
    given = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=url, **given)


@contextmanager
def run_stack(folder: Path) -> Iterator[Stack]:
    """Run everything until the block ends, in the order that compose takes."""
    (folder / "redis").mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(contextmanager(run_postgres)())
        values = stack.enter_context(run_redis(folder / "redis", keeps=True))
        composed = describe(folder, database, values)
        made = Stack(composed, database, values)
        stack.callback(made.stop_all)
        start_stores(made)
        composed.run("setup")
        composed.run("declarations")
        made.start("mlflow", "prefect")
        made.start("worker", is_waited_for=False, PREFECT_RUNNER_POLL_FREQUENCY="2", **UNSCHEDULED)
        made.start("model-sync", is_waited_for=False)
        made.start("service")
        made.wait_for("worker")
        yield made


def describe(folder: Path, database: PostgresServer, values: RedisServer) -> Composed:
    """Make the passwords as `make stack-up` does, but for those that the tests' own servers have."""
    ensure_secrets(folder)
    ports = {name: free_port() for name in PORTS} | {"postgres": database.port, "redis": values.port}
    given = read_environment(folder / "stack.env")
    given |= {"STACK_POSTGRES_PASSWORD": postgres.PASSWORD, "STACK_REDIS_PASSWORD": redis_server.PASSWORD}
    given |= {"STACK_PREFECT_PORT": str(ports["prefect"])}
    with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
        # The image's administrator.
        connection.execute(f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{postgres.PASSWORD}'")
    return Composed(folder, ports, given)


def start_stores(stack: Stack) -> None:
    """Start what stands for the artifact store, with its bucket, and what watches the stack."""
    start_artifact_store(stack)
    stack.start_program(gauges_program(stack.composed))
    stack.start_program(alertmanager_program(stack.composed, stack.composed.folder / "alertmanager"))
    stack.start_program(prometheus_program(stack.composed, stack.composed.folder / "prometheus"))
    assert answers(f"{stack.url('prometheus')}/-/healthy")


def start_artifact_store(stack: Stack) -> None:
    """Start what stands for the artifact store, with an empty bucket: it keeps nothing on disk."""
    port = stack.composed.ports["artifacts"]
    command = (str(MOTO), "-H", "127.0.0.1", "-p", str(port))
    stack.start_program(Program("artifacts", command, port, path="/moto-api/"))
    stack.store().create_bucket(Bucket=BUCKET)
