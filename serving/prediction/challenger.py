"""A challenger as a worker asks it: off the event loop, within a bound, and never trusted.

It runs in one daemon thread, so that one that hangs holds up neither a request nor the end of
the worker. A request waits for it only where it answers, and then for so long and no longer.
"""

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flightline.adapters.model_store.served_model import ServedModel
from flightline.inference.fast_pipeline import Value
from flightline.inference.predict import predict_rows
from flightline.problem.api_schema import Instance
from flightline.problem.config import PROBLEM
from flightline.problem.request_features import request_features
from flightline.promotion.canary import CanarySetting, ChallengerCounts
from serving.prediction.predictor import Answered, as_rows, columns_of, input_rows
from serving.telemetry.metrics import record_canary

FAILURES_IN_A_ROW, PAUSE_SECONDS = 5, 30.0


class ChallengerThread:
    """Does one thing after another, beside the event loop."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Do something soon; the future is of the running event loop."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="challenger", daemon=True)
            self._thread.start()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put((work, future))
        return future

    def _run(self) -> None:
        while True:
            work, future = self._jobs.get()
            try:
                result, error = work(), None
            except BaseException as err:  # noqa: BLE001  # whatever a model does, the thread goes on
                result, error = None, err
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: the worker ends


def _settle(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if not future.done():
        future.set_result((result, error))


@dataclass
class Challenger:
    """A model beside the champion, and what was counted of it since it was last asked for its counts.

    Parameters
    ----------
    setting
        What it may do.
    """

    setting: CanarySetting
    model: ServedModel
    thread: ChallengerThread
    slow_seconds: float
    counts: ChallengerCounts = field(default_factory=ChallengerCounts)
    _in_a_row: int = 0
    _paused_until: float = 0.0
    _stuck: "asyncio.Future[Any] | None" = field(default=None, repr=False)

    async def ask(
        self, answered: Sequence[Answered], instances: Sequence[Instance], seconds: float
    ) -> list[Answered] | None:
        """Ask for the same rows as the champion; None if it fails, is late, or is left alone for a while.

        Parameters
        ----------
        seconds
            To wait at most.
        """
        if not self._may_be_asked():
            self._count("dropped", dropped=len(answered))
            return None
        asked = self.thread.submit(lambda: _ask(self.model, answered, instances))
        done, _ = await asyncio.wait({asked}, timeout=seconds)
        if not done:
            self._stuck = asked
            self._count_fault("slow", asked=len(answered), slow=len(answered), seconds=seconds)
            return None
        told, error = asked.result()
        if error is not None:
            self._count_fault("failed", asked=len(answered), failed=len(answered))
            return None
        given, took = told
        self._in_a_row = 0
        self._count(
            "slow" if took > self.slow_seconds else "",
            asked=len(given),
            slow=len(given) if took > self.slow_seconds else 0,
            seconds=took,
        )
        return given

    def drop(self, rows: int) -> None:
        """Count rows it was not asked for."""
        self._count("dropped", dropped=rows)

    def take_counts(self) -> ChallengerCounts:
        """Give what was counted, and count anew."""
        counts, self.counts = self.counts, ChallengerCounts()
        return counts

    def _may_be_asked(self) -> bool:
        is_stuck = self._stuck is not None and not self._stuck.done()
        return not is_stuck and time.monotonic() >= self._paused_until

    def _count_fault(self, reason: str, **counts: Any) -> None:
        self._count(reason, **counts)
        self._in_a_row += 1
        if self._in_a_row >= FAILURES_IN_A_ROW:
            self._in_a_row, self._paused_until = 0, time.monotonic() + PAUSE_SECONDS

    def _count(self, reason: str, **counts: Any) -> None:
        added = ChallengerCounts(**counts)
        self.counts = self.counts + added
        record_canary(reason, added.asked or added.dropped, added.seconds if added.asked else None)


def _ask(
    model: ServedModel, answered: Sequence[Answered], instances: Sequence[Instance]
) -> tuple[list[Answered], float]:
    """Predict in the challenger's thread, and say how long it took."""
    started = time.perf_counter()
    inputs = _inputs(model, answered, instances)
    values = predict_rows(PROBLEM.task, model.pipeline, model.quick, model.kinds, inputs).tolist()
    took = time.perf_counter() - started
    if len(values) != len(answered) or not all(map(math.isfinite, values)):
        raise ValueError(f"{len(values)} answers to {len(answered)} rows, or one that is no finite number")
    given = [
        Answered(value, row, one.row, by=model, role="shadow")
        for value, row, one in zip(values, inputs, answered, strict=True)
    ]
    return given, took


def _inputs(model: ServedModel, answered: Sequence[Answered], instances: Sequence[Instance]) -> list[dict[str, Value]]:
    """Give the challenger its own columns of what was read for the champion: the store is not asked again."""
    known = [{**(one.row.values if one.row else {}), **one.inputs} for one in answered]
    if all(name in known[0] for name in model.kinds):
        return [{name: row[name] for name in model.kinds} for row in known]
    rows = [one.row for one in answered if one.row is not None]
    return input_rows(model.kinds, rows, as_rows(request_features(columns_of(instances))))
