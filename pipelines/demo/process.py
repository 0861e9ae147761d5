"""The service's own code in a process beside a replay, without HTTP: `serving/replay.py`, asked line by line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flightline.core.errors import RequestError
from flightline.core.settings import Settings
from pipelines.replay.service import CODE, environment_of, stop

NEVER_SECONDS = 1e6


class Process:
    """Asks the process about instances, with their features."""

    def __init__(self, process: "subprocess.Popen[str]", log: str, most: int):
        self._process, self._log, self._most = process, log, most

    def predict(self, instances: list[dict[str, Any]], rows: list[dict[str, Any]]) -> int:
        """Ask about instances; give how many were answered.

        Parameters
        ----------
        rows
            Features of each instance, as `joined.join_rows` gives them.

        Raises
        ------
        RequestError
            If it does not answer, or refuses.
        """
        parts = (slice(first, first + self._most) for first in range(0, len(instances), self._most))
        asked = ({"instances": instances[part], "rows": rows[part]} for part in parts)
        return sum(int(self._ask(each)["answered"]) for each in asked)

    def look(self) -> None:
        """Let it take a new model or challenger.

        Raises
        ------
        RequestError
            If it cannot predict.
        """
        status = self._ask({"status": True})
        if not status["ready"]:
            raise RequestError(f"the service's code cannot predict: {status['reason']}")

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RequestError("the process of the service's code was started without pipes")
        try:
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise RequestError(f"the process of the service's code has ended; its log is {self._log}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RequestError(f"the service's code refused: {answer['error']}")
        return answer


@contextmanager
def running_process(settings: Settings) -> Iterator[Process]:
    """Run `python -m serving.replay` in the root of the settings until the block ends, however it ends."""
    # It looks for what is new when it is told to, and not by itself.
    serving = settings.serving.model_copy(update={"poll_seconds": NEVER_SECONDS})
    environment = environment_of(settings.model_copy(update={"serving": serving}))
    log = settings.root / "service.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.replay"],
            cwd=CODE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    try:
        yield Process(process, str(log), settings.serving.max_instances)
        if process.stdin:
            process.stdin.close()  # it closes its log, and ends
        process.wait()
    finally:
        stop(process)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
