"""A flow from the command line, on a Prefect server of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import get_current_settings

from flightline.core.settings import Settings
from pipelines.common.servers.by_hand import own_server, server_of_run
from pipelines.common.servers.prefect_server import noted
from pipelines.common.servers.processes import running
from tests.support.servers.service_process import free_port
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[4]
FLOW = """
import logging, signal, sys
from pathlib import Path
from prefect import flow
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.command_line import run_command

@flow
def waiting():
    # What sends events to the server would tell how many are left, now and then, from Ctrl-C on.
    Path("tells").write_text(str(logging.getLogger("EventsWorker").isEnabledFor(logging.WARNING)))
    Path("started").touch()
    signal.pause()

sys.exit(run_command(by_hand(waiting)))
"""


@pytest.mark.system
def test_ctrl_c_is_noted_by_the_server_and_ends_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / ".state" / "prefect"
    home.mkdir(parents=True)
    (tmp_path / "waiting.py").write_text(FLOW)
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    own = {"PREFECT_HOME": str(home), "PREFECT_LOGGING_LEVEL": "WARNING", "FLIGHTLINE_ROOT": str(tmp_path)}
    environment = {**kept, **own, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}
    process = subprocess.Popen(
        [sys.executable, "waiting.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: (tmp_path / "started").exists() or process.poll() is not None, 300, "the flow runs")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and all that it started
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert (process.returncode, output.count("\n")) == (130, 1), output
    assert (tmp_path / "tells").read_text() == "False"
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [("CRASHED",)]


ALONE = """
import sys
from prefect import flow
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.step import is_in_flow

@flow
def light():
    return is_in_flow()

print(by_hand(light, starts_server=False)())
"""


def test_a_flow_that_needs_no_server_runs_without_one(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    own = {"PREFECT_HOME": str(tmp_path / "home"), "FLIGHTLINE_ROOT": str(tmp_path)}
    environment = {**kept, **own, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}
    order = [sys.executable, "-W", "ignore", "-c", ALONE]
    done = subprocess.run(order, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.system
def test_a_flow_runs_on_the_server_of_its_clone_while_that_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    settings = Settings(root=tmp_path)
    program = server_of_run(free_port())
    with running([program], settings.state_dir / "logs", settings.pages.start_seconds) as (server,):
        with noted(settings, server), own_server(settings):
            assert get_current_settings().api.url == f"{program.url}/api"
        with own_server(settings):
            assert get_current_settings().api.url != f"{program.url}/api"
