"""Makes the copies, runs them two at a time, and judges each."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tests.proof.catalogue.fault import ASK, GATE_TESTS, SIGNATURE_TESTS, SIMULATE, STATUS, TRAIN, TRAIN_ANOTHER, Fault
from tests.proof.commands import Command, Processes, Result, StoppedError, environment_of
from tests.proof.copies import ProofError, check_own_code, copy_copy, make_base
from tests.proof.judgement import CONTROL, Outcome, Run, judge_control, judge_fault
from tests.proof.observation import observe
from tests.proof.server import prefect_server, wait_until_ready

CONTROL_COMMANDS = (TRAIN, TRAIN_ANOTHER, STATUS, GATE_TESTS, SIGNATURE_TESTS, ASK, SIMULATE)
AT_A_TIME = 2


class Bench:
    """The base copy and the server, on which any fault can be tried."""

    def __init__(self, processes: Processes, folder: Path, api_url: str) -> None:
        self._processes, self._folder, self._api_url = processes, folder, api_url
        self._training = threading.Lock()

    @property
    def base(self) -> Path:
        """The clean copy."""
        return self._folder / "base"

    def make_trained(self) -> Path:
        """Give the copy of the base in which a model was trained and promoted; it is made once.

        Raises
        ------
        ProofError
            If the training fails.
        """
        trained = self._folder / "trained"
        with self._training:
            if not trained.exists():
                copy_copy(self.base, trained)
                for result in self._run_commands(trained, (TRAIN,)):
                    if result.exit_code:
                        raise ProofError(f"the training of the clean copy failed:\n{result.output}")
        return trained

    def try_fault(self, fault: Fault) -> Outcome:
        """Plant a fault in a copy of the base, run its commands, judge what came of it."""
        start = time.perf_counter()
        try:
            source = self.make_trained() if fault.is_trained else self.base
            run = self._run(fault.name, fault.before, fault.put_into, fault.commands, source)
        except (ProofError, OSError) as err:
            seconds = time.perf_counter() - start
            return Outcome(fault.name, fault.safeguard, frozenset(), (str(err),), seconds, is_run=False)
        return judge_fault(fault, run)

    def try_control(self) -> Outcome:
        """Run the loop in an unaltered copy."""
        return judge_control(self._run(CONTROL, (), lambda copy: None, CONTROL_COMMANDS, self.base))

    def _run(
        self,
        name: str,
        before: Sequence[Command],
        plant: Callable[[Path], None],
        commands: Sequence[Command],
        source: Path,
    ) -> Run:
        start = time.perf_counter()
        copy = self._folder / name
        copy_copy(source, copy)
        check_own_code(self._processes, copy, self._api_url)
        preparation = self._run_commands(copy, before)
        plant(copy)
        state = observe(copy)
        results = self._run_commands(copy, commands)
        return Run(preparation, results, state, observe(copy), time.perf_counter() - start)

    def _run_commands(self, copy: Path, commands: Sequence[Command]) -> tuple[Result, ...]:
        """Run commands up to the first that fails."""
        results = []
        for command in commands:
            results.append(self._processes.run(command, copy, environment_of(copy, self._api_url)))
            if results[-1].exit_code:
                break
        return tuple(results)


@contextmanager
def open_bench(processes: Processes, folder: Path, root: Path) -> Iterator[Bench]:
    """Start the server and make the base copy; end the server afterwards."""
    with prefect_server(processes, folder / "server", root) as api_url:
        bench = Bench(processes, folder, api_url)
        make_base(processes, bench.base, api_url)
        wait_until_ready(api_url, folder / "server")
        yield bench


def run_all(
    bench: Bench, faults: Sequence[Fault], with_control: bool, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Try everything, two at a time and the longest first.

    Parameters
    ----------
    report
        Called with each outcome as it comes.

    Returns
    -------
    list of Outcome
        The control first, then in the order of the faults.
    """
    longest_first = sorted(faults, key=lambda fault: -len(fault.before) - len(fault.commands))
    pool = ThreadPoolExecutor(max_workers=AT_A_TIME)
    try:
        if any(fault.is_trained for fault in faults):
            pool.submit(bench.make_trained)  # first, so that nobody has to wait for it
        control: list[Future[Outcome]] = [pool.submit(bench.try_control)] if with_control else []
        tried = {fault.name: pool.submit(bench.try_fault, fault) for fault in longest_first}
        for future in as_completed([*control, *tried.values()]):
            report(future.result())
        return [future.result() for future in (*control, *(tried[fault.name] for fault in faults))]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def workspace(is_kept: bool) -> Iterator[Path]:
    """Give a temporary folder, and say where it is if it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="proof-"))
    try:
        yield folder
    finally:
        if is_kept:
            print(f"The copies are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def prove(
    faults: Sequence[Fault], with_control: bool, is_kept: bool, root: Path, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run the proof; whatever happens, no process and (unless kept) no folder is left."""
    processes = Processes()
    with workspace(is_kept) as folder:
        try:
            with open_bench(processes, folder, root) as bench:
                return run_all(bench, faults, with_control, report)
        except StoppedError:
            raise KeyboardInterrupt from None
        finally:
            processes.stop()
