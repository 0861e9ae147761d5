"""`make ui` for real, on free ports: every page answers, one links them, and Ctrl-C leaves no process."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.core.settings import PageSettings, Settings
from pipelines.commands.ui import DESCRIPTIONS, pages_elsewhere
from pipelines.commands.ui_page import Entry, serving_page, write_page
from pipelines.common.processes import answers
from pipelines.orchestration.prefect_server import find_server
from pipelines.replay.service import free_port
from tests.pipelines.orchestration.running_worker import environment_of, processes_of
from tests.support.small_store import make_store
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 600
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def read(url: str) -> str:
    with DIRECTLY.open(url, timeout=120) as answer:
        return answer.read().decode()


@dataclass
class Shown:
    """A running `make ui`."""

    settings: Settings
    process: subprocess.Popen
    output: Path

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.settings.pages.port}"


def start_ui(settings: Settings, name: str = "ui") -> Shown:
    (settings.state_dir / "prefect").mkdir(parents=True, exist_ok=True)
    pages = {f"FLIGHTLINE_PAGES__{name.upper()}": str(value) for name, value in settings.pages.model_dump().items()}
    output = settings.root / f"{name}.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.commands.ui"],
            cwd=REPOSITORY,
            env=environment_of(settings.root, settings.pages.prefect_port, "") | pages,
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
    settings = Settings(root=tmp_path_factory.mktemp("ui"), pages=free_pages())
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
    for port in (pages.mlflow_port, pages.prefect_port, pages.evidently_port, pages.feast_port):
        assert f'<a href="http://127.0.0.1:{port}' in page
        assert "<html" in read(f"http://127.0.0.1:{port}/").lower()
    assert page.count(">answers<") == len(DESCRIPTIONS)
    prefect = f"http://127.0.0.1:{pages.prefect_port}"
    assert json.loads(read(f"{prefect}/ui-settings"))["api_url"] == f"{prefect}/api"  # not that of another port
    assert "not written yet: make monitor" in page


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
    assert second.process.wait(timeout=120) == 1
    assert f"the page cannot listen on 127.0.0.1:{shown.settings.pages.port}" in second.output.read_text()
    assert "FLIGHTLINE_PAGES__PORT=" in second.output.read_text()
    assert answers(shown.page)


@pytest.mark.system
def test_a_page_that_dies_is_shown_and_ctrl_c_leaves_no_process(shown: Shown) -> None:
    before = processes_of(shown.settings.root)
    assert len(before) >= 1 + len(DESCRIPTIONS)
    (feast,) = [
        pid for pid in before if b"feast" in (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[1]
    ]
    os.kill(feast, signal.SIGKILL)
    wait_until(lambda: "Feast ended with exit code -9" in shown.output.read_text(), said=shown.output.read_text)
    page = read(shown.page)
    assert (page.count(">answers<"), page.count(">does not answer<")) == (len(DESCRIPTIONS) - 1, 1)
    shown.process.send_signal(signal.SIGINT)
    assert shown.process.wait(timeout=120) == 1  # for one had ended
    assert processes_of(shown.settings.root) == []
    assert find_server(shown.settings) is None


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    page = write_page("<b>", [Entry("<i>", "http://127.0.0.1:9", "a & b")], tmp_path / "none")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "a &amp; b" in page
    assert ">does not answer<" in page


def test_the_page_answers_its_own_addresses_only(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, pages=PageSettings(port=free_port()))
    with serving_page(settings, []) as url:
        assert answers(url)
        assert not answers(f"{url}/monitoring")
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
