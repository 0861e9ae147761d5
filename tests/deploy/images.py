"""Images of the tests, in a registry on loopback: the project's own with an eighth of the flights, and bad ones."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flightline.settings import Settings
from pipelines import data
from tests.images.containers import wait_until
from tests.images.test_registry import CONFIG
from tests.service_process import Service, free_port
from tools.docker import Docker
from tools.image import FLOWS, SERVICE
from tools.image_push import Image, push
from tools.terraform import ROOT

SEED = Path("src/flightline/adapters/seed_data.py")
ALL_FLIGHTS = 'flights = archive.read("flights.csv").decode()'
FEW_FLIGHTS = ALL_FLIGHTS + '\n    header, *rows = flights.split("\\n")\n    flights = "\\n".join([header, *rows[::8]])'
# Alive, and then no good: an error for everything else, or an answer that takes too long.
LIVE_ONLY = """
import http.server, json, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path.startswith("/health") else 500)
    def do_POST(self):
        self.answer(500)
    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
SLOWLY = r"s/        check_still_to_come(instances, clock)/        __import__('time').sleep(1.5)\n&/"


@dataclass(frozen=True)
class Images:
    """References by digest."""

    service: str
    flows: str
    next: str
    crashing: str
    failing: str
    slow: str


@contextmanager
def running_registry(kept: Path, folder: Path) -> Iterator[str]:
    """Run Debian's docker-registry; what it holds stays, so that the next run pushes little."""
    program = shutil.which("docker-registry")
    if program is None:
        told = "docker-registry is not installed (Debian: apt-get install docker-registry)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    port = free_port()
    (folder / "registry.yml").write_text(CONFIG.format(folder=kept, port=port))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        asked = Service(port, None, None)
        wait_until(lambda: asked.ask("/v2/").status == 200, 20, (folder / "registry.log").read_text)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def push_all(docker: Docker, registry: str, folder: Path) -> Images:
    """Build what the tests deploy on what `make image` builds, push it and give the digests."""
    there = f"{registry}/flightline"

    def pushed(name: str, repository: str) -> str:
        return f"{there}/{repository}@{push(docker, Image(name, ''), f'{there}/{repository}', name)}"

    _derive(docker, folder, "deploy-flows", FLOWS.name, ["COPY seed_data.py data.dvc /build/", *_small()], _few(folder))
    _derive(docker, folder, "deploy-next", SERVICE.name, ["LABEL deploy=next"])
    _derive(docker, folder, "deploy-crashing", SERVICE.name, ['CMD ["python", "-c", "raise SystemExit(3)"]'])
    failing = ["COPY bad.py /srv/", 'CMD ["python", "/srv/bad.py"]']
    _derive(docker, folder, "deploy-failing", SERVICE.name, failing, {"bad.py": LIVE_ONLY})
    slow = ["USER 0", f'RUN sed -i "{SLOWLY}" /srv/flightline/serving/prediction.py', "USER 10001:10001"]
    _derive(docker, folder, "deploy-slow", SERVICE.name, slow)
    return Images(
        pushed(SERVICE.name, "service"),
        pushed("deploy-flows", "flows"),
        *(pushed(f"deploy-{name}", "service") for name in ("next", "crashing", "failing", "slow")),
    )


def _small() -> list[str]:
    return [
        "USER 0",
        f"RUN cp /build/seed_data.py /srv/flightline/{SEED} && cp /build/data.dvc /srv/flightline/data.dvc",
        "USER 10001:10001",
    ]


def _few(folder: Path) -> dict[str, str]:
    """Give a seed of an eighth of the flights, and the data version that comes of it."""
    text = (ROOT / SEED).read_text(encoding="utf-8")
    assert ALL_FLIGHTS in text, f"{SEED} reads the flights in another way: change FEW_FLIGHTS"
    text = text.replace(ALL_FLIGHTS, FEW_FLIGHTS)
    module: dict[str, object] = {"__name__": "small_seed"}
    exec(compile(text, "small_seed", "exec"), module)  # the project's own file, one line changed
    root = folder / "small"
    (root / ".dvc").mkdir(parents=True)
    for name in (".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, root / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "write_seed", module["write_seed"])
        data.make_first_version(Settings(root=root, dvc_remote_url=str(folder / "small-remote")))
    return {"seed_data.py": text, "data.dvc": (root / "data.dvc").read_text(encoding="utf-8")}


def _derive(
    docker: Docker, folder: Path, name: str, base: str, lines: list[str], files: dict[str, str] | None = None
) -> None:
    context = folder / name
    context.mkdir()
    for file, text in (files or {}).items():
        (context / file).write_text(text, encoding="utf-8")
    (context / "Dockerfile").write_text("\n".join([f"FROM {base}:latest", *lines]) + "\n", encoding="utf-8")
    docker.run("build", "--tag", f"{name}:latest", str(context))
