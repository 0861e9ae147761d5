"""`make ui` for real, on free ports: every page answers, one links them, and Ctrl-C leaves no process."""

import json
import os
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.adapters.ports import free_port
from flightline.core.settings import PageSettings, ServingSettings, Settings
from pipelines.common.servers.prefect_server import find_server
from pipelines.common.servers.processes import Program, answers, open_client
from pipelines.pages import ui
from pipelines.pages.ui import DESCRIPTIONS, SERVICE, pages_elsewhere
from pipelines.pages.ui_page import Entry, serving_page, write_page
from tests.pipelines.orchestration.running_worker import environment_of, processes_of
from tests.support.small_store import make_store
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 600
SITE = "http://site.example"
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def read(url: str) -> str:
    with DIRECTLY.open(url, timeout=600) as answer:
        return answer.read().decode()


@dataclass
class Shown:
    """A running `make ui OPEN=yes`; its browser is a program that writes down what it is to open."""

    settings: Settings
    process: subprocess.Popen
    output: Path

    @property
    def opened(self) -> Path:
        return self.settings.root / "opened"

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.settings.pages.port}"


def start_ui(settings: Settings, name: str = "ui") -> Shown:
    (settings.state_dir / "prefect").mkdir(parents=True, exist_ok=True)
    pages = {f"FLIGHTLINE_PAGES__{name.upper()}": str(value) for name, value in settings.pages.model_dump().items()}
    output = settings.root / f"{name}.txt"
    browser = settings.root / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{settings.root}/opened"\n', encoding="utf-8")
    browser.chmod(0o755)
    own = {"BROWSER": str(browser), "FLIGHTLINE_SERVING__PORT": str(settings.serving.port)}
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.pages.ui", "--open"],
            cwd=REPOSITORY,
            env=environment_of(settings.root, settings.pages.prefect_port, "") | pages | own,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: "linked on" in output.read_text() or process.poll() is not None, START_SECONDS, output.read_text)
    return Shown(settings, process, output)


def free_pages() -> PageSettings:
    names = ("port", "mlflow_port", "prefect_port", "evidently_port", "feast_port")
    return PageSettings(**{name: free_port() for name in names})


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    root, serving = tmp_path_factory.mktemp("the pägés"), ServingSettings(port=free_port())
    settings = Settings(root=root, pages=free_pages(), serving=serving)
    make_store(settings)
    found = start_ui(settings)
    try:
        yield found
    finally:
        found.process.kill()
        for pid in processes_of(settings.root):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.system
def test_every_page_answers_and_is_linked(shown: Shown) -> None:
    assert shown.process.poll() is None, shown.output.read_text()
    page, pages = read(shown.page), shown.settings.pages
    for port in (
        shown.settings.serving.port,
        pages.mlflow_port,
        pages.prefect_port,
        pages.evidently_port,
        pages.feast_port,
    ):
        assert f'<a href="http://127.0.0.1:{port}' in page
        assert "<html" in read(f"http://127.0.0.1:{port}/").lower()
    assert page.count(">answers<") == len(DESCRIPTIONS)
    prefect = f"http://127.0.0.1:{pages.prefect_port}"
    assert json.loads(read(f"{prefect}/ui-settings"))["api_url"] == f"{prefect}/api"  # not that of another port
    assert "not written yet: make monitor" in page
    wait_until(lambda: shown.opened.exists() and shown.opened.read_text() == f"{shown.page}\n")


def addresses(shown: Shown) -> dict[str, str]:
    """What each server gives to who may read it, and a page of another site may not."""
    pages = shown.settings.pages
    return {
        "page": f"{shown.page}/",
        "MLflow": f"http://127.0.0.1:{pages.mlflow_port}/api/2.0/mlflow/experiments/search?max_results=1",
        "Prefect": f"http://127.0.0.1:{pages.prefect_port}/api/block_types/slug/secret",
        "Evidently": f"http://127.0.0.1:{pages.evidently_port}/api/projects",
        "Feast": f"http://127.0.0.1:{pages.feast_port}/api/v1/projects",
    }


def ask(shown: Shown, url: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Ask as the owner does, who has what Prefect wants; with headers, as a page of another site in a browser."""
    user, _, password = (shown.settings.state_dir / "prefect_auth").read_text().partition(":")
    auth = None if headers else (user, password)
    with open_client(600) as client:
        return client.request(method, url, headers=headers, auth=auth, json={} if method == "POST" else None)


@pytest.mark.system
@pytest.mark.parametrize("name", ["page", *(name for name in DESCRIPTIONS if name != SERVICE)])
def test_a_page_of_another_site_reads_and_changes_nothing(shown: Shown, name: str) -> None:
    url = addresses(shown)[name]
    assert ask(shown, url).status_code == 200
    for headers in (
        {"Origin": SITE},
        {"Host": "127.0.0.1.site.example"},
        {"Host": "10.site.example:80", "Origin": SITE},
    ):
        read = ask(shown, url, **headers)
        assert "access-control-allow-origin" not in read.headers
        assert read.status_code >= 400 or ("Host" not in headers and name == "MLflow")
        assert ask(shown, url, "POST", **headers).status_code >= 400


@pytest.mark.system
def test_prefect_asks_for_what_only_the_owner_reads(shown: Shown) -> None:
    file = shown.settings.state_dir / "prefect_auth"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in shown.output.read_text()
    api = f"http://127.0.0.1:{shown.settings.pages.prefect_port}/api"
    with open_client(600) as client:
        assert client.get(f"{api}/admin/settings").status_code == 401
        own = tuple(file.read_text().split(":"))
        assert client.get(f"{api}/admin/settings", auth=own).status_code == 200
        # Not even with it does anything change that carries no token against forgery.
        assert client.post(f"{api}/block_documents/filter", json={}, auth=own).status_code == 403


@pytest.mark.system
def test_the_page_of_monitoring_is_there_once_it_is_written(shown: Shown) -> None:
    written = shown.settings.state_dir / "monitoring" / "latest_page.html"
    written.parent.mkdir()
    written.write_text("<p>ok</p>", encoding="utf-8")
    assert '<a href="/monitoring">Monitoring</a>' in read(shown.page)
    assert read(f"{shown.page}/monitoring") == "<p>ok</p>"


@pytest.mark.system
def test_a_worker_would_find_its_server(shown: Shown) -> None:
    server = find_server(shown.settings)
    assert server is not None
    assert server.api_url == f"http://127.0.0.1:{shown.settings.pages.prefect_port}/api"


@pytest.mark.system
def test_a_second_one_says_which_port_is_taken(shown: Shown) -> None:
    second = start_ui(shown.settings, "second")
    assert second.process.wait(timeout=600) == 1
    assert f"the page cannot listen on 127.0.0.1:{shown.settings.pages.port}" in second.output.read_text()
    assert "FLIGHTLINE_PAGES__PORT=" in second.output.read_text()
    assert answers(shown.page)


@pytest.mark.system
def test_a_page_that_dies_is_shown_and_ctrl_c_leaves_no_process(shown: Shown) -> None:
    before = processes_of(shown.settings.root)
    assert len(before) >= 1 + len(DESCRIPTIONS)
    (feast,) = [pid for pid in before if b"feast" in (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")]
    os.kill(feast, signal.SIGKILL)
    wait_until(lambda: "Feast ended with exit code -9" in shown.output.read_text(), said=shown.output.read_text)
    page = read(shown.page)
    assert (page.count(">answers<"), page.count(">does not answer<")) == (len(DESCRIPTIONS) - 1, 1)
    shown.process.send_signal(signal.SIGINT)
    assert shown.process.wait(timeout=600) == 1  # for one had ended
    assert processes_of(shown.settings.root) == []
    assert find_server(shown.settings) is None


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    page = write_page("<b>", [Entry("<i>", "http://127.0.0.1:9", "a & b")], tmp_path / "none")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "a &amp; b" in page
    assert ">does not answer<" in page


def test_the_page_of_a_replay_is_linked_once_it_is_written(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, pages=PageSettings(port=free_port()))
    with serving_page(settings, []) as url:
        assert "not written yet: make replay" in read(url)
        written = settings.state_dir / "retraining" / "latest_page.html"
        written.parent.mkdir(parents=True)
        written.write_text("<p>every 4 weeks</p>", encoding="utf-8")
        assert '<a href="/retraining">Retraining</a>' in read(url)
        assert read(f"{url}/retraining") == "<p>every 4 weeks</p>"


def test_the_page_answers_its_own_addresses_only(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, pages=PageSettings(port=free_port()))
    with serving_page(settings, []) as url:
        assert answers(url)
        assert not answers(f"{url}/monitoring")
        assert not answers(f"{url}/retraining")
        assert not answers(f"{url}/../data.dvc")
    assert not answers(url)


def test_servers_that_settings_name_are_linked_and_not_started(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        found = pages_elsewhere(settings)
    assert [(one.name, one.url, one.is_up) for one in found] == [
        ("MLflow", "http://127.0.0.1:9", False),
        ("Prefect", "http://127.0.0.1:9", False),
    ]
    assert pages_elsewhere(Settings(root=tmp_path)) == []


def test_the_service_starts_when_mlflow_has_made_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[list[str]] = []

    @contextmanager
    def note(programs: list[Program], *_: object) -> Iterator[list]:
        begun.append([one.name for one in programs])
        yield []

    monkeypatch.setattr(ui, "running", note)
    with ui._started(Settings(root=tmp_path), ui.programs(Settings(root=tmp_path))):
        assert len(begun) == 2
    assert "MLflow" in begun[0]
    assert begun[1] == [SERVICE]
