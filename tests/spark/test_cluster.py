"""On a master and two workers, as `make spark-up` starts them: what DuckDB gives, also when a worker is killed."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from flightline.adapters.ports import free_port
from flightline.core.settings import Settings
from tests.spark.conftest import OPTIONS
from tests.spark.work import compute, tables_of
from tests.support.waiting import wait_until
from tests.toy_tables import FEATURE_TABLES
from tools.spark_cluster import WORKERS, Cluster, find_cluster, is_at_work, living_workers, state_of, up

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
NOT_YET = {"id": "not yet", "activeTasks": 0, "isActive": True}
MEMORY = {"spark.driver.memory": "600m", "spark.executor.memory": "512m", "spark.sql.shuffle.partitions": "2"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of this test's own; it ends as `make spark-down` ends it."""
    pytest.importorskip("pyspark", reason="needs the package: make test-spark installs it")
    settings = Settings(root=tmp_path / "a clüster")
    started = up(settings)
    yield started
    find_cluster(settings).end()
    assert not any(map(is_at_work, started.processes.values()))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that DuckDB computed."""
    root = tmp_path_factory.mktemp("by dückdb")
    compute(root)
    return root


class Computing:
    """The same on the cluster, in a process of its own, whose driver says at a page of its own what it does."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.page = root, free_port()
        shown = {"spark.ui.enabled": "true", "spark.ui.port": str(self.page), "spark.ui.liveUpdate.period": "0"}
        spark = {"master": cluster.master, "options": OPTIONS | MEMORY | shown}
        chosen = {"engine": "spark", "threads": 2, "spark": spark}
        self.process = get_context("spawn").Process(target=compute, args=(root,), kwargs=chosen)
        self.process.start()

    def executors(self) -> list[dict[str, Any]]:
        """Ask the driver for all executors it has had; a driver that is not up counts as away."""
        assert self.process.is_alive(), "it ended too early"
        base = f"http://127.0.0.1:{self.page}/api/v1/applications"
        try:
            (application,) = answer_of(base)
            found = answer_of(f"{base}/{application['id']}/allexecutors")
        except ValueError as err:  # in words: it is starting
            raise ConnectionError(*err.args) from err
        return [each for each in found if each["id"] != "driver"]

    def executor(self, number: str) -> dict[str, Any]:
        """Give what the driver says of one."""
        return next(each for each in [*self.executors(), NOT_YET] if each["id"] in {number, NOT_YET["id"]})


@contextmanager
def computing(root: Path, cluster: Cluster) -> Iterator[Computing]:
    """Compute while the block runs; it ends when all is computed, or has failed."""
    run = Computing(root, cluster)
    try:
        yield run
        run.process.join()
        assert run.process.exitcode == 0
    finally:
        if run.process.is_alive():
            for process in psutil.Process(run.process.pid).children(recursive=True):
                process.kill()
        run.process.kill()
        run.process.join()


def answer_of(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return json.load(answer)


def executor_of(worker: psutil.Process) -> str:
    """Give the number of the executor that a worker runs; empty if it runs none."""
    for child in worker.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if EXECUTOR in (words := child.cmdline()):
                return words[words.index("--executor-id") + 1]
    return ""


def demand_equal(root: Path, expected: Path) -> None:
    def made(place: Path) -> list[Path]:
        return [*(tables_of(place) / f"{name}.parquet" for name in FEATURE_TABLES), place / "training_set.parquet"]

    for pair in zip(made(root), made(expected), strict=True):
        got, known = map(pd.read_parquet, pair)
        pd.testing.assert_frame_equal(got, known, check_exact=True)
        assert len(known) > 1000


def test_two_workers_compute_what_duckdb_computes(cluster: Cluster, expected: Path, tmp_path: Path) -> None:
    with computing(tmp_path / "by the clüster", cluster) as run:
        wait_until(
            lambda: sum(each["totalTasks"] > 0 for each in run.executors()) == WORKERS, said="each has had a task"
        )
    demand_equal(run.root, expected)


def test_its_files_may_lie_on_s3(cluster: Cluster, expected: Path, bucket: Path) -> None:
    with computing(bucket / "on s3", cluster) as run:
        wait_until(lambda: any(each["totalTasks"] > 0 for each in run.executors()), said="one has had a task")
    demand_equal(run.root, expected)


def test_a_worker_killed_during_the_features_changes_no_value(cluster: Cluster, expected: Path, tmp_path: Path) -> None:
    victim = cluster.processes["worker-1"]
    with computing(tmp_path / "with a löss", cluster) as run:
        number = wait_until(lambda: executor_of(victim), said="the worker has an executor")
        wait_until(lambda: run.executor(number)["activeTasks"], said="it has a task")
        os.killpg(victim.pid, signal.SIGKILL)
        assert not tables_of(run.root).exists(), "the features were finished before"
        wait_until(lambda: living_workers(state_of(cluster.page)) == 1, said="the master misses it")
        wait_until(lambda: not run.executor(number)["isActive"], said="the driver misses it")
    demand_equal(run.root, expected)
    assert sorted(worker["state"] for worker in state_of(cluster.page)["workers"]) == ["ALIVE", "DEAD"]
