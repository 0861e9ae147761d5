"""Starts the model sync beside the service, and starts it again if it ends.

The model sync is a process of its own because it imports the registry's client, which would cost
every worker half as much memory again; see `pipelines/commands/model_sync.py`.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flightline.core.settings import Settings

LOG = logging.getLogger("serving")
COMMAND = (sys.executable, "-m", "pipelines.commands.model_sync")
PAUSE_SECONDS = 5.0


@contextmanager
def model_sync_running(settings: Settings) -> Iterator[None]:
    """Run the model sync while the block runs, if the settings ask for it."""
    if not settings.serving.watch:
        yield
        return
    is_over = threading.Event()
    thread = threading.Thread(target=_keep_running, args=(is_over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(timeout=2 * PAUSE_SECONDS)


def _keep_running(is_over: threading.Event) -> None:
    while not is_over.is_set():
        process = subprocess.Popen([*COMMAND, "--parent", str(os.getpid())])
        while process.poll() is None and not is_over.wait(0.2):
            pass
        if is_over.is_set():
            process.terminate()
            process.wait()
            return
        LOG.error("the model sync ended with %s and is started again", process.returncode)
        is_over.wait(PAUSE_SECONDS)
