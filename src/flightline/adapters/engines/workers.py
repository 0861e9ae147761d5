"""Workers that fits are handed to: processes of this machine, or a Dask cluster's.

https://joblib.readthedocs.io/en/stable/parallel.html, https://distributed.dask.org/en/stable/client.html

Nothing here imports dask.distributed before an address is set.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from flightline.core.errors import EngineError
from flightline.core.settings import DaskSettings

if TYPE_CHECKING:
    from distributed import Client

Job = tuple[Any, ...]
RunJobs = Callable[[Callable[..., Any], Sequence[Job]], list[Any]]

_TRIES = 2
_CONNECT_SECONDS = 5


@contextmanager
def open_workers(dask: DaskSettings, processes: int) -> Iterator[RunJobs]:
    """Open what runs a function on many arguments at once and gives the results in order.

    A job whose process is lost is run again: function and arguments must allow it, and both must be importable and
    picklable. Each job computes with one thread.

    Parameters
    ----------
    dask
        If it has an address, the jobs go to that cluster.
    processes
        Else so many processes of this machine; 1: this one.

    Raises
    ------
    EngineError
        If nobody answers at the address, or the workers are lost again and again.
    """
    if not dask.address:
        yield lambda function, jobs: _on_this_machine(function, jobs, processes)
        return
    with _connected(dask.address) as client:
        yield lambda function, jobs: _on_cluster(function, jobs, client, dask.address)


def _on_this_machine(function: Callable[..., Any], jobs: Sequence[Job], processes: int) -> list[Any]:
    for left in reversed(range(_TRIES)):
        try:
            return Parallel(n_jobs=processes, batch_size=1)(delayed(_with_one_thread)(function, job) for job in jobs)
        except BrokenProcessPool as err:
            if not left:
                raise EngineError(
                    f"a process of {processes} ended without a result {_TRIES} times, as it does when memory runs "
                    "out: run it again with FLIGHTLINE_THREADS=1 for one process alone; what was finished is kept"
                ) from err
    raise AssertionError("no try is left")


def _on_cluster(function: Callable[..., Any], jobs: Sequence[Job], client: "Client", address: str) -> list[Any]:
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    try:
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        # Not by joblib's backend for Dask, which waits for ever for a job that Dask has given up.
        return client.gather(client.map(partial(_with_one_thread, function), jobs, pure=False))
    except TimeoutError as err:
        raise EngineError(f"the Dask scheduler at {address} has no worker: start one, `dask worker {address}`") from err
    except KilledWorker as err:
        raise EngineError(
            f"several workers of the Dask cluster at {address} were lost with the same job, as when memory runs out: "
            "give them more, or fewer threads each; what was finished is kept"
        ) from err
    except ModuleNotFoundError as err:
        raise EngineError(
            f"a worker of the Dask cluster at {address} has no module {err.name}: its workers need this project's "
            "code and environment (docs/scale.md)"
        ) from err
    except (FutureCancelledError, CommClosedError, OSError) as err:
        raise EngineError(f"the Dask scheduler at {address} is gone; what was finished is kept: run it again") from err


def _with_one_thread(function: Callable[..., Any], job: Job) -> Any:
    with threadpool_limits(1):
        return function(*job)


@contextmanager
def _connected(address: str) -> Iterator["Client"]:
    try:
        version("distributed")
    except PackageNotFoundError as err:
        raise EngineError(
            "FLIGHTLINE_DASK__ADDRESS is set, and dask.distributed is not installed: run `make dask`, which installs "
            "locks/extra-dask.txt"
        ) from err
    from distributed import Client

    try:
        asyncio.run(asyncio.wait_for(_greet(address), 2 * _CONNECT_SECONDS))
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as err:
        raise EngineError(
            f"no Dask scheduler answers at {address}: start it (`dask scheduler`), or correct FLIGHTLINE_DASK__ADDRESS"
        ) from err
    with client:
        yield client


async def _greet(address: str) -> None:
    """Exchange Dask's first words: a client waits for them for ever where something else listens."""
    from distributed.comm import connect

    await (await connect(address, timeout=_CONNECT_SECONDS)).close()
