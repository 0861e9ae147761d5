"""Shows the tools' own pages, and one page that links them: `python -m pipelines.pages.ui`. No flow."""

import argparse
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from flightline.adapters.evidently_reports import workspace_dir
from flightline.adapters.ports import check_port
from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.servers.own_origin import HOSTS
from pipelines.common.servers.prefect_server import (
    HEALTH,
    SERVER,
    auth_file,
    find_server,
    noted,
    server_program,
)
from pipelines.common.servers.processes import HOST, LOOK_SECONDS, Program, Running, ending_on_signals, running
from pipelines.pages.ui_page import Entry, serving_page

SERVICE = "Service"
# What a person finds on each tool's pages.
DESCRIPTIONS = {
    SERVICE: "the form: ask, and see what drove the answer",
    "MLflow": "runs with parameters, metrics and pictures; model versions with lineage, verdict and aliases",
    SERVER: "flow runs with logs, schedules, events, automations and artifacts",
    "Evidently": "reports on data drift, prediction drift and data quality, one set for each window",
    "Feast": "entities, feature views, their sources and the feature service, as registered",
}
# MLflow's first page is about language models.
FIRST_PAGES = {"MLflow": "/#/experiments"}
PAGE_PORT = "FLIGHTLINE_PAGES__PORT"


def programs(settings: Settings) -> list[Program]:
    """Describe the servers of the tools' pages, all on loopback."""
    pages = settings.pages
    mlflow = (
        str(Path(sys.executable).parent / "mlflow"), "server", "--host", HOST, "--port", str(pages.mlflow_port),
        "--workers", "1", "--backend-store-uri", settings.tracking_uri,
        # By default it answers pages of any name that begins like a private address.
        "--allowed-hosts", ",".join(f"{host}:*" for host in HOSTS),
    )  # fmt: skip
    service = (sys.executable, "-m", "serving")
    evidently, feast = ((sys.executable, "-m", "pipelines.pages.tool_pages", name) for name in ("evidently", "feast"))
    return [
        Program(SERVICE, service, settings.serving.port, "FLIGHTLINE_SERVING__PORT", "/health/live"),
        Program("MLflow", mlflow, pages.mlflow_port, "FLIGHTLINE_PAGES__MLFLOW_PORT", "/health", settings.state_dir),
        server_program(settings),
        Program("Evidently", evidently, pages.evidently_port, "FLIGHTLINE_PAGES__EVIDENTLY_PORT", "/api/version"),
        Program("Feast", feast, pages.feast_port, "FLIGHTLINE_PAGES__FEAST_PORT"),
    ]


def show(settings: Settings, is_opened: bool = False) -> int:
    """Start the servers, wait until each answers, serve the page that links them, and stop all of it on Ctrl-C.

    A server that ends meanwhile is told of, with the last lines of its log; the others stay.

    Parameters
    ----------
    is_opened
        Start the service too, and open the page that links all of it in the browser of this machine.

    Returns
    -------
    int
        The exit code: 1 if a server ended by itself.

    Raises
    ------
    StartError
        If a port is taken or a server does not come up; then none is left.
    """
    others = pages_elsewhere(settings)
    left_out = {entry.name for entry in others} | (set() if is_opened else {SERVICE})
    wanted = [one for one in programs(settings) if one.name not in left_out]
    check_port("the page", HOST, settings.pages.port, PAGE_PORT)
    print(f"ui: starting {', '.join(one.name for one in wanted)}", flush=True)
    ended: list[str] = []
    with ending_on_signals():
        try:
            with _started(settings, wanted) as started:
                entries = [*others, *(_entry(one.name, one.url, one.path) for one in wanted)]
                entries.sort(key=lambda entry: list(DESCRIPTIONS).index(entry.name))
                with serving_page(settings, entries) as url:
                    for entry in entries:
                        print(f"  {entry.name:10} {entry.url}")
                    print(f"Prefect's page asks for what stands in {auth_file(settings)}")
                    print(f"ui: all of them are linked on {url}; Ctrl-C stops them", flush=True)
                    if is_opened:
                        webbrowser.open(url)
                    _tell_of_ends(started, ended)
        except KeyboardInterrupt:
            print("ui: stopped", flush=True)
    return 1 if ended else 0


def _entry(name: str, url: str, path: str) -> Entry:
    return Entry(name, url, DESCRIPTIONS[name], path, FIRST_PAGES.get(name, ""))


def pages_elsewhere(settings: Settings) -> list[Entry]:
    """Give the pages that are there already: Prefect's of a running worker, and those of servers named by settings."""
    found = []
    if settings.tracking_uri.startswith("http"):
        found.append(_entry("MLflow", settings.tracking_uri, "/health"))
    server = find_server(settings)
    if server is not None:
        found.append(_entry(SERVER, server.api_url.removesuffix("/api"), HEALTH))
    return found


def _tell_of_ends(started: Sequence[Running], ended: list[str]) -> None:
    """Print how each server ended that ends by itself, until all have."""
    while len(ended) < len(started):
        for one in started:
            if not one.is_alive and one.program.name not in ended:
                ended.append(one.program.name)
                print(one.last_words(), file=sys.stderr, flush=True)
        time.sleep(LOOK_SECONDS)
    print("ui: every server has ended", file=sys.stderr)


@contextmanager
def _started(settings: Settings, wanted: Sequence[Program]) -> Iterator[list[Running]]:
    workspace_dir(settings).mkdir(parents=True, exist_ok=True)
    (settings.state_dir / "mlflow").mkdir(parents=True, exist_ok=True)
    logs, seconds = settings.state_dir / "logs", settings.pages.start_seconds
    # The service last: in a new clone it and MLflow's server would both make MLflow's database, and one would fail.
    tools, service = ([one for one in wanted if (one.name == SERVICE) is last] for last in (False, True))
    with running(tools, logs, seconds) as first, running(service, logs, seconds) as then:
        own = next((one for one in first if one.program.name == SERVER), None)
        with noted(settings, own) if own else nullcontext():
            yield [*first, *then]


def main(arguments: list[str] | None = None) -> int:
    """Show the pages until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", action="store_true", help="the service's page too, and all of it in a browser")
    is_opened = parser.parse_args(arguments).open
    ended: list[int] = []
    return run_command(lambda: ended.append(show(read_settings(), is_opened))) or sum(ended)


if __name__ == "__main__":
    sys.exit(main())
