"""The stack by compose, in containers: the project's own as they are, the others' by stand-ins.

No image of others can be had without an image registry. In the place of PostgreSQL, Redis and the
artifact store stands a container that only carries bytes to Debian's own servers on this machine; in the
place of Prometheus, Debian's program in the image of the flows. Grafana is left out.
"""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import yaml
from botocore.exceptions import BotoCoreError

from tests.stack.servers import BUCKET, MOTO, demand_programs, store_at, wait_until
from tests.support.servers import postgres, redis_server
from tests.support.servers.postgres import PostgresServer, run_postgres
from tests.support.servers.redis_server import run_redis
from tests.support.servers.service_process import Service, free_port
from tools.images.docker import Docker
from tools.stack.compose import COMPOSE, PAGES, Compose, find_compose, start
from tools.stack.secrets import ensure_secrets, read_environment

FORWARD = Path(__file__).with_name("forward.py")
STANDS_IN = {"postgres": 5432, "redis": 6379, "artifacts": 8333}
STARTED = ("setup", "declarations", "mlflow", "prefect", "worker", "service", "model-sync", "prometheus")


@dataclass
class ComposedStack:
    """A stack that compose started."""

    compose: Compose
    database: PostgresServer
    variables: Mapping[str, str]
    folder: Path

    def do(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of compose."""
        done = subprocess.run(
            self.compose.command(*arguments), env=self.compose.docker.full_environment, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done

    def execute(self, service: str, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container that runs."""
        return self.do("exec", "-T", service, *command, check=check)

    def log(self, service: str) -> str:
        return self.do("logs", "--tail", "60", service, check=False).stdout[-5000:]

    def inspect(self, service: str, what: str) -> str:
        container = self.do("ps", "--all", "--quiet", service).stdout.strip()
        return self.compose.docker.run("inspect", "--format", what, container).stdout.strip()

    def up(self) -> None:
        start(self.compose, *STARTED)

    @property
    def service(self) -> Service:
        key = (self.folder / "stack" / "api_key").read_text().strip()
        return Service(int(self.variables["STACK_SERVICE_PORT"]), None, None, key)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.variables[f'STACK_{name.upper()}_PORT']}"


def overlay(sockets: Path) -> dict:
    """Describe the stand-ins, laid over the stack's own file."""
    services = {
        name: {
            "image": "flightline-flows:latest",
            "entrypoint": ["python", "/forward.py"],
            "command": [f"tcp:0.0.0.0:{port}", f"unix:/sockets/{name}"],
            "volumes": [f"{FORWARD}:/forward.py:ro", f"{sockets}:/sockets:ro"],
            "healthcheck": {
                "test": ["CMD", "python", "-c", f"import socket as s; s.create_connection(('127.0.0.1', {port}), 2)"]
            },
        }
        for name, port in STANDS_IN.items()
    }
    program = shutil.which("prometheus")
    services["prometheus"] = {
        "image": "flightline-flows:latest",
        "entrypoint": ["/usr/local/bin/prometheus"],
        "command": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/prometheus"],
        "volumes": [f"{program}:/usr/local/bin/prometheus:ro"],
        "tmpfs": ["/tmp"],
        "healthcheck": {
            "test": ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9090/-/healthy')"]
        },
    }
    return {"version": "3.8", "services": services}


@contextmanager
def composed(docker: Docker, folder: Path) -> Iterator[ComposedStack]:
    """Bring the stack up until the block ends; then nothing of it is left."""
    demand_programs()
    sockets = folder / "sockets"
    for made in (sockets, folder / "redis"):
        made.mkdir()
    ensure_secrets(folder)
    with ExitStack() as stack:
        database = stack.enter_context(contextmanager(run_postgres)())
        values = stack.enter_context(run_redis(folder / "redis"))
        artifacts = free_port()
        stack.enter_context(running([str(MOTO), "-H", "127.0.0.1", "-p", str(artifacts)]))
        wait_until(lambda: can_make_bucket(artifacts), 60, lambda: "moto does not answer")
        for name, port in {"postgres": database.port, "redis": values.port, "artifacts": artifacts}.items():
            stack.enter_context(
                running([sys.executable, str(FORWARD), f"unix:{sockets / name}", f"tcp:127.0.0.1:{port}"])
            )
        with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{postgres.PASSWORD}'")
        variables = read_environment(folder / "stack.env") | {
            "STACK_POSTGRES_PASSWORD": postgres.PASSWORD,
            "STACK_REDIS_PASSWORD": redis_server.PASSWORD,
            "STACK_FOLDER": str(folder / "stack"),
            **{variable: str(free_port()) for variable, _, _ in PAGES.values()},
        }
        (folder / "tests.env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay(sockets)))
        project = f"tests{uuid.uuid4().hex[:8]}"
        files = (COMPOSE, folder / "overlay.yaml")
        compose = Compose(docker, find_compose(docker), folder / "tests.env", project, files)
        made = ComposedStack(compose, database, variables, folder)
        stack.callback(made.do, "down", "--volumes", "--remove-orphans", check=False)
        made.up()
        yield made


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def can_make_bucket(port: int) -> bool:
    try:
        store_at(f"http://127.0.0.1:{port}").create_bucket(Bucket=BUCKET)
    except BotoCoreError:  # nobody listens yet
        return False
    return True
