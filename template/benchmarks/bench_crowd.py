"""What one caller notices of others: large requests at once, broken text, floods of probes.

    python -m template.benchmarks.bench_crowd [--at-once 10 30 64 128] [--seconds 10]

Runs `python -m serving` with two workers and no keys on the model and the online store of `make train`, so all
come from one address and share its part of the room. Prints the tables of template/docs/reliability.md. Fails if
`/health/live` took longer than a second, an answer came later than the time limit, a body that was sent at once got
408, or broken text harmed another request.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.project import Project, open_project
from template.benchmarks.parts.servers import Server, started

ROWS, WORKERS, CLIENTS, FLOOD_CLIENTS, BROKEN_A_SECOND = 1000, 2, 2, 16, 100
PATIENCE_SECONDS, PAUSE_SECONDS, HEALTH_SECONDS = 300, 0.02, 1.0
LIVE, READY = "/health/live", "/health/ready"
HEADING = (
    "| 1,000-row requests at once | answers | slowest, s | slowest `/health/live`, s | one row beside | slowest, s |\n"
    "|---|---|---|---|---|---|"
)
Figures = tuple[int, float]


@dataclass
class Seen:
    """Statuses and seconds of the answers to one kind of request."""

    figures: list[Figures] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came; 0 is a connection that ended."""
        return Counter(status for status, _ in self.figures)

    @property
    def longest(self) -> float:
        """Seconds of the slowest answer."""
        return max((seconds for _, seconds in self.figures), default=0.0)

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(seconds for _, seconds in self.figures)


def ask(server: Server, path: str, body: bytes | None = None) -> Figures:
    """Ask on a connection of its own, and give status and seconds."""
    began, status = time.perf_counter(), 0
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE_SECONDS)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return status, time.perf_counter() - began


@contextmanager
def asked_meanwhile(question: Callable[[], Figures], clients: int = 1, pause: float = PAUSE_SECONDS) -> Iterator[Seen]:
    """Ask again and again until the block ends."""
    seen, is_over = Seen(), threading.Event()

    def ask_on() -> None:
        while not is_over.is_set():
            seen.figures.append(question())
            is_over.wait(pause)

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(ask_on)
        try:
            yield seen
        finally:
            is_over.set()


def crowd(server: Server, project: Project, at_once: int) -> bool:
    """Send large requests at once, print a row, and say whether nobody suffered."""
    path = f"/v1/models/{project.problem.model_name}:predict"
    example = project.schemas.example
    large = json.dumps({"instances": [example] * ROWS}).encode()
    small = json.dumps({"instances": [example]}).encode()
    with (
        asked_meanwhile(lambda: ask(server, LIVE)) as live,
        asked_meanwhile(lambda: ask(server, path, small)) as single,
        ThreadPoolExecutor(at_once) as pool,
    ):
        seen = Seen(list(pool.map(lambda _: ask(server, path, large), range(at_once))))
    of_each = ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
    of_single = ", ".join(f"{count} x {status}" for status, count in sorted(single.statuses.items()))
    print(f"| {at_once} | {of_each} | {seen.longest:.1f} | {live.longest:.2f} | {of_single} | {single.longest:.2f} |")
    limit = project.settings.serving.request_seconds
    return (
        live.longest < HEALTH_SECONDS and seen.longest <= limit + HEALTH_SECONDS and not {0, 408} & set(seen.statuses)
    )


def broken_text(server: Server, project: Project, seconds: float) -> bool:
    """Send half surrogate pairs, a hundred a second, print what others saw, and say whether nobody suffered."""
    model = f"/v1/models/{project.problem.model_name}"
    small = json.dumps({"instances": [project.schemas.example]}).encode()
    texts = ['{"instances": [{"x": "\\ud800"}]}', '{"instances": [{"\\ud800": 1}]}']
    broken = [text.encode(encoding) for text in texts for encoding in ("utf-8", "utf-16")]
    bodies = iter(range(sys.maxsize))

    def send_broken() -> Figures:
        return ask(server, f"{model}:score", broken[next(bodies) % len(broken)])

    with (
        asked_meanwhile(send_broken, 10, 10 / BROKEN_A_SECOND) as hostile,
        asked_meanwhile(lambda: ask(server, f"{model}:predict", small), CLIENTS) as others,
    ):
        time.sleep(seconds)
    rate = len(hostile.figures) / seconds
    print(f"broken text, {rate:.0f} a second: {dict(hostile.statuses)}; others meanwhile: {dict(others.statuses)}")
    return set(hostile.statuses) <= {400, 422} and set(others.statuses) == {200}


def floods(server: Server, project: Project, seconds: float) -> None:
    """Print what a caller notices of floods of probes: that of readiness should cost no more than that of life."""
    path = f"/v1/models/{project.problem.model_name}:predict"
    small = json.dumps({"instances": [project.schemas.example]}).encode()
    for name, probe in (("no flood", None), (f"flood of {LIVE}", LIVE), (f"flood of {READY}", READY)):
        clients = FLOOD_CLIENTS if probe else 1
        with (
            asked_meanwhile(lambda probe=probe: ask(server, probe or LIVE), clients, 0 if probe else 1) as flood,
            asked_meanwhile(lambda: ask(server, path, small)) as caller,
        ):
            time.sleep(seconds)
        probes = len(flood.figures) / seconds
        print(f"{name}, {probes:.0f} a second: a caller waits {caller.median * 1000:.0f} ms, {dict(caller.statuses)}")


def wide_body(server: Server, project: Project) -> None:
    """Print how long a body of 80,000 unknown columns takes."""
    body = json.dumps({"instances": [dict.fromkeys(map("c{}".format, range(80_000)), 1)]}, separators=(",", ":"))
    for route in ("predict", "score"):
        seen = [ask(server, f"/v1/models/{project.problem.model_name}:{route}", body.encode()) for _ in range(5)]
        print(f":{route} of 80,000 unknown columns: {seen[0][0]} in {Seen(seen).median * 1000:.0f} ms")


def main() -> int:
    """Print the tables; 1 if somebody suffered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, nargs="+", default=[10, 30, 64, 128])
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    project = open_project()
    variables = {
        "FLIGHTLINE_ROOT": str(project.settings.root),
        "FLIGHTLINE_SERVING__WATCH": "false",
        "FLIGHTLINE_SERVING__WORKERS": str(WORKERS),
    }
    with started([sys.executable, "-m", "serving"], variables, "FLIGHTLINE_SERVING__PORT", READY) as server:
        print(HEADING, flush=True)
        is_fair = [crowd(server, project, at_once) for at_once in options.at_once]
        print(flush=True)
        is_fair.append(broken_text(server, project, options.seconds))
        floods(server, project, options.seconds)
        wide_body(server, project)
    print(f"load of the machine {os.getloadavg()[0]:.0f}")
    return 0 if all(is_fair) else 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
