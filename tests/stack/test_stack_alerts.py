"""Somebody hears: an alert of the stack's Prometheus goes by the stack's Alertmanager to the address that was given."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from flightline.adapters.gauges.prometheus_textfile import Measured, write_gauges
from pipelines.common.servers.processes import running
from pipelines.monitoring_steps.report import GAUGES_FILE
from tests.stack.composed import PORTS, Composed
from tests.stack.servers import demand, demand_programs
from tests.stack.watching import alertmanager_program, gauges_program, prometheus_program
from tests.support.servers.service_process import free_port
from tests.support.waiting import wait_until
from tools.stack.alerts import alertmanager_config
from tools.stack.secrets import ensure_secrets, read_environment


@pytest.fixture
def people() -> Iterator[tuple[str, list[dict]]]:
    """An address that people read, and what has come there."""
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def describe(folder: Path, url: str) -> Composed:
    """Make what `make stack-up` makes after a person has written the address into stack.env."""
    (folder / "stack.env").write_text(f"STACK_ALERTS_URL={url}\n")
    ensure_secrets(folder)
    return Composed(folder, {name: free_port() for name in PORTS}, read_environment(folder / "stack.env"))


def hasten(alertmanager: Path, prometheus: Path) -> None:
    """Let nothing be waited for that a person would wait for."""
    config = yaml.safe_load(alertmanager.read_text())
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    alertmanager.write_text(yaml.safe_dump(config))
    for name, waiting in (("prometheus.yml", r"(?<=interval: )15s"), ("rules.yml", r"(?<=for: )\d+[mh]")):
        text, count = re.subn(waiting, "1s", (prometheus / name).read_text())
        assert count
        (prometheus / name).write_text(text)


@pytest.mark.stack
def test_a_page_and_what_the_monitor_says_reach_someone(tmp_path: Path, people: tuple[str, list[dict]]) -> None:
    demand_programs()
    url, heard = people
    composed = describe(tmp_path, url)
    written = composed.folder / "volumes" / "worker" / "work" / ".state" / "monitoring" / GAUGES_FILE
    write_gauges(
        written, [Measured("flightline_monitor_decision", "As the monitor has it.", 1, {"decision": "retrain"})]
    )
    programs = [prometheus_program(composed, tmp_path / "prometheus"), gauges_program(composed)]
    programs.append(alertmanager_program(composed, tmp_path / "alertmanager"))
    hasten(tmp_path / "stack" / "alertmanager" / "alertmanager.yml", tmp_path / "prometheus")

    def told() -> dict[str, dict]:
        return {alert["labels"]["alertname"]: {**message, **alert} for message in heard for alert in message["alerts"]}

    with running(programs, tmp_path / "logs", 60):
        # Nothing listens where the service would.
        wait_until(lambda: {"ServiceDown", "MonitorAsksForTraining"} <= told().keys(), 60, lambda: str(heard))
    assert told()["ServiceDown"]["labels"]["severity"] == "page"
    for alert in told().values():
        # A browser on this machine can follow both; the name of a container it could not.
        assert alert["generatorURL"].startswith("http://127.0.0.1:9090/")
        assert alert["externalURL"].startswith("http://127.0.0.1:9093")


@pytest.mark.parametrize("url", ["", "https://example.org/hook", "https://hooks.slack.com/services/T/B/x"])
def test_alertmanager_takes_what_is_written(tmp_path: Path, url: str) -> None:
    demand({"amtool (Debian: prometheus-alertmanager)": shutil.which("amtool")})
    (tmp_path / "alertmanager.yml").write_text(alertmanager_config(url))
    done = subprocess.run(
        ["amtool", "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_program_that_is_missing_is_no_silence_in_ci(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"not on this machine: amtool \(Debian"):
        demand({"amtool (Debian: prometheus-alertmanager)": None, "another": "/usr/bin/another"})
    demand({"another": "/usr/bin/another"})


def test_an_address_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"STACK_ALERTS_URL: got mailto://\.\.\., expected https") as refused:
        alertmanager_config("mailto://user:s3cret@example.org")
    assert "s3cret" not in str(refused.value)


def test_another_address_makes_compose_start_it_anew(tmp_path: Path) -> None:
    before = describe(tmp_path, "https://example.org/one").services["alertmanager"]
    after = describe(tmp_path, "https://example.org/two").services["alertmanager"]
    assert before != after
    assert "example.org" not in str(after)  # no `docker inspect` shows it
