"""The prediction log cannot be written: nothing is answered unlogged, the reason is told, and it goes on by itself."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flightline.core.settings import Settings
from tests.support.servers.service_load import HIGH, LOW, lost_predictions
from tests.support.servers.service_process import Answer, Service, running
from tests.support.small_service import PREDICT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
PATIENCE = {"FLIGHTLINE_PREDICTION_LOG__BUSY_TIMEOUT_SECONDS": 0.2}
FULL, LOCKED, NO_FOLDER = "has no room left on its disk", "was locked by another process", "its folder is missing"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logged")


@pytest.fixture(scope="module")
def disk(root: Path) -> Iterator[Path | None]:
    """Put the log on a disk of 2 MB, if this machine lets us."""
    folder = root / ".state" / "prediction_log"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder if is_mounted else None
    if is_mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def service(root: Path, disk: Path | None) -> Iterator[Service]:
    with running(root, **PATIENCE) as up:
        yield up


def ask(service: Service, rows: int = 2) -> Answer:
    return service.ask(PREDICT, {"instances": [HIGH, LOW] * (rows // 2)})


def acknowledged(answer: Answer) -> list[str]:
    return [one["prediction_id"] for one in answer.json()["predictions"]]


def refuses_until(service: Service, mend: Callable[[], object], words: str) -> None:
    """Demand that the service refuses with these words, and goes on when it is mended."""
    refused, ready = ask(service), service.ask("/health/ready")
    assert (refused.status, ready.status) == (503, 503)
    assert words in refused.json()["error"]
    assert words in ready.json()["reason"]
    assert int(refused.headers["retry-after"]) > 0
    assert service.ask("/health/live").status == 200
    mend()
    wait_until(service.is_ready, said="it is ready again")
    assert ask(service).status == 200


def test_a_full_disk(service: Service, root: Path, disk: Path | None) -> None:
    if disk is None:
        pytest.skip("no disk can be mounted here")
    ids = acknowledged(ask(service))
    with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    # What the write-ahead log has room for is still taken, and is safe.
    while (answer := ask(service, rows=200)).status == 200:
        ids += acknowledged(answer)
        assert len(ids) < 50_000
    refuses_until(service, (disk / "ballast").unlink, FULL)
    assert lost_predictions(Settings(root=root), ids) == 0


@contextmanager
def locked(root: Path) -> Iterator[Callable[[], object]]:
    with closing(sqlite3.connect(Settings(root=root).prediction_log_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield lambda: other.execute("ROLLBACK")


def test_a_lock(service: Service, root: Path) -> None:
    assert ask(service).status == 200
    with locked(root) as unlock:
        refuses_until(service, unlock, LOCKED)


def test_a_folder_that_is_gone_for_a_while(tmp_path: Path) -> None:
    folder = tmp_path / ".state" / "prediction_log"
    with running(tmp_path, **PATIENCE) as service:
        ids = acknowledged(ask(service))
        folder.rename(tmp_path / "aside")
        folder.write_text("in the way")

        def restore() -> None:
            folder.unlink()
            (tmp_path / "aside").rename(folder)

        refuses_until(service, restore, NO_FOLDER)
        assert lost_predictions(Settings(root=tmp_path), ids) == 0


def test_where_it_is_not_required_answers_leave_without_it(tmp_path: Path) -> None:
    with running(tmp_path, FLIGHTLINE_PREDICTION_LOG__REQUIRED="false", **PATIENCE) as service:
        assert ask(service).status == 200
        with locked(tmp_path) as unlock:
            assert ask(service).status == 200
            assert service.ask("/health/ready").status == 200
            assert service.metrics()["flightline_log_failures_total"] >= 1
            unlock()

        def is_logged() -> bool:
            return lost_predictions(Settings(root=tmp_path), acknowledged(ask(service))) == 0

        wait_until(is_logged, said="predictions are logged again")
