"""How the service starts on uvicorn's private parts: bounded where they are as expected, told and served elsewhere."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.server import choose_http_protocol
from tests.support.servers.changed_uvicorn import changed
from tests.support.servers.service_process import REPOSITORY, environment_of, running
from tests.support.small_service import INSTANCE, PREDICT

TOLD = "connections and heads of requests have no bounds; install the version of locks/serving.txt"


def test_on_the_uvicorn_that_is_locked_connections_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    handlers = list(logging.getLogger("uvicorn").handlers)
    assert choose_http_protocol() == "serving.middleware.http_protocol:BoundedHttp"
    assert caplog.text == ""
    assert logging.getLogger("uvicorn").handlers == handlers, "the check sets up no logs"


def test_on_another_uvicorn_its_own_protocol_is_taken_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(HttpToolsProtocol, "__init__", changed)
    assert choose_http_protocol() == "auto"
    assert "TypeError" in caplog.text
    assert TOLD in caplog.text


@pytest.mark.slow
def test_on_another_uvicorn_the_service_starts_and_answers(tmp_path: Path) -> None:
    with running(tmp_path, module="tests.support.servers.changed_uvicorn", max_header_bytes=2000) as service:
        assert service.ask(PREDICT, {"instances": [INSTANCE]}, x_long="a" * 4000).status == 200
        assert TOLD in service.log.read_text()
        assert service.stop() == 0


def test_a_taken_port_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "serving"], cwd=REPOSITORY, env=environment_of(tmp_path, port=port),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"StartError: the service cannot listen on 127.0.0.1:{port} (Address already in use)")
    assert line.endswith("choose another port with FLIGHTLINE_SERVING__PORT=...")
    assert list(tmp_path.iterdir()) == [], "neither metrics nor model sync began"
