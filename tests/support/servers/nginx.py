"""A real nginx of the tests' own: infra/nginx/service.conf on free ports, all it writes in a folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.service_process import REPOSITORY, Service, free_port
from tests.support.waiting import wait_until

EXAMPLE = REPOSITORY / "infra" / "nginx" / "service.conf"
_PORTS = ("8001", "8002")
_STOP_SECONDS = 120
_MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/service.conf;
}}
"""


def find_nginx() -> str | None:
    """Find the program, which Debian keeps off the path of a plain user."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def run_nginx(folder: Path, replicas: Sequence[Service], key: str | None = None) -> Iterator[Service]:
    """Run nginx before two replicas until the block ends; gives how to ask them through it."""
    port, conf = free_port(), EXAMPLE.read_text(encoding="utf-8")
    for written, replica in zip(_PORTS, replicas, strict=True):
        assert conf.count(f"127.0.0.1:{written} ") == 1
        conf = conf.replace(f"127.0.0.1:{written} ", f"127.0.0.1:{replica.port} ")
    (folder / "service.conf").write_text(conf.replace("listen 127.0.0.1:8080;", f"listen 127.0.0.1:{port};"))
    user = "user root;" if os.geteuid() == 0 else ""  # another could not enter the tests' folder
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user), encoding="utf-8")
    log = folder / "nginx.log"
    command = [find_nginx(), "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    nginx = Service(port, process, log, key)
    try:
        wait_until(lambda: process.poll() is not None or nginx.ask("/health/live").status == 200, said=log.read_text)
        assert process.poll() is None, f"nginx did not start: {log.read_text()[-2000:]}"
        yield nginx
    finally:
        process.terminate()
        process.wait(timeout=_STOP_SECONDS)
