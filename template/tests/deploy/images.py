"""Images in a registry on loopback: the project's own, and on them some that are no good."""

import re
from dataclasses import dataclass
from pathlib import Path

from template.tests.deploy.project import PATIENCE, Project
from tools.images.build import SERVICE
from tools.images.docker import Docker
from tools.images.push import Image, push

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
ROUTES = "serving/api/routes.py"
CALL = "        check_still_to_come("
SECONDS = PATIENCE * 1.5  # above what a patient copy of the project takes for slow
SLOWLY = rf"s/^{CALL}/        await __import__('asyncio').sleep({SECONDS})\n&/"


@dataclass(frozen=True)
class Images:
    """References by digest."""

    service: str
    flows: str
    next: str
    crashing: str
    failing: str
    slow: str


def push_all(docker: Docker, registry: str, project: Project) -> Images:
    """Build and push the project's own images by its command, and on them those that are no good; give the digests."""
    there, folder = f"{registry}/flightline", project.root.parent
    ran = project.make("image-push", REPOSITORY=there)
    assert ran.code == 0, ran.said
    told = re.search(r"IMAGE=(\S+) FLOWS_IMAGE=(\S+)", ran.said)
    assert told, ran.said

    def pushed(name: str) -> str:
        return f"{there}/service@{push(docker, Image(f'deploy-{name}', ''), f'{there}/service', name)}"

    _derive(docker, folder, "deploy-next", SERVICE.name, ["LABEL deploy=next"])
    _derive(docker, folder, "deploy-crashing", SERVICE.name, ['CMD ["python", "-c", "raise SystemExit(3)"]'])
    failing = ["COPY bad.py /srv/", 'CMD ["python", "/srv/bad.py"]']
    _derive(docker, folder, "deploy-failing", SERVICE.name, failing, {"bad.py": LIVE_ONLY})
    assert f"\n{CALL}" in (project.root / ROUTES).read_text(), f"{ROUTES} checks instances in another way: change CALL"
    slow = ["USER 0", f'RUN sed -i "{SLOWLY}" /srv/flightline/{ROUTES}', "USER 10001:10001"]
    _derive(docker, folder, "deploy-slow", SERVICE.name, slow)
    return Images(told[1], told[2], *(pushed(name) for name in ("next", "crashing", "failing", "slow")))


def _derive(
    docker: Docker, folder: Path, name: str, base: str, lines: list[str], files: dict[str, str] | None = None
) -> None:
    context = folder / name
    context.mkdir()
    for file, text in (files or {}).items():
        (context / file).write_text(text, encoding="utf-8")
    (context / "Dockerfile").write_text("\n".join([f"FROM {base}:latest", *lines]) + "\n", encoding="utf-8")
    docker.run("build", "--tag", f"{name}:latest", str(context))
