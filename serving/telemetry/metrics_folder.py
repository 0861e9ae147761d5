"""The folder through which worker processes share their metrics.

To be entered before anything imports prometheus_client, which looks once, when it is imported,
whether to share; and before Feast's first online read, which would point it at a folder of its
own. So nothing here may import either.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The second is what Feast calls it.
VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@contextmanager
def shared_metrics(root: Path) -> Iterator[Path]:
    """Give this process and its workers one folder of metrics, and remove it afterwards.

    Parameters
    ----------
    root
        Holds one folder for each service that runs; those of ended ones are removed.

    Yields
    ------
    Path
        The folder, named after host and process, empty.
    """
    root.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    _remove_ended(root, host)
    folder = root / f"{host}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.environ.update(dict.fromkeys(VARIABLES, str(folder)))
    try:
        yield folder
    finally:
        for variable in VARIABLES:
            os.environ.pop(variable, None)
        shutil.rmtree(folder, ignore_errors=True)


def is_running(pid: int) -> bool:
    """Say whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_begun(file: Path) -> bool:
    """Say whether a process has written anything into its file yet."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def drop_ended(folder: Path) -> None:
    """Remove the gauges of processes that ended without a word; what they counted stays."""
    for file in folder.glob("gauge_live*.db"):
        pid = file.stem.rsplit("_", 1)[-1]
        if pid.isdigit() and not is_running(int(pid)):
            file.unlink(missing_ok=True)


def _remove_ended(root: Path, host: str) -> None:
    """Remove what services that were killed on this host left; other hosts may share the root."""
    for folder in root.glob(f"{host}-*"):
        pid = folder.name.removeprefix(f"{host}-")
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
