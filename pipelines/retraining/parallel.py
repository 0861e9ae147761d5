"""Jobs in parallel over processes, whose results are files that stay: what is there is not made again.

Processes import this module and what the jobs need, so it imports no tool that takes seconds.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from flightline.core.errors import TrainingError
from pipelines.common.progress import Stage

Jobs = Mapping[str, tuple[Path, tuple[object, ...]]]


def run_all(jobs: Jobs, function: Callable[..., object], processes: int, progress: Stage) -> None:
    """Run the jobs whose result is not there yet, so many at a time, and say after each how long the rest may take.

    Parameters
    ----------
    jobs
        By name, the path of the result and the arguments that make it.
    function
        Writes the result, whole or not at all.
    processes
        One runs them in this process.

    Raises
    ------
    TrainingError
        If a process ends without a result, as when memory runs out.
    """
    missing = {name: arguments for name, (result, arguments) in jobs.items() if not result.exists()}
    if not missing:
        return
    kept = f" ({len(jobs) - len(missing)} kept from before)" if len(missing) < len(jobs) else ""
    progress.note(f"{len(missing)} of {len(jobs)} to do in {processes} process(es){kept}")
    begin, done = time.perf_counter(), 0
    if processes == 1:
        for name, arguments in missing.items():
            seconds, done = _timed(function, arguments), done + 1
            progress.note(_told(name, seconds, done, len(missing), time.perf_counter() - begin), done, len(missing))
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        running = {pool.submit(_timed, function, arguments): name for name, arguments in missing.items()}
        for future in as_completed(running):
            seconds, done = _result(future), done + 1
            progress.note(
                _told(running[future], seconds, done, len(missing), time.perf_counter() - begin), done, len(missing)
            )
    finally:
        pool.shutdown(cancel_futures=True)


def _result(future: "Future[float]") -> float:
    try:
        return future.result()
    except BrokenProcessPool as err:
        raise TrainingError(
            "a process of the replay ended without a result, as it does when memory runs out; what is done is kept: "
            "run it again, with FLIGHTLINE_THREADS=1 for one process alone"
        ) from err


def _timed(function: Callable[..., object], arguments: tuple[object, ...]) -> float:
    begin = time.process_time()
    with threadpool_limits(1):
        function(*arguments)
    return time.process_time() - begin


def _told(name: str, seconds: float, done: int, of: int, passed: float) -> str:
    left = timedelta(seconds=round(passed / done * (of - done)))
    return f"{name}  {done} of {of}, {seconds:.1f} s of a processor; about {left} left"
