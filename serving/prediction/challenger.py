"""A challenger as a worker runs it: off the event loop, within a bound, and never trusted.

It runs in one daemon thread, so that one that hangs holds up neither a request nor the end of
the worker. A request waits for it only where it answers, and then for so long and no longer.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from flightline.inference.fast_pipeline import Value
from flightline.promotion.canary import CanarySetting, ChallengerCounts
from serving.prediction.predictor import PredictionResult, Predictor, columns_of, predict_with
from serving.prediction.side_thread import SideThread
from serving.telemetry.metrics import record_canary

FAILURES_IN_A_ROW, PAUSE_SECONDS = 5, 30.0


@dataclass
class Challenger:
    """A model beside the champion, and what was counted of it since `take_counts`.

    Parameters
    ----------
    setting
        What it may do.
    predictor
        Its model on the champion's features, which are not read again for it.
    """

    setting: CanarySetting
    predictor: Predictor
    thread: SideThread
    slow_seconds: float
    counts: ChallengerCounts = field(default_factory=ChallengerCounts)
    _in_a_row: int = 0
    _paused_until: float = 0.0
    _stuck: "asyncio.Future[Any] | None" = field(default=None, repr=False)

    async def predict(
        self,
        results: Sequence[PredictionResult],
        instances: Sequence[BaseModel],
        clock: datetime,
        max_seconds: float,
    ) -> list[PredictionResult] | None:
        """Predict for the same rows as the champion; None if it fails, is late, or is left alone for a while.

        Parameters
        ----------
        results
            The champion's, as of the clock.
        max_seconds
            How long to wait.
        """
        rows = len(results)
        if not self._is_available():
            self._count("dropped", dropped=rows)
            return None
        job = self.thread.submit(lambda: _predict(self.predictor, results, instances, clock))
        done, _ = await asyncio.wait({job}, timeout=max_seconds)
        if not done:
            self._stuck = job
            self._count_failure("slow", asked=rows, slow=rows, seconds=max_seconds)
            return None
        outcome, error = job.result()
        if error is not None:
            self._count_failure("failed", asked=rows, failed=rows)
            return None
        predicted, seconds = outcome
        is_slow = seconds > self.slow_seconds
        self._in_a_row = 0
        self._count("slow" if is_slow else "", asked=rows, slow=rows if is_slow else 0, seconds=seconds)
        return predicted

    def drop(self, rows: int) -> None:
        """Count rows it made no prediction for."""
        self._count("dropped", dropped=rows)

    def take_counts(self) -> ChallengerCounts:
        """Give what was counted, and count anew."""
        counts, self.counts = self.counts, ChallengerCounts()
        return counts

    def _is_available(self) -> bool:
        is_stuck = self._stuck is not None and not self._stuck.done()
        return not is_stuck and time.monotonic() >= self._paused_until

    def _count_failure(self, reason: str, **counts: Any) -> None:
        self._count(reason, **counts)
        self._in_a_row += 1
        if self._in_a_row >= FAILURES_IN_A_ROW:
            self._in_a_row, self._paused_until = 0, time.monotonic() + PAUSE_SECONDS

    def _count(self, reason: str, **counts: Any) -> None:
        added = ChallengerCounts(**counts)
        self.counts = self.counts + added
        record_canary(reason, added.asked or added.dropped, added.seconds if added.asked else None)


def _predict(
    predictor: Predictor, results: Sequence[PredictionResult], instances: Sequence[BaseModel], clock: datetime
) -> tuple[list[PredictionResult], float]:
    """Predict in the challenger's thread, and give the seconds it took too."""
    started = time.perf_counter()
    inputs = _inputs(predictor, results, instances, clock)
    values = predict_with(predictor.model, inputs)
    seconds = time.perf_counter() - started
    if len(values) != len(results) or not np.isfinite(values).all():
        raise ValueError(f"got {len(values)} values for {len(results)} rows, expected as many finite numbers")
    predicted = [
        PredictionResult(value, row, result.row, model=predictor.model, role="shadow")
        for value, row, result in zip(values, inputs, results, strict=True)
    ]
    return predicted, seconds


def _inputs(
    predictor: Predictor, results: Sequence[PredictionResult], instances: Sequence[BaseModel], clock: datetime
) -> list[dict[str, Value]]:
    """Give the challenger its own columns of what was read for the champion: the store is not read again."""
    model = predictor.model
    known = [{**(result.row.values if result.row else {}), **result.inputs} for result in results]
    if all(name in known[0] for name in model.kinds):
        return [{name: row[name] for name in model.kinds} for row in known]
    rows = [result.row for result in results if result.row is not None]
    return predictor.inputs(columns_of(instances, predictor.fields), rows, clock)
