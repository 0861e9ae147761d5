"""The page that links the tools' own pages, with the state of each, on loopback."""

import html
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flightline.core.settings import Settings
from pipelines.common.processes import HOST, answers

REFRESH_SECONDS, STATE_SECONDS = 5, 1.0
MONITORING = "/monitoring"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="{refresh}"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem;
  color: #1c2733; background: #f6f8fa; }}
h1 {{ font-size: 1.6rem; margin: 0 0 .3rem; }}
p {{ margin: 0 0 1.5rem; color: #52606d; }}
table {{ border-collapse: collapse; width: 100%; background: #fff; border: 1px solid #d5dce3; }}
th, td {{ text-align: left; vertical-align: top; padding: .8rem 1rem; border-bottom: 1px solid #e5eaef; }}
th {{ font-size: .8rem; color: #52606d; }}
td:first-child a {{ font-weight: 600; }}
a {{ color: #0b5cad; }}
small {{ color: #52606d; white-space: nowrap; }}
.up {{ color: #13683a; white-space: nowrap; }}
.down {{ color: #a3201c; white-space: nowrap; font-weight: 600; }}
</style></head><body>
<h1>{title}</h1>
<p>The pages of this clone's tools. The state is looked at every {refresh} seconds.</p>
<table><thead><tr><th>Page</th><th>What you find there</th><th>State</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body></html>
"""


@dataclass(frozen=True)
class Entry:
    """A line of the page.

    Parameters
    ----------
    name, url
        Of the server.
    found_there
        What a person finds there.
    path
        What answers without an error while it is up; below `url`.
    first_page
        Where the link leads; below `url`.
    """

    name: str
    url: str
    found_there: str
    path: str = "/"
    first_page: str = ""

    @property
    def is_up(self) -> bool:
        """Whether it answers now."""
        return answers(self.url + self.path, STATE_SECONDS)


def write_page(title: str, entries: Sequence[Entry], monitoring: Path) -> str:
    """Write the page, with the state of each entry as it is now.

    Parameters
    ----------
    title
        Of the page.
    entries
        In their order on it.
    monitoring
        The newest page of `make monitor`, which need not be there.
    """
    rows = [
        _row(one.name, one.url + one.first_page, one.found_there, *(_UP if one.is_up else _DOWN)) for one in entries
    ]
    told = "the newest page of monitoring: decision, reasons, pictures"
    if monitoring.is_file():
        rows.append(_row("Monitoring", MONITORING, told, "up", "written"))
    else:
        rows.append(_row("Monitoring", "", told, "down", "not written yet: make monitor"))
    return _PAGE.format(title=html.escape(title), refresh=REFRESH_SECONDS, rows="\n".join(rows))


_UP, _DOWN = ("up", "answers"), ("down", "does not answer")


def _row(name: str, url: str, found_there: str, style: str, state: str) -> str:
    name, url, found_there, state = (html.escape(text) for text in (name, url, found_there, state))
    shown = f"<br><small>{url}</small>" if "://" in url else ""
    link = f'<a href="{url}">{name}</a>{shown}' if url else name
    return f'<tr><td>{link}</td><td>{found_there}</td><td class="{style}">{state}</td></tr>'


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
    """Answers with the page, or with the newest page of monitoring."""

    def __init__(self, settings: Settings, entries: Sequence[Entry], *arguments: object) -> None:
        self._settings, self._entries = settings, entries
        super().__init__(*arguments)  # type: ignore[arg-type]  # what ThreadingHTTPServer gives every handler

    def do_GET(self) -> None:
        """Answer a browser."""
        monitoring = self._settings.state_dir / "monitoring" / "latest_page.html"
        if self.path == "/":
            title = f"{self._settings.root.name}: pages"
            self._answer(write_page(title, self._entries, monitoring).encode())
        elif self.path == MONITORING and monitoring.is_file():
            self._answer(monitoring.read_bytes())
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
