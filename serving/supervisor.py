"""A worker that was killed is replaced at once, not after a minute, and none outlives its supervisor."""

import logging
import multiprocessing
import os
import signal
import threading
from typing import Any

from uvicorn.supervisors import multiprocess

LOG = logging.getLogger("serving")
_PLAIN: Any = getattr(multiprocess, "Process", object)


class Worker(_PLAIN):
    """Uvicorn's worker, whose end is seen while uvicorn waits for its answer to a ping.

    Uvicorn keeps both ends of the pipe that it pings through. If a worker is killed before it
    answers, the pipe stays open, and uvicorn waits for all of `timeout_worker_healthcheck`.
    """

    def start(self) -> None:
        """Start the worker, and leave its end of the pipe to it."""
        super().start()
        if end := getattr(self, "child_conn", None):
            end.close()


def replace_killed_workers_at_once() -> None:
    """Let uvicorn start workers of this kind; it offers no setting for that, so its private class is replaced."""
    if _PLAIN is object:
        LOG.warning("uvicorn has no class of its workers here: one that is killed may be replaced late")
        return
    multiprocess.Process = Worker  # type: ignore[misc]


def end_with_supervisor() -> None:
    """End this worker, as SIGTERM does, when the process that started it is gone; elsewhere do nothing.

    A supervisor that was killed tells its workers nothing: they would keep the port, without a model sync.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def wait_and_end() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_and_end, name="end-with-supervisor", daemon=True).start()
