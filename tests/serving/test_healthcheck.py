"""What an image's health check says of a service that lives, is not ready, or is not there."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.servers.service_process import REPOSITORY, free_port


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/health/live": 200, "/health/ready": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(port: int, *paths: str, **variables: str) -> int:
    environment = os.environ | {"FLIGHTLINE_SERVING__PORT": str(port), "PYTHONPATH": str(REPOSITORY)} | variables
    command = [sys.executable, "-m", "serving.healthcheck", *paths]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True).returncode


@pytest.mark.parametrize(("paths", "expected"), [((), 0), (("live",), 0), (("ready",), 1)])
def test_it_says_what_the_service_says(port, paths, expected):
    assert check(port, *paths) == expected


def test_it_asks_no_proxy(port):
    assert check(port, http_proxy="http://127.0.0.1:9", no_proxy="") == 0


def test_no_service_is_no_health():
    assert check(free_port()) == 1


def test_it_imports_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import serving.healthcheck; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.strip() == "['serving']"
