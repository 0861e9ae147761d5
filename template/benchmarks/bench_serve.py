"""What the service answers in a second, beside `mlflow models serve` and `feast serve`.

    python -m template.benchmarks.bench_serve [--seconds 8] [--turns 2] [--keep ENVIRONMENTS]

All on this machine, in the same run, one worker each, with the model and the online store of
`make train`. The peers run in environments of their own, made from the versions of the lock,
and are asked in turns with ours: the same row of features (mlflow, `:score`), the same keys
(feast, `:predict`, which predicts besides). Load comes from wrk, over 1 and 16 connections.
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
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.mlflow import registry
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from serving.prediction.predictor import as_rows, columns_of
from template.benchmarks.parts.servers import Server, environment, started

CONNECTIONS = (1, 16)
LOGS = {
    "log on (NORMAL)": {},
    "log on (FULL)": {"FLIGHTLINE_PREDICTION_LOG__SYNCHRONOUS": "FULL"},
    "log off": {"FLIGHTLINE_PREDICTION_LOG__ENABLED": "false"},
}
WRK = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [==[{body}]==]\n'


@dataclass
class Asked:
    """A server and what it is asked, and what came of it: requests a second by connections, one for each turn."""

    name: str
    server: Server
    path: str
    body: str
    is_peer: bool = False
    rates: dict[int, list[float]] = field(default_factory=dict)

    def ask(self, connections: int, seconds: float, folder: Path) -> None:
        """Ask for some seconds; any answer but 200 ends the benchmark, and so does a connection that ours drops."""
        script = folder / "ask.lua"
        script.write_text(WRK.format(body=self.body))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), self.server.url + self.path]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        dropped = re.search(r"Socket errors.*", said)
        if "Non-2xx" in said or (dropped and not self.is_peer):
            raise SystemExit(f"{self.name}: not every request was answered\n{said}")
        if dropped:
            # Feast's workers are renewed after some requests, which their clients notice.
            print(f"{self.name}, {connections} connection(s): {dropped[0]}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        assert rate
        self.rates.setdefault(connections, []).append(float(rate[1]))

    def rate(self, connections: int) -> float:
        """Give the median over the turns."""
        return statistics.median(self.rates[connections])


def example_requests(project: Project) -> dict[str, list]:
    """Give the example as columns of one request."""
    return columns_of([project.schemas.instance.model_validate(project.schemas.example)], project.request_fields)


def example_row(project: Project) -> dict[str, object]:
    """Give the features of the example as the service would use them."""
    instance = project.schemas.instance.model_validate(project.schemas.example)
    requests = example_requests(project)
    store = OnlineFeatures.open(project.settings, PROBLEM.feature_service)
    rows = as_rows({**requests, **project.requests.keys(requests)})
    (known,) = store.read(rows, project.prediction_time_of(instance))
    store.close()
    return {**known.values, **as_rows(project.requests.features(requests))[0]}


def start_ours(stack: ExitStack, project: Project, row: dict[str, object]) -> list[Asked]:
    """Start the service with each kind of log, on both endpoints."""
    asked = []
    score, predict = json.dumps({"instances": [row]}), json.dumps({"instances": [project.schemas.example]})
    for name, changes in LOGS.items():
        variables = {"FLIGHTLINE_ROOT": str(project.settings.root), "FLIGHTLINE_SERVING__WATCH": "false", **changes}
        command = [sys.executable, "-m", "serving"]
        server = stack.enter_context(started(command, variables, "FLIGHTLINE_SERVING__PORT", "/health/ready"))
        print(f"our service, {name}: ready after {server.seconds:.1f} s, {server.megabytes():.0f} MB a worker")
        asked.append(Asked(f":score, {name}", server, f"/v1/models/{PROBLEM.model_name}:score", score))
        asked.append(Asked(f":predict, {name}", server, f"/v1/models/{PROBLEM.model_name}:predict", predict))
    return asked


def start_mlflow(stack: ExitStack, settings: Settings, folder: Path, row: dict[str, object]) -> Asked:
    """Serve the champion with MLflow's own server."""
    champion = registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION)
    assert champion is not None, "there is no champion; run `make train` first"
    model = registry.download_model(settings, champion).parent
    python = environment(folder / "mlflow", "mlflow", "scikit-learn", "skops", "pandas", "numpy")
    split = {"columns": list(row), "data": [list(row.values())]}
    command = [str(python.parent / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local", "-w", "1"]
    variables = {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = stack.enter_context(started([*command, "-p", "{port}"], variables, None, "/ping"))
    return Asked("mlflow models serve", server, "/invocations", json.dumps({"dataframe_split": split}), is_peer=True)


def start_feast(stack: ExitStack, project: Project, folder: Path) -> Asked:
    """Serve the same online store with Feast's own server; it needs no offline store for that."""
    settings = project.settings
    python = environment(folder / "feast", "feast", "pandas", "numpy", "pyarrow")
    repo = folder / "repo"
    repo.mkdir()
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
    requests = example_requests(project)
    keys = {name: requests[name] for name in PROBLEM.entity_keys} | dict(project.requests.keys(requests))
    joined = {name: list(values) for name, values in keys.items()}
    body = {"feature_service": PROBLEM.feature_service, "entities": joined}
    command = [str(python.parent / "feast"), "-c", str(repo), "serve", "--no-access-log", "-p", "{port}"]
    server = stack.enter_context(started(command, {}, None, "/health"))
    return Asked("feast serve (features only)", server, "/get-online-features", json.dumps(body), is_peer=True)


def show(asked: list[Asked]) -> None:
    """Print requests a second, and the ratio of each of our endpoints to its peer."""
    peers = {":score": "mlflow models serve", ":predict": "feast serve (features only)"}
    by_name = {one.name: one for one in asked}
    print("\n| one row a request | 1 connection | 16 connections | ratio to its peer, 1 | 16 |\n|---|---|---|---|---|")
    for one in asked:
        peer = by_name.get(peers.get(one.name.split(",")[0], ""))
        ratios = [f"{one.rate(count) / peer.rate(count):.2f}" if peer else "" for count in CONNECTIONS]
        rates = [f"{one.rate(count):.0f}" for count in CONNECTIONS]
        print(f"| {one.name} | {' | '.join([*rates, *ratios])} |")


def main() -> None:
    """Start everything, ask in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder in which the peers' environments are kept")
    options = parser.parse_args()
    project = open_project()
    row = example_row(project)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("mlflow", "feast"):
            (scratch / name).symlink_to(folder / name)
        asked = start_ours(stack, project, row)
        asked += [start_mlflow(stack, project.settings, scratch, row), start_feast(stack, project, scratch)]
        for turn in range(options.turns):
            for one in asked if turn % 2 == 0 else reversed(asked):
                for connections in CONNECTIONS:
                    one.ask(connections, options.seconds, scratch)
            print(f"turn {turn + 1} of {options.turns} is done", flush=True)
        show(asked)


if __name__ == "__main__":
    outlive_reader()
    main()
