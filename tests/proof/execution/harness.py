"""Trains in one copy, makes the others of it, runs as many at once as there are cores, and judges each."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.proof.execution.commands import Command, Processes, Result, StoppedError, environment_of
from tests.proof.execution.copies import ProofError, check_own_code, copy_copy, forget_models, make_base
from tests.proof.execution.forked import start_forkserver
from tests.proof.execution.server import prefect_server, wait_until_ready
from tests.proof.fault import ASK, GATE_TESTS, SIGNATURE_TESTS, SIMULATE, SMALL, STATUS, TRAIN, TRAIN_ANOTHER, Fault
from tests.proof.judgement import CONTROL, Outcome, Run, expected_words, judge_control, judge_fault, set_aside
from tests.proof.observation import observe

SURVEY: Command = ("-m", "tests.proof.inside.survey")
CHOICES = Path("tests/proof/planted/choices.json")
CONTROL_COMMANDS = (TRAIN_ANOTHER, STATUS, GATE_TESTS, SIGNATURE_TESTS, ASK, SIMULATE)
AT_A_TIME = os.cpu_count() or 1


class Bench:
    """The base copy, trained once, and the server, on which any fault can be tried."""

    def __init__(self, processes: Processes, folder: Path, api_url: str) -> None:
        self._processes, self._folder, self._api_url = processes, folder, api_url
        self.training: Run | None = None

    @property
    def base(self) -> Path:
        """The clean copy, in which a model was trained and promoted."""
        return self._folder / "base"

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen for the problem; see `inside/survey.py`."""
        file = self.base / CHOICES
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    def train(self) -> None:
        """Train and promote a model in the base, and choose where the faults of the problem are planted.

        Raises
        ------
        ProofError
            If either fails.
        """
        start, before = time.perf_counter(), observe(self.base)
        results = self._run_commands(self.base, (TRAIN, SURVEY))
        if results[-1].exit_code:
            said = "\n".join(result.output for result in results)
            raise ProofError(f"the training of the clean copy failed:\n{said}")
        self.training = Run((), results[:1], before, observe(self.base), time.perf_counter() - start)

    def try_fault(self, fault: Fault) -> Outcome:
        """Plant a fault in a copy of the base, run its commands, judge what came of it."""
        chosen = self.choices.get(fault.name, {})
        if "not_applicable" in chosen:
            return set_aside(fault, chosen["not_applicable"])
        start = time.perf_counter()
        try:
            run, planted = self._run(fault)
            expected = expected_words(fault, planted, self.choices)
        except (ProofError, OSError, KeyError) as err:
            seconds = time.perf_counter() - start
            return Outcome(fault.name, fault.safeguard, frozenset(), (repr(err),), seconds, is_run=False)
        return judge_fault(fault, run, expected)

    def try_control(self) -> Outcome:
        """Go on in an unaltered copy with the rest of the loop."""
        start = time.perf_counter()
        copy = self._copy(CONTROL)
        results = self._run_commands(copy, CONTROL_COMMANDS)
        if self.training is None:
            raise ProofError("the base was not trained")
        trained = self.training
        seconds = trained.seconds + time.perf_counter() - start
        return judge_control(Run((), (*trained.results, *results), trained.before, observe(copy), seconds))

    def _copy(self, name: str) -> Path:
        copy = self._folder / name
        copy_copy(self.base, copy)
        check_own_code(self._processes, copy, self._api_url)
        return copy

    def _run(self, fault: Fault) -> tuple[Run, tuple[str, ...]]:
        start = time.perf_counter()
        copy = self._copy(fault.name)
        if fault.is_first:
            forget_models(copy)
        preparation = self._run_commands(copy, fault.before)
        planted = fault.put_into(copy)
        state = observe(copy)
        results = self._run_commands(copy, fault.commands, fault.package)
        run = Run(preparation, results, state, observe(copy), time.perf_counter() - start)
        return run, planted

    def _run_commands(self, copy: Path, commands: Sequence[Command], package: str = SMALL) -> tuple[Result, ...]:
        """Run commands up to the first that fails."""
        results: list[Result] = []
        words = self.choices.get("words", {})
        for command in commands:
            spoken = tuple(part.format_map(words) for part in command)
            results.append(self._processes.run(spoken, copy, environment_of(copy, self._api_url, package)))
            if results[-1].exit_code:
                break
        return tuple(results)


@contextmanager
def open_bench(processes: Processes, folder: Path, root: Path) -> Iterator[Bench]:
    """Start the server, make the base copy and train in it; end the server afterwards."""
    with prefect_server(processes, folder / "server", root) as api_url:
        start_forkserver({**environment_of(root, api_url), "PREFECT_HOME": ".state/prefect"})
        bench = Bench(processes, folder, api_url)
        make_base(processes, bench.base, api_url)
        wait_until_ready(api_url, folder / "server")
        bench.train()
        yield bench


def run_all(
    bench: Bench, faults: Sequence[Fault], with_control: bool, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Try everything, the longest first.

    Parameters
    ----------
    report
        Called with each outcome as it comes.

    Returns
    -------
    list of Outcome
        The control first, then in the order of the faults.
    """
    longest_first = sorted(faults, key=lambda fault: (SIMULATE not in fault.commands, -len(fault.commands)))
    pool = ThreadPoolExecutor(max_workers=AT_A_TIME)
    try:
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
