"""Puts each prediction on disk before its answer leaves, and counts it."""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from pydantic import BaseModel

from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog, instance_key, is_refused_row
from flightline.adapters.prediction_log.rows import Row
from flightline.core.errors import LogError, UnloggableError
from flightline.core.prediction_record import Endpoint, logged_answer, make_prediction_id
from flightline.core.settings import Settings
from serving.prediction.group_commit import GroupCommit
from serving.prediction.predictor import NOTHING_KNOWN, PredictionResult, Predictor
from serving.prediction.side_thread import FEW_TO_LOG, run_beside_if_many
from serving.telemetry.logs import caller, request_id
from serving.telemetry.metrics import (
    record_features,
    record_log_failure,
    record_log_write,
    record_prediction,
    record_rows,
    set_log_free_bytes,
)
from serving.telemetry.tracing import span

LOG = logging.getLogger("serving")
PAUSE_SECONDS = 1.0
FREE_EVERY_SECONDS = 60.0
_WITHOUT_KEYS = instance_key({})  # of ready features


class PredictionLogger:
    """The prediction log of one worker, opened by `open` or when it is needed, and again whenever that has failed.

    Parameters
    ----------
    settings
        Where the log is, and whether answers may leave without it.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._is_enabled = settings.prediction_log.enabled
        self._is_required = self._is_enabled and settings.prediction_log.required
        # A file's lock is short, a server's round trip is not: it must not hold up other requests.
        url = settings.prediction_log.url.get_secret_value()
        self._is_file = not url or url.startswith("sqlite")
        self._group = GroupCommit(
            self._write, is_beside=not self._is_file or settings.prediction_log.synchronous == "FULL"
        )
        self._log: PredictionLog | None = None
        self._broken: tuple[float, str] = (0.0, "")

    async def record(
        self,
        endpoint: Endpoint,
        predictor: Predictor,
        clock: datetime,
        results: Sequence[PredictionResult],
        instances: Sequence[BaseModel | None],
    ) -> list[str]:
        """Write what was answered, and give the predictions' ids; they are on disk when this returns.

        Raises
        ------
        LogError
            If they cannot be written, unless the settings allow answers without the log.
        """
        if not self._is_enabled:
            await run_beside_if_many(len(results), partial(_count, endpoint, predictor, clock, results), FEW_TO_LOG)
            now = datetime.now(UTC)
            return [make_prediction_id(now) for _ in results]
        made = (endpoint, predictor, clock, results, instances, request_id.get(), caller.get())
        rows = await run_beside_if_many(len(results), partial(_counted_rows, *made), FEW_TO_LOG)
        await self._put(rows)
        return [row.prediction_id for row in rows]

    def shadow_rows(
        self,
        predictor: Predictor,
        clock: datetime,
        results: Sequence[PredictionResult],
        instances: Sequence[BaseModel | None],
        request: str,
        made_for: str,
    ) -> list[LoggedPrediction]:
        """Make the rows of predictions that were no answer, and count them."""
        for result in results:
            record_prediction(*_made_by(result, predictor))
        return _rows("predict", predictor, clock, results, instances, request, made_for)

    async def write_shadow_rows(self, rows: Sequence[LoggedPrediction]) -> None:
        """Write such rows; no answer waits for them.

        Raises
        ------
        LogError
            If they cannot be written.
        """
        if rows and self._is_enabled:
            await self._put(rows)

    async def _put(self, rows: Sequence[LoggedPrediction]) -> None:
        with span("log", rows=len(rows)):
            started = time.perf_counter()
            try:
                if len(rows) > FEW_TO_LOG:
                    await asyncio.to_thread(lambda: self._write(self._encode(rows)))
                elif self._log is None and not self._is_file:
                    await self._group.put(await asyncio.to_thread(self._encode, rows))
                else:
                    await self._group.put(self._encode(rows))
            except UnloggableError:
                raise  # no failure of the log
            except LogError as err:
                record_log_failure()
                if self._is_required:
                    raise
                LOG.warning("answered without the prediction log: %s", err)
            else:
                record_log_write(time.perf_counter() - started, len(rows))

    def _encode(self, rows: Sequence[LoggedPrediction]) -> list[Row]:
        with self._noted_failure():
            return self._opened().encode(rows)

    def _write(self, rows: Sequence[Row]) -> None:
        with self._noted_failure():
            self._opened().write_rows(rows)

    @contextmanager
    def _noted_failure(self) -> Iterator[None]:
        until, reason = self._broken
        if time.monotonic() < until:
            raise LogError(reason)
        try:
            yield
        except LogError as err:
            # A locked log takes its whole timeout to say so: those that come meanwhile are told at once.
            if not isinstance(err, UnloggableError) and not is_refused_row(err):
                self._broken = (time.monotonic() + PAUSE_SECONDS, str(err))
            raise

    def _opened(self) -> PredictionLog:
        if self._log is None:
            self._log = PredictionLog.open(self._settings)
        return self._log

    @property
    def reason_paused(self) -> str | None:
        """The reason why nothing is written at this moment, if it must be: a write has just failed."""
        until, reason = self._broken
        return reason if self._is_required and time.monotonic() < until else None

    def reason_not_writable(self) -> str | None:
        """Give the reason why predictions that must be written cannot be; finding out writes to the log."""
        if not self._is_required:
            return None
        try:
            self._check()
        except LogError as err:
            return str(err)
        return None

    async def open(self) -> None:
        """Open the log before a request has to wait for that; what is wrong is written down, and tried again later."""
        if reason := await asyncio.to_thread(self.reason_not_writable):
            LOG.warning("predictions cannot be logged yet: %s", reason)
        await self._show_free_bytes()

    def _check(self) -> None:
        self._opened().check()
        self._broken = (0.0, "")

    async def keep_free_bytes(self) -> None:
        """Show again and again how much room the log has, until cancelled: its forecast needs the growth of a day."""
        while True:
            await asyncio.sleep(FREE_EVERY_SECONDS)
            await self._show_free_bytes()

    async def _show_free_bytes(self) -> None:
        if self._log is None:
            return
        try:
            free = await asyncio.to_thread(self._log.free_bytes)
        except (LogError, OSError) as err:
            LOG.warning("the room of the prediction log cannot be seen: %s", err)
        else:
            if free is not None:
                set_log_free_bytes(free)

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.close()


def _counted_rows(
    endpoint: Endpoint,
    predictor: Predictor,
    clock: datetime,
    results: Sequence[PredictionResult],
    instances: Sequence[BaseModel | None],
    request: str,
    made_for: str,
) -> list[LoggedPrediction]:
    _count(endpoint, predictor, clock, results)
    return _rows(endpoint, predictor, clock, results, instances, request, made_for)


def _rows(
    endpoint: Endpoint,
    predictor: Predictor,
    clock: datetime,
    results: Sequence[PredictionResult],
    instances: Sequence[BaseModel | None],
    request: str,
    made_for: str,
) -> list[LoggedPrediction]:
    project, now = predictor.project, datetime.now(UTC)
    watermarks = predictor.features.watermarks if endpoint == "predict" else {}
    rows = []
    for result, instance in zip(results, instances, strict=True):
        keys = {name: getattr(instance, name) for name in predictor.fields} if instance else {}
        known = result.row or NOTHING_KNOWN
        manifest = (result.model or predictor.model).manifest
        prediction, probabilities = logged_answer(project.problem.classes, result.value)
        rows.append(
            LoggedPrediction(
                prediction_id=make_prediction_id(now),
                request_id=request,
                logged_at=now,
                clock=clock,
                # Ready features do not say which event they are about.
                prediction_time=project.prediction_time_of(instance) if instance else clock,
                event_time=project.schemas.event_time_of(instance) if instance else clock,
                instance_key=instance_key(keys) if keys else _WITHOUT_KEYS,
                keys=keys,
                features=result.inputs,
                event_timestamps=known.event_timestamps,
                watermarks=watermarks,
                missing=known.missing,
                prediction=prediction,
                probabilities=probabilities,
                model_name=manifest.name,
                model_version=manifest.version,
                feature_service=manifest.feature_service,
                role=result.role,
                endpoint=endpoint,
                caller=made_for,
            )
        )
    return rows


def _made_by(result: PredictionResult, predictor: Predictor) -> tuple[str, str]:
    """Give the version that made a prediction, and its role."""
    return (result.model or predictor.model).manifest.version, result.role


def _count(endpoint: Endpoint, predictor: Predictor, clock: datetime, results: Sequence[PredictionResult]) -> None:
    for made_by, count in Tally(_made_by(result, predictor) for result in results).items():
        record_rows(endpoint, count, *made_by)
    rows = [result.row for result in results if result.row is not None]
    if rows:
        record_features(
            (row.missing for row in rows),
            ({view: (clock - stamp).total_seconds() for view, stamp in row.event_timestamps.items()} for row in rows),
            sum(result.is_without_features for result in results),
        )
