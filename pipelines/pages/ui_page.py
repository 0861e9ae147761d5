"""The page that links the tools' own pages, with the state of each, on loopback."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flightline.core.settings import Settings
from pipelines.common.rendering import render
from pipelines.common.servers.own_origin import REFUSAL, is_own
from pipelines.common.servers.processes import HOST, answers

REFRESH_SECONDS, STATE_SECONDS = 5, 1.0


@dataclass(frozen=True)
class Written:
    """A page that a command writes.

    Parameters
    ----------
    command
        What writes it.
    file
        Below `.state`.
    """

    name: str
    description: str
    command: str
    file: Path


# By their address.
WRITTEN = {
    "/monitoring": Written(
        "Monitoring", "the newest page of monitoring: decision, reasons, pictures", "make monitor",
        Path("monitoring/latest_page.html"),
    ),
    "/exploration": Written(
        "Exploration", "data and training set in pictures", "make explore", Path("exploration/page.html")
    ),
    "/train-report": Written(
        "Train report", "what the changes of this tree do to the model", "make train-report",
        Path("train_report/page.html"),
    ),
    "/retraining": Written(
        "Retraining", "a year lived again: when to retrain, and what it costs not to", "make replay",
        Path("retraining/latest_page.html"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A line of the page.

    Parameters
    ----------
    path
        What answers without an error while it is up; below `url`.
    first_page
        Where the link leads; below `url`.
    """

    name: str
    url: str
    description: str
    path: str = "/"
    first_page: str = ""

    @property
    def is_up(self) -> bool:
        """Whether it answers now."""
        return answers(self.url + self.path, STATE_SECONDS)


def write_page(title: str, entries: Sequence[Entry], state_dir: Path) -> str:
    """Write the page, with the state of each entry as it is now.

    Parameters
    ----------
    state_dir
        Where commands write their newest pages, which need not be there.
    """
    return render(
        "ui.html.j2",
        title=title,
        refresh=REFRESH_SECONDS,
        entries=entries,
        written=WRITTEN,
        there={address for address, page in WRITTEN.items() if (state_dir / page.file).is_file()},
    )


@contextmanager
def serving_page(settings: Settings, entries: Sequence[Entry]) -> Iterator[str]:
    """Serve the page while the block runs; give its address."""
    handler = partial(_Handler, settings, entries)
    server = ThreadingHTTPServer((HOST, settings.pages.port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page, or with the newest page that a command has written."""

    def __init__(self, settings: Settings, entries: Sequence[Entry], *arguments: object) -> None:
        self._settings, self._entries = settings, entries
        super().__init__(*arguments)  # type: ignore[arg-type]  # what ThreadingHTTPServer gives every handler

    def do_GET(self) -> None:
        """Answer a browser, but no page of another site."""
        if not is_own(self.headers.get("Host"), self.headers.get("Origin")):
            self.send_error(HTTPStatus.FORBIDDEN, REFUSAL)
            return
        state_dir, written = self._settings.state_dir, WRITTEN.get(self.path)
        if self.path == "/":
            title = f"{self._settings.root.name}: pages"
            self._answer(write_page(title, self._entries, state_dir).encode())
        elif written and (state_dir / written.file).is_file():
            self._answer((state_dir / written.file).read_bytes())
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for what goes wrong."""
