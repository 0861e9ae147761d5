"""What the service answers, and what a request takes, beside an echo and the servers of others.

    python -m template.benchmarks.bench_serve [--seconds 5] [--turns 2] [--keep ENVIRONMENTS] [--without NAME ...]

All on this machine, in the same run, one worker each, in turns, with the model and the online store of `make train`:
`:score` and its peers are sent the same ready rows, `:predict` and `feast serve` (which predicts nothing) the same
keys. Peers run in environments of their own, by the versions of the lock where it has them. Load comes from wrk, over
1 and 16 connections. Compare the processor time a request took (of all processes of a server): what else the
machine does disturbs it little, and a turn that is late costs requests and no result. Its ratio is to the echo.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import joblib

from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.served_model import load_served_model
from flightline.core.project import Project, open_project
from flightline.problem.config import PROBLEM
from serving.prediction.predictor import Predictor
from template.benchmarks.parts.servers import Server, environment, started

CONNECTIONS, ROWS, ECHO = (1, 16), (1, 100), "echo"
HEADER = "requests a second, 1 connection | 16 | processor, us a request | times the echo | median ms, 16 | p99 ms, 16"
PEERS = Path(__file__).parent / "peers"
LOGS = {
    "log on (NORMAL)": {},
    "log on (FULL)": {"FLIGHTLINE_PREDICTION_LOG__SYNCHRONOUS": "FULL"},
    "log off": {"FLIGHTLINE_PREDICTION_LOG__ENABLED": "false"},
}
# `--timeout` is long: a machine that is busy answers late, and that is measured, not an error.
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, wrong.status,
    wrong.timeout, wrong.connect + wrong.read + wrong.write, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Turn:
    """What a server did in some seconds: requests a second, processor time a request, and microseconds to wait."""

    rate: float
    processor_us: float
    median_us: float
    p99_us: float
    late: int


@dataclass
class Asked:
    """A server and what it is asked, by rows of a request, and what came of it by rows and connections."""

    name: str
    server: Server
    path: str
    bodies: Mapping[int, str]
    turns: dict[tuple[int, int], list[Turn]] = field(default_factory=dict)

    def ask(self, rows: int, connections: int, seconds: float, folder: Path) -> None:
        """Ask for some seconds; a refusal ends the benchmark, what is late or dropped is counted."""
        script = folder / "ask.lua"
        script.write_text(WRK.replace("{body}", self.bodies[rows]))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script)]
        before = self.server.processor_seconds()
        said = subprocess.run(
            [*command, self.server.url + self.path], capture_output=True, text=True, check=True
        ).stdout
        took = self.server.processor_seconds() - before
        found = re.search(r"RESULT ([\d -]+)", said)
        assert found, said
        count, duration, refused, timeouts, dropped, median, p99 = map(int, found[1].split())
        if refused:
            raise SystemExit(f"{self.name}: {refused} of {count} requests were refused\n{said}")
        if count:
            turn = Turn(count / duration * 1e6, took / count * 1e6, median, p99, timeouts + dropped)
            self.turns.setdefault((rows, connections), []).append(turn)

    def of(self, rows: int, connections: int, value: Callable[[Turn], float]) -> float | None:
        """Give the median over the turns; None if none of them came to an answer."""
        turns = self.turns.get((rows, connections))
        return statistics.median(map(value, turns)) if turns else None


def ready_rows(project: Project) -> list[dict[str, object]]:
    """Give the features of the example as the service would use them."""
    model = load_served_model(project.settings.serving_models_dir, project)
    assert model is not None, "there is no champion; run `make train` first"
    store = OnlineFeatures.open(project.settings, PROBLEM.feature_service)
    instance = project.schemas.instance.model_validate(project.schemas.example)
    (result,) = Predictor(project, model, store).predict([instance], project.prediction_time_of(instance))
    store.close()
    return [dict(result.inputs)]


def start_ours(stack: ExitStack, project: Project, row: Mapping[str, object]) -> list[Asked]:
    """Start the service with each kind of log, on both endpoints."""
    asked = []
    for name, changes in LOGS.items():
        variables = {"FLIGHTLINE_ROOT": str(project.settings.root), "FLIGHTLINE_SERVING__WATCH": "false", **changes}
        command = [sys.executable, "-m", "serving"]
        server = stack.enter_context(started(command, variables, "FLIGHTLINE_SERVING__PORT", "/health/ready"))
        print(f"our service, {name}: ready after {server.seconds:.1f} s, {server.megabytes():.0f} MB a worker")
        for endpoint, instance in ((":score", row), (":predict", project.schemas.example)):
            path = f"/v1/models/{PROBLEM.model_name}{endpoint}"
            asked.append(Asked(f"`{endpoint}`, {name}", server, path, bodies("instances", instance)))
    return asked


def bodies(name: str, row: object) -> dict[int, str]:
    """Write requests of one row, and of many."""
    return {rows: json.dumps({name: [row] * rows}) for rows in ROWS}


def start_echo(stack: ExitStack, row: Mapping[str, object]) -> Asked:
    """Serve the echo, in our own environment."""
    command = [sys.executable, "-m", "uvicorn", "template.benchmarks.peers.echo:app", "--no-access-log"]
    server = stack.enter_context(started([*command, "--port", "{port}"], {}, None, "/docs"))
    return Asked(ECHO, server, "/", bodies("instances", row))


def start_mlflow(stack: ExitStack, project: Project, folder: Path, row: Mapping[str, object]) -> Asked:
    """Serve the champion with MLflow's own server."""
    champion = registry.version_of(project.settings, PROBLEM.model_name, registry.CHAMPION)
    assert champion is not None, "there is no champion; run `make train` first"
    model = registry.download_model(project.settings, champion).parent
    python = environment(folder / "mlflow", "mlflow", "scikit-learn", "skops", "pandas", "numpy")
    split = {
        rows: json.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())] * rows}})
        for rows in ROWS
    }
    command = [str(python.parent / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local", "-w", "1"]
    variables = {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = stack.enter_context(started([*command, "-p", "{port}"], variables, None, "/ping"))
    return Asked("mlflow models serve", server, "/invocations", split)


def start_feast(stack: ExitStack, project: Project, folder: Path) -> Asked:
    """Serve the same online store with Feast's own server; it needs no offline store for that."""
    settings = project.settings
    python = environment(folder / "feast", "feast", "pandas", "numpy", "pyarrow")
    repo = folder / "repo"
    repo.mkdir(exist_ok=True)
    for name in ("registry.db", "online.db"):
        shutil.copy(settings.state_dir / "feast" / name, repo)
    feast_project = re.search(
        r"^project: (\w+)", (settings.feature_repo / "feature_store.yaml").read_text(), re.MULTILINE
    )
    assert feast_project
    (repo / "feature_store.yaml").write_text(
        f"project: {feast_project[1]}\nprovider: local\nregistry: registry.db\n"
        "online_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n"
    )
    instance = project.schemas.instance.model_validate(project.schemas.example)
    requests = {name: [getattr(instance, name)] for name in project.request_fields}
    keys = {name: requests[name] for name in PROBLEM.entity_keys} | dict(project.requests.keys(requests))
    body = {
        rows: json.dumps(
            {"feature_service": PROBLEM.feature_service, "entities": {n: list(v) * rows for n, v in keys.items()}}
        )
        for rows in ROWS
    }
    command = [str(python.parent / "feast"), "-c", str(repo), "serve", "--no-access-log", "-p", "{port}"]
    server = stack.enter_context(started(command, {}, None, "/health"))
    return Asked("feast serve (features only)", server, "/get-online-features", body)


def start_joblib(stack: ExitStack, model: Path, row: Mapping[str, object]) -> Asked:
    """Serve it with FastAPI and joblib, in our own environment."""
    command = [sys.executable, "-m", "uvicorn", "template.benchmarks.peers.fastapi_joblib:app", "--no-access-log"]
    server = stack.enter_context(started([*command, "--port", "{port}"], {"MODEL": str(model)}, None, "/ready"))
    return Asked("FastAPI with joblib", server, "/", bodies("instances", row))


def start_litserve(stack: ExitStack, model: Path, folder: Path, row: Mapping[str, object]) -> Asked:
    """Serve it with LitServe."""
    python = environment(folder / "litserve", "litserve", "scikit-learn", "pandas", "numpy", "joblib")
    command = [str(python), str(PEERS / "litserve_server.py"), "{port}"]
    server = stack.enter_context(started(command, {"MODEL": str(model)}, None, "/health"))
    return Asked("LitServe", server, "/predict", bodies("instances", row))


def start_bentoml(stack: ExitStack, model: Path, folder: Path, row: Mapping[str, object]) -> Asked:
    """Serve it with BentoML."""
    python = environment(folder / "bentoml", "bentoml", "scikit-learn", "pandas", "numpy", "joblib")
    command = [str(python.parent / "bentoml"), "serve", "bentoml_service:Model", "--working-dir", str(PEERS)]
    variables = {"MODEL": str(model), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "bentoml_home")}
    server = stack.enter_context(started([*command, "--port", "{port}"], variables, None, "/readyz"))
    return Asked("BentoML", server, "/predict", bodies("instances", row))


def start_mlserver(stack: ExitStack, model: Path, folder: Path, row: Mapping[str, object]) -> Asked:
    """Serve it with MLServer, in the process that takes the requests."""
    python = environment(folder / "mlserver", "mlserver", "scikit-learn", "pandas", "numpy", "joblib")
    place = folder / "mlserver_place"
    place.mkdir(exist_ok=True)
    shutil.copy(PEERS / "mlserver_model.py", place)
    (place / "model-settings.json").write_text('{"name": "model", "implementation": "mlserver_model.Model"}')
    (place / "settings.json").write_text('{"parallel_workers": 0, "metrics_endpoint": null, "grpc_port": 0}')
    command = [str(python.parent / "mlserver"), "start", str(place)]
    variables = {"MODEL": str(model), "PYTHONPATH": str(place)}
    server = stack.enter_context(started(command, variables, "MLSERVER_HTTP_PORT", "/v2/health/ready"))
    tensor = {"name": "rows", "shape": [1], "datatype": "BYTES"}
    body = {rows: json.dumps({"inputs": [{**tensor, "data": [json.dumps([row] * rows)]}]}) for rows in ROWS}
    return Asked("MLServer", server, "/v2/models/model/infer", body)


def start_all(stack: ExitStack, project: Project, folder: Path, without: Sequence[str]) -> list[Asked]:
    """Start ours, the echo and those peers that can be started; what cannot is said and left out."""
    (row,) = ready_rows(project)
    model = folder / "model.joblib"
    current = load_served_model(project.settings.serving_models_dir, project)
    assert current is not None
    joblib.dump(current.pipeline, model)
    asked = [start_echo(stack, row), *start_ours(stack, project, row)]
    peers = {
        "mlflow": partial(start_mlflow, stack, project, folder, row),
        "fastapi": partial(start_joblib, stack, model, row),
        "litserve": partial(start_litserve, stack, model, folder, row),
        "bentoml": partial(start_bentoml, stack, model, folder, row),
        "mlserver": partial(start_mlserver, stack, model, folder, row),
        "feast": partial(start_feast, stack, project, folder),
    }
    for name, start in peers.items():
        if name in without:
            continue
        try:
            asked.append(start())
        except (SystemExit, subprocess.CalledProcessError) as err:
            print(f"{name} is not measured: {err}", flush=True)
    return asked


def show(asked: Sequence[Asked]) -> None:
    """Print a table for each size of request."""
    echo = next(each for each in asked if each.name == ECHO)
    for rows in ROWS:
        print(f"\n| {rows} row(s) a request | {HEADER} |\n|{'---|' * 7}")
        least = echo.of(rows, 1, lambda turn: turn.processor_us)
        for each in asked:
            processor = each.of(rows, 1, lambda turn: turn.processor_us)
            ratio = processor / least if processor and least else None
            waits = [each.of(rows, 16, value) for value in (lambda turn: turn.median_us, lambda turn: turn.p99_us)]
            rates = [each.of(rows, count, lambda turn: turn.rate) for count in CONNECTIONS]
            cells = [*(_shown(rate, 0) for rate in rates), _shown(processor, 0), _shown(ratio, 1)]
            cells += [_shown(wait and wait / 1000, 1) for wait in waits]
            print(f"| {each.name} | {' | '.join(cells)} |")
    for each in asked:
        if late := sum(turn.late for turns in each.turns.values() for turn in turns):
            print(f"{each.name}: {late} request(s) timed out or were dropped, and are in no figure")


def _shown(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def main() -> None:
    """Start everything, ask in turns, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder in which the peers' environments are kept")
    parser.add_argument("--without", nargs="*", default=[], help="peers that are not asked, such as mlserver")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk, which makes the load, is not on this machine: install it (Debian: apt-get install wrk)")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for name in ("mlflow", "feast", "litserve", "bentoml", "mlserver"):
                (options.keep / name).mkdir(exist_ok=True)
                (scratch / name).symlink_to((options.keep / name).resolve())
        asked = start_all(stack, open_project(), scratch, options.without)
        for turn in range(options.turns):
            for each in asked if turn % 2 == 0 else reversed(asked):
                for rows in ROWS:
                    for connections in CONNECTIONS:
                        each.ask(rows, connections, options.seconds, scratch)
            print(f"turn {turn + 1} of {options.turns} is done", flush=True)
        show(asked)


if __name__ == "__main__":
    outlive_reader()
    main()
