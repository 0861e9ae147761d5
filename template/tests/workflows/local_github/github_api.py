"""A stand-in for the part of GitHub's API that comments need, on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit

PREFIX = "/repos/owner/name/"
TOKEN = "token-of-the-run"


@dataclass
class GitHubApi:
    """What the stand-in knows, and what it was asked.

    Parameters
    ----------
    pulls
        Open pull requests: number, and head as GitHub gives it, with `label` for the filter.
    comments
        By number of the pull request.
    head
        Where main is.
    """

    url: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    head: str = "9" * 40

    def open_pull_request(self, number: int, label: str, sha: str) -> None:
        self.pulls.append({"number": number, "head": {"label": label, "sha": sha}})
        self.comments[number] = []

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        match method, path.split("/"):
            case "GET", ["git", "ref", "heads", "main"]:
                return {"object": {"sha": self.head}}
            case "GET", ["pulls"]:
                return [each for each in self.pulls if each["head"]["label"] == query["head"][0]]
            case "GET", ["issues", number, "comments"]:
                start = (int(query["page"][0]) - 1) * 100
                return self.comments[int(number)][start : start + 100]
            case "POST", ["issues", number, "comments"]:
                comment = {"id": 1000 + sum(map(len, self.comments.values())), "user": {"login": "github-actions[bot]"}}
                self.comments[int(number)].append(comment | body)
                return comment
            case "PATCH", ["issues", "comments", found]:
                (comment,) = (each for each in chain.from_iterable(self.comments.values()) if each["id"] == int(found))
                return comment.update(body)
        raise LookupError(path)


@contextmanager
def github_api() -> Iterator[GitHubApi]:
    """Serve the stand-in until the end of the block."""
    state = GitHubApi()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            split = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = 200, None
            if self.headers.get("Authorization") != f"Bearer {TOKEN}" or not split.path.startswith(PREFIX):
                status, answer = 403, {"message": "Resource not accessible by integration"}
                state.refused.append(self.path)
            else:
                answer = state.answer(self.command, split.path.removeprefix(PREFIX), parse_qs(split.query), body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = _do  # noqa: N815 names that the base class looks for

        def log_message(self, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
