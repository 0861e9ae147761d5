"""Where fits are handed to: what is wrong with the workers is one sentence. On Dask: tests/dask/."""

import os
import subprocess
import sys

import pytest

from flightline.adapters.engines import workers
from flightline.core.errors import EngineError
from flightline.core.settings import DaskSettings


def end() -> None:
    os._exit(9)


def doubled(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes):
    with workers.open_workers(DaskSettings(), processes) as run_jobs:
        assert run_jobs(doubled, [(number,) for number in range(9)]) == list(range(0, 18, 2))


def test_processes_that_end_again_and_again_are_told_of():
    with (
        pytest.raises(EngineError, match=r"a process of 2 ended without a result 2 times.*FLIGHTLINE_THREADS=1"),
        workers.open_workers(DaskSettings(), 2) as run_jobs,
    ):
        run_jobs(end, [(), ()])


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def lacking(name: str) -> str:
        raise workers.PackageNotFoundError(name)

    monkeypatch.setattr(workers, "version", lacking)
    with (
        pytest.raises(EngineError, match=r"dask\.distributed is not installed: run `make dask`"),
        workers.open_workers(DaskSettings(address="tcp://127.0.0.1:1"), 1),
    ):
        pass


def test_without_an_address_dask_is_not_imported():
    code = (
        "import sys; from flightline.adapters.engines.workers import open_workers\n"
        "from flightline.core.settings import DaskSettings\n"
        "with open_workers(DaskSettings(), 1) as run_jobs: run_jobs(abs, [(1,)])\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'distributed'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
