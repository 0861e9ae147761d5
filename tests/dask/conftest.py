"""A Dask cluster of two worker processes for these tests. They run by `make test-dask` alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.dask)


@contextmanager
def start_cluster(workers: int) -> Iterator[Any]:
    """Start a scheduler, and workers with a thread each, on free ports of 127.0.0.1."""
    distributed = pytest.importorskip("distributed", reason="needs the package: make test-dask installs it")
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two worker processes."""
    with start_cluster(2) as started:
        yield started
