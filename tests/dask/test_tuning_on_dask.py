"""A search on a Dask cluster finds what one process finds, also when a worker is killed in between."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flightline.adapters.engines.workers import RunJobs, open_workers
from flightline.adapters.ports import free_port
from flightline.core.errors import EngineError
from flightline.core.settings import DaskSettings
from tests.dask.conftest import start_cluster
from tests.support.models.small_search import KILLED, found, lose_a_worker
from tests.support.small_training_set import write_training_set


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("training set") / "a sêt", "classification")


@pytest.fixture(scope="module")
def expected(training_set, tmp_path_factory):
    return found(tmp_path_factory.mktemp("one process"), training_set, threads=1)


@contextmanager
def workers_of(address: str) -> Iterator[RunJobs]:
    with open_workers(DaskSettings(address=address), 1) as run_jobs:
        yield run_jobs


def test_a_cluster_finds_what_one_process_finds(cluster, training_set, expected, tmp_path):
    assert found(tmp_path, training_set, dask={"address": cluster.scheduler_address}) == expected


def test_both_workers_fit(cluster):
    with workers_of(cluster.scheduler_address) as run_jobs:
        assert len(set(run_jobs(os.getpid, [()] * 20)) - {os.getpid()}) == 2


def test_a_worker_killed_in_between_changes_nothing(cluster, training_set, expected, tmp_path, monkeypatch):
    (training_set.folder / KILLED).unlink(missing_ok=True)
    with monkeypatch.context() as patched:
        lose_a_worker(patched)
        lost = found(tmp_path, training_set, dask={"address": cluster.scheduler_address})
    assert (training_set.folder / KILLED).exists()
    assert lost == expected


def end() -> None:
    os._exit(9)


def test_workers_that_are_lost_again_and_again_are_told_of(cluster):
    with (
        pytest.raises(EngineError, match=r"several workers of the Dask .* were lost with the same job"),
        workers_of(cluster.scheduler_address) as run_jobs,
    ):
        run_jobs(end, [()])


def test_an_address_where_nobody_answers_is_named():
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        pytest.raises(EngineError, match=f"^no Dask scheduler answers at {address}: .*FLIGHTLINE_DASK__ADDRESS$"),
        workers_of(address),
    ):
        pass


def test_an_address_where_something_else_answers_is_named(http_server):
    with (
        pytest.raises(EngineError, match=f"^no Dask scheduler answers at {http_server}: "),
        workers_of(http_server),
    ):
        pass


@pytest.fixture
def http_server() -> Iterator[str]:
    """A server that is no scheduler."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_scheduler_without_workers_is_named():
    with (
        start_cluster(0) as empty,
        workers_of(empty.scheduler_address) as run_jobs,
        pytest.raises(EngineError, match=r"the Dask scheduler at tcp://.* has no worker"),
    ):
        run_jobs(os.getpid, [()])


def test_a_scheduler_that_goes_away_is_told_of():
    with start_cluster(1) as started, workers_of(started.scheduler_address) as run_jobs:
        started.close()
        with pytest.raises(EngineError, match=r"the Dask scheduler at tcp://.* is gone"):
            run_jobs(os.getpid, [()])
