"""An image pushed to a registry comes back by its digest, and is the same."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.images.containers import wait_until
from tests.support.servers.service_process import Service, free_port

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def registry(tmp_path) -> Iterator[str]:
    """Run Debian's docker-registry on a free port."""
    program = shutil.which("docker-registry")
    if program is None:
        told = "docker-registry is not installed (Debian: apt-get install docker-registry)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    port = free_port()
    (tmp_path / "config.yml").write_text(CONFIG.format(folder=tmp_path / "images", port=port))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(tmp_path / "config.yml")], stdout=log, stderr=log)
    try:
        asked = Service(port, None, None)
        wait_until(lambda: asked.ask("/v2/").status == 200, 20, (tmp_path / "log").read_text)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_it_is_pushed_and_pulled_by_digest(docker, service_image, registry):
    there = f"{registry}/{service_image}"
    before = docker.run("image", "inspect", "--format", "{{.Id}}", service_image).stdout
    docker.run("tag", service_image, f"{there}:pushed")
    try:
        docker.run("push", "--quiet", f"{there}:pushed")
        named = docker.run("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', service_image).stdout
        (by_digest,) = (line for line in named.splitlines() if line.startswith(f"{there}@sha256:"))
        docker.run("rmi", f"{there}:pushed")
        docker.run("pull", "--quiet", by_digest)
        assert docker.run("image", "inspect", "--format", "{{.Id}}", by_digest).stdout == before
        asked = docker.run("run", "--rm", "--network", "none", by_digest, "python", "-c", "import serving.app")
        assert asked.returncode == 0
    finally:
        named = docker.run("image", "inspect", "--format", "{{range .RepoDigests}}{{.}} {{end}}", service_image).stdout
        docker.run("rmi", *(line for line in named.split() if line.startswith(there)), check=False)
