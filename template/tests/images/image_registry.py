"""An image registry on loopback: Debian's docker-registry, in place of one that is elsewhere."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.images.containers import wait_until
from tests.support.servers.service_process import Service, free_port

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def running_registry(kept: Path, folder: Path) -> Iterator[str]:
    """Run it until the block ends; what it holds stays in `kept`."""
    program = shutil.which("docker-registry")
    if program is None:
        missing = "docker-registry is not installed (Debian: apt-get install docker-registry)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    port = free_port()
    (folder / "registry.yml").write_text(CONFIG.format(folder=kept, port=port))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        service = Service(port, None, None)
        wait_until(lambda: service.ask("/v2/").status == 200, 60, (folder / "registry.log").read_text)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
