"""The same project without a server, as `make train` runs it: what the stack's answers are held against."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flightline.core.settings import Settings
from tests.stack.composed import PROJECT, fill_root
from tests.support.servers.service_process import environment_of

SECONDS = 1800


@dataclass
class Embedded:
    """A root of the profile local, and the training that runs in it."""

    settings: Settings
    process: subprocess.Popen
    log: Path

    def wait(self) -> None:
        assert self.process.wait(timeout=SECONDS) == 0, self.log.read_text()[-3000:]


@contextmanager
def run_embedded(root: Path, model: str) -> Iterator[Embedded]:
    """Train in a root of its own, and end that if the block ends first."""
    fill_root(root)
    (root / ".state" / "prefect").mkdir(parents=True)
    environment = environment_of(
        root, PREFECT_HOME=root / ".state" / "prefect", DVC_SITE_CACHE_DIR=root / ".state" / "dvc",
        FLIGHTLINE_COMMIT="c0ffee", FLIGHTLINE_PROBLEM_PACKAGE=PROJECT.settings.problem_package,
        MPLCONFIGDIR=root / ".state" / "matplotlib", HOME=root, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=120,
        PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="true", OMP_WAIT_POLICY="PASSIVE",
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )  # fmt: skip
    log = root / "training.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.training", "--model", model],
            cwd=root, env=environment, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    try:
        yield Embedded(Settings(root=root), process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # with the Prefect server that it started
            process.wait(timeout=600)
